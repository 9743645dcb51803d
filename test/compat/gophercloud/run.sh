#!/bin/bash
# Runs gophercloud's own acceptance tests against `kilonova dev`, as an administrator and as a user, and holds them to passed.txt, the list of
# what passed once: run.sh [--update] [SERVICE...]    compute identity image networking objectstorage placement, unless some are named
# The tests are those of the version of gophercloud in go.mod.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../devcloud.sh"
need_package openstack python3-openstackclient

update= services=()
for a in "$@"; do if [ "$a" = --update ]; then update=$a; else services+=("$a"); fi; done
[ ${#services[@]} -gt 0 ] || services=(compute identity image networking objectstorage placement)
chosen=$(IFS='|'; echo "^[a-z]+ (${services[*]})/")
# A test looks for the status REBOOT once a second: guests that take as long as real ones to come back can be seen.
config=$(mktemp)
printf '[fake.delays]\nreboot = "2s"\n' > "$config"
export DEV_CONFIG=$config
with_volumes
rm -f "$config"
start_cloud
export OS_CLIENT_CONFIG_FILE=$clouds
. "$repository/deploy/go.sh"; need_go
source=$(cd "$repository" && go list -m -f '{{.Dir}}' github.com/gophercloud/gophercloud/v2)
cp -r "$source" "$work/gophercloud" # tests of a module in the cache cannot be run there
chmod -R u+w "$work/gophercloud"

said() { OS_CLOUD=kilonova-admin openstack "$@" -f value -c id; }
export OS_IMAGE_ID=$(said image show cirros) OS_NETWORK_ID=$(said network show private) OS_SUBNET_ID=$(OS_CLOUD=kilonova-admin openstack subnet list --network private -f value -c ID | head -n 1) OS_EXTGW_ID=$(said network show public)
# The suite boots servers with ephemeral disks, too.
for flavor in acceptance acceptance-larger; do OS_CLOUD=kilonova-admin openstack flavor create --id $flavor --ram 64 --disk 5 --ephemeral 10 --vcpus 1 $flavor >/dev/null; done
export OS_FLAVOR_ID=acceptance OS_FLAVOR_ID_RESIZE=acceptance-larger OS_NETWORK_NAME=private OS_POOL_NAME=public OS_BRANCH=master OS_REGION_NAME=RegionOne OS_LIVE_MIGRATE=1

# as CLOUD WHO: run the tests with the credentials of a cloud of clouds.yaml
as() {
    eval "$(python3 - "$clouds" "$1" <<'X'
import shlex, sys, yaml
cloud = yaml.safe_load(open(sys.argv[1]))["clouds"][sys.argv[2]]
for key, value in cloud["auth"].items():
    print(f"export OS_{key.upper()}={shlex.quote(str(value))}")
X
)"
    export OS_DOMAIN_NAME=$OS_USER_DOMAIN_NAME
    for s in ${services[*]}; do
        (cd "$work/gophercloud" && go test -tags acceptance -p 1 -count 1 -timeout 30m -json "./internal/acceptance/openstack/$s/..." 2>>"$work/go.err") || true
    done | jq -c --arg who "$2" '.As = $who' >> "$work/result.json"
}
need_package jq jq
as kilonova-admin admin
services=("${services[@]/placement/}") # placement is for administrators only
as kilonova user

rc=0
python3 "$here/../ratchet.py" "$work/result.json" "$here/passed.txt" "$chosen" $update || { rc=1; cat "$work/go.err"; }
errors=$(unexpected)
if [ -n "$errors" ]; then echo "==> the cloud logged errors"; echo "$errors" | cut -c1-400 | head -n 20; rc=1; fi
if [ -n "${KEEP:-}" ]; then mkdir -p "$KEEP"; cp "$work/result.json" "$log" "$KEEP"; fi
exit $rc
