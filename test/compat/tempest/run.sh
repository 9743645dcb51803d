#!/bin/bash
# Runs the distribution's Tempest against `kilonova dev` and holds it to passed.txt, the list of what passed once.
#   run.sh [--update] [REGEX | --all]    REGEX as Tempest takes it; --all is every test of the list
#   CHECK=1 run.sh …                     and hold the answers of identity and image against upstream's OpenAPI files
# A listed test that does not pass is a failure; one that newly passes is named, and with --update listed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../devcloud.sh"
need_package tempest tempest
need_package openstack python3-openstackclient

update= all=
regex='tempest\.api\.compute\.|tempest\.api\.identity\.v3\.test_tokens\.|tempest\.api\.image\.v2\.test_images\.|tempest\.api\.object_storage\.'
for a in "$@"; do
    case $a in --update) update=--update ;; --all) all=1 ;; *) regex=$a ;; esac
done

# What the image service offers beyond its defaults, so that Tempest asks for it: several stores, all import methods, locations, a cache.
# A small web server on loopback has what web-download and locations name; only from there may they fetch.
scratch=$(mktemp -d)
web_port=$(free_port)
mkdir "$scratch/web"; head -c 65536 /dev/urandom > "$scratch/web/disk.img"
python3 -m http.server --bind 127.0.0.1 --directory "$scratch/web" "$web_port" >/dev/null 2>&1 &
web_pid=$!
cat > "$scratch/dev.toml" <<X
[image]
enabled_backends = ["fast:file", "slow:file", "web:http"]
enabled_import_methods = ["glance-direct", "web-download", "copy-image", "glance-download"]
show_multiple_locations = true
show_image_direct_url = true
image_cache_dir = "$scratch/cache"
use_keystone_limits = true
[image.glance_store]
default_backend = "fast"
[image.stores.fast]
filesystem_store_datadir = "$scratch/fast"
[image.stores.slow]
filesystem_store_datadir = "$scratch/slow"
[image.import_filtering_opts]
allowed_hosts = ["127.0.0.1", "does-not.exist"]
allowed_ports = [80, $web_port]
X
cat "$here/cloud.toml" >> "$scratch/dev.toml"
export DEV_CONFIG=$scratch/dev.toml
with_volumes
start_cloud
tempest_pid=
trap 'kill $web_pid 2>/dev/null; [ -z "$tempest_pid" ] || kill -- -$tempest_pid 2>/dev/null; rm -rf "$scratch"; stop_cloud' EXIT
echo "==> configuring tempest"
export OS_CLIENT_CONFIG_FILE=$clouds OS_CLOUD=kilonova-admin
head -c 65536 /dev/urandom > "$work/alt.img"
image=$(openstack image show cirros -f value -c id)
image_alt=$(openstack image create --public --disk-format raw --container-format bare --file "$work/alt.img" cirros-alt -f value -c id)
public=$(openstack network show public -f value -c id)
# What networks that are laid out by themselves are made of.
openstack subnet pool create --default --share --pool-prefix 10.224.0.0/16 --default-prefix-length 26 default-v4 -f value -c id >/dev/null
openstack network set --default public
extensions=$(openstack extension list --network -f value -c Alias | paste -sd,)
tempest=$work/tempest
mkdir -p "$tempest/etc" "$tempest/logs" "$tempest/lock"
sed -e "s|@URL@|$url|; s|@PASSWORD@|$(admin_password)|; s|@IMAGE@|$image|; s|@IMAGE_ALT@|$image_alt|; s|@PUBLIC@|$public|; s|@EXTENSIONS@|$extensions|; s|@DIR@|$tempest|; s|@HTTP_IMAGE@|http://127.0.0.1:$web_port/disk.img|" \
    "$here/tempest.conf.in" > "$tempest/etc/tempest.conf"
cat > "$tempest/.stestr.conf" <<X
[DEFAULT]
test_path=/usr/lib/python3/dist-packages/tempest/test_discover
top_dir=/usr/lib/python3/dist-packages/
group_regex=([^\.]*\.)*
X

echo "==> running tempest"
cd "$tempest"
stestr init 2>/dev/null || true
choice=(--regex "$regex")
if [ -n "$all" ]; then
    regex=.
    # Listed by class: a class's tests share what its setup has made, and names carry tags that the list does not.
    choice=(--regex "^($(grep -v '^#' "$here/passed.txt" | sed 's/\.[^.]*$//' | sort -u | sed 's/\./\\./g' | paste -sd'|'))\.")
fi
# In a group of processes of its own, since Tempest's workers outlive it when it is interrupted.
set -m
tempest run --config-file etc/tempest.conf "${choice[@]}" --concurrency "${WORKERS:-6}" --subunit > result.subunit 2> stderr &
tempest_pid=$!
set +m
wait $tempest_pid || true
tempest_pid=
rc=0
python3 "$here/../ratchet.py" result.subunit "$here/passed.txt" "$regex" $update || rc=$?
differences || rc=1
errors=$(unexpected)
if [ -n "$errors" ]; then echo "==> the cloud logged errors"; echo "$errors" | cut -c1-400 | sort -u -k5 | head -n 20; rc=1; fi
if [ -n "${KEEP:-}" ]; then mkdir -p "$KEEP"; cp result.subunit stderr logs/* "$log" "$KEEP"; fi
exit $rc
