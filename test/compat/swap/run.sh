#!/bin/bash
# Puts services of ours into a real OpenStack, and its services beside ours, and drives both with the stock client:
#   ours-below    upstream's Glance, and upstream's Nova on our image service, network service and Placement, with our identity service
#   ours-above    our compute, network service and Placement with upstream's Keystone and Glance
#   ours-volumes  our compute and image service with upstream's Keystone and Cinder: attached and boot volumes, and images kept in volumes
#   run.sh [ours-below|ours-above|ours-volumes] [--verbose]
# KILONOVA_REFERENCE names the folder of the reference cloud's scripts (up.sh, down.sh); it is started unless it runs, and then ended too.
# KILONOVA names a binary to test instead of one built from this tree.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../../.." && pwd)
reference=${KILONOVA_REFERENCE:-$repository/../shared/reference/cloud}
skip() { echo "SKIP: $*"; exit 0; }
[ -x "$reference/up.sh" ] || skip "there is no reference cloud at $reference (no up.sh); KILONOVA_REFERENCE names its folder"
[ "$(id -u)" = 0 ] || skip "the reference cloud's daemons are started by root"
command -v apt-get >/dev/null || skip "the reference cloud is made of Debian's packages, and there is no apt-get"
. "$repository/deploy/go.sh"; need_go
. "$reference/lib.sh"
export PATH=$PATH:/usr/local/go/bin:/sbin LC_ALL=C.UTF-8 PYTHONWARNINGS=ignore
verbose= parts=()
for a in "$@"; do if [ "$a" = --verbose ]; then verbose=$a; else parts+=("$a"); fi; done
[ ${#parts[@]} -gt 0 ] || parts=(ours-above ours-volumes ours-below)

work=$(mktemp -d) ours= started=
. "$here/upstream.sh"
finish() {
    stop_upstream
    [ -z "$ours" ] || { kill "$ours" 2>/dev/null && wait "$ours"; } || true
    if [ -n "${KEEP:-}" ]; then mkdir -p "$KEEP"; cp "$work"/*.log "$work"/*.conf "$work"/*.toml "$KEEP" || true; fi
    [ -z "$started" ] || "$reference/down.sh"
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

if [ -z "${KILONOVA:-}" ]; then
    echo "==> building kilonova"
    (cd "$repository" && CGO_ENABLED=0 go build -o "$work/kilonova" ./cmd/kilonova)
    KILONOVA=$work/kilonova
fi
if ! curl -s -o /dev/null -m 10 http://127.0.0.1:5000/v3; then
    echo "==> starting the reference cloud"
    started=1
    "$reference/up.sh" >"$work/reference.log" 2>&1 || { tail -n 20 "$work/reference.log"; exit 1; }
fi

# serve CONFIG: our part of the cloud, with its log at $work/kilonova.log
serve() {
    "$KILONOVA" serve --debug --config "$1" >>"$work/kilonova.log" 2>&1 &
    ours=$!
    answers "$url/healthz" 30 kilonova
}

clouds() { # AUTH-URL REGION ADMIN-PASSWORD ADMIN-PROJECT DEMO-PASSWORD
    cat <<X
clouds:
  kilonova-admin: {region_name: $2, identity_api_version: 3,
    auth: {auth_url: "$1", username: admin, password: "$3", project_name: $4, user_domain_name: Default, project_domain_name: Default}}
  kilonova: {region_name: $2, identity_api_version: 3,
    auth: {auth_url: "$1", username: demo, password: "$5", project_name: demo, user_domain_name: Default, project_domain_name: Default}}
X
}
as_admin() { OS_CLIENT_CONFIG_FILE=$clouds OS_CLOUD=kilonova-admin openstack "$@"; }
failed=0
cases() { # FILE [--set=NAME=VALUE...]
    echo "==> $1"
    python3 "$here/../openstackclient/client.py" "$clouds" "$here/cases/$1" --patience=120 $verbose "${@:2}" || failed=1
}
secrets() {
    local s
    echo "[secrets]"
    for s in admin nova neutron glance placement demo; do echo "${s}_password = \"$service_password\""; done
    printf 'metadata_proxy_shared_secret = "m"\nbus_token = "b"\n'
}
end_ours() { kill "$ours"; wait "$ours" || true; ours=; }

# ours-below: our identity service is everybody's Keystone. Upstream's Glance is in a region of its own, for ours is in RegionOne.
ours-below() {
    local port nova_port keystone url clouds service_password=swap-pw
    port=$(free_port) nova_port=$(free_port)
    url=http://127.0.0.1:$port keystone=$url/identity/v3 clouds=$work/below.yaml
    {
        printf 'host = "theirs"\ndata = "%s/below"\nroles = "identity,image,network,placement,network-agent"\n[listen]\naddress = "127.0.0.1:%s"\n' "$work" "$port"
        printf '[peers]\ncompute = "http://127.0.0.1:%s"\n[DEFAULT]\ncompute_driver = "fake"\n[fake]\nhosts = 2\n[network]\ndataplane = "fake"\n' "$nova_port"
        secrets
    } > "$work/below.toml"
    serve "$work/below.toml"
    make_databases
    echo "==> upstream's Glance and Nova with our identity service"
    start_glance
    start_nova "$url/image"
    clouds "$keystone" RegionOne "$service_password" admin "$service_password" > "$clouds"
    as_admin project create demo >/dev/null
    as_admin user create --password "$service_password" demo >/dev/null
    as_admin role add --user demo --project demo member
    as_admin region create Upstream >/dev/null
    as_admin endpoint create --region Upstream image public "http://127.0.0.1:$glance_port" >/dev/null
    as_admin endpoint create --region Upstream identity public "$keystone" >/dev/null
    cases their-nova.txt "--set=nova=http://127.0.0.1:$nova_port/v2.1"
    clouds=$work/upstream.yaml
    clouds "$keystone" Upstream "$service_password" admin "$service_password" > "$clouds"
    cases their-glance.txt "--set=glance=http://127.0.0.1:$glance_port" "--set=service=$service_password" "--set=auth=$keystone"
    stop_upstream
    end_ours
}

# ours-above: upstream's Keystone says who everybody is and where things are; ours are a region of its catalog, which has upstream's Glance too.
ours-above() {
    local port url clouds keystone=http://127.0.0.1:5000/v3 service_password=$PEER_PASS region=Kilonova-swap
    port=$(free_port)
    url=http://127.0.0.1:$port clouds=$work/above.yaml
    {
        printf 'host = "ours"\nregion = "%s"\ndata = "%s/above"\nroles = "placement,network,compute,conductor,metadata,network-agent,compute-agent"\n' "$region" "$work"
        printf '[listen]\naddress = "127.0.0.1:%s"\n[peers]\nidentity = "http://127.0.0.1:5000"\n' "$port"
        printf '[DEFAULT]\ncompute_driver = "fake"\n[network]\ndataplane = "fake"\n[fake]\nhosts = 2\n'
        secrets
    } > "$work/above.toml"
    serve_region "compute $url/compute/v2.1" "network $url/network" "placement $url/placement" "image http://127.0.0.1:9292"
    cases their-keystone.txt "--set=nova=$url/compute/v2.1"
    end_ours
    forget_region
}

# ours-volumes: a second Cinder of upstream's, whose volumes are files; the images that it makes volumes from lie in volumes of its own.
ours-volumes() {
    local port url clouds keystone=http://127.0.0.1:5000/v3 service_password=$PEER_PASS region=Kilonova-swap
    port=$(free_port)
    url=http://127.0.0.1:$port clouds=$work/volumes.yaml
    make_databases
    echo "==> upstream's Cinder with our image service"
    start_cinder cinder "$url/image"
    {
        printf 'host = "ours"\nregion = "%s"\ndata = "%s/volumes"\nroles = "image,placement,network,compute,conductor,metadata,network-agent,compute-agent"\n' "$region" "$work"
        printf '[listen]\naddress = "127.0.0.1:%s"\n[peers]\nidentity = "http://127.0.0.1:5000"\nvolume = "catalog"\n' "$port"
        printf '[DEFAULT]\ncompute_driver = "fake"\n[network]\ndataplane = "fake"\n[fake]\nhosts = 2\n'
        printf '[image]\nenabled_backends = ["volumes:cinder"]\n[image.stores.volumes]\ncinder_store_auth_address = "%s"\n' "$keystone"
        printf 'cinder_store_user_name = "glance"\ncinder_store_password = "%s"\ncinder_store_project_name = "service"\n' "$PEER_PASS"
        printf 'cinder_os_region_name = "%s"\ncinder_mount_point_base = "%s"\n' "$region" "$mounts"
        secrets
    } > "$work/volumes.toml"
    serve_region "compute $url/compute/v2.1" "network $url/network" "placement $url/placement" "image $url/image" \
        "volumev3 http://127.0.0.1:$cinder_port/v3/%(project_id)s" "block-storage http://127.0.0.1:$cinder_port/v3/%(project_id)s"
    as_admin volume type create nfs >/dev/null
    cases their-cinder.txt "--set=volumes=$volumes" "--set=service=$PEER_PASS"
    end_ours
    forget_region
    stop_upstream
}

# serve_region "TYPE URL"...: starts ours where upstream's Keystone has them, in a region of their own that has these services
serve_region() {
    local e
    clouds "$keystone" "$region" "$PEER_PASS" demo "$PEER_PASS" > "$clouds"
    clouds "$keystone" RegionOne "$PEER_PASS" admin "$PEER_PASS" > "$work/one.yaml"
    echo "==> our services in the catalog of upstream's Keystone"
    forget_region
    (
        clouds=$work/one.yaml
        as_admin region create "$region" >/dev/null
        for e in "$@" "identity $keystone"; do as_admin endpoint create --region "$region" ${e% *} public "${e#* }" >/dev/null; done
    )
    serve "${clouds%.yaml}.toml"
}
forget_region() {
    local clouds=$work/one.yaml e
    for e in $(as_admin endpoint list --region "$region" -f value -c ID); do as_admin endpoint delete "$e"; done
    # Not "region show", which answers with the only region there is, whatever its name.
    ! as_admin region list -f value -c Region | grep -qx "$region" || as_admin region delete "$region"
}

for part in "${parts[@]}"; do "$part"; done
errors=$(grep -E '"request (failed"|not answered)|^panic|^goroutine ' "$work/kilonova.log" || true)
if [ -n "$errors" ]; then echo "==> kilonova logged errors"; echo "$errors" | cut -c1-400 | head -n 20; failed=1; fi
exit $failed
