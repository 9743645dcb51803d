#!/bin/bash
# Runs the functional tests of the distribution's openstacksdk against `kilonova dev`, and holds them to passed.txt, the list of what passed
# once: run.sh [--update] [REGEX]    REGEX chooses modules by name
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../devcloud.sh"
need_package openstack python3-openstackclient
# What the tests import beyond the library; Debian's package does not ask for it.
for module in subunit ddt oslotest munch requests_mock; do
    python3 -c "import $module" 2>/dev/null || need_package no-such-program "python3-${module//_/-}"
done

update= regex='functional\.(compute|identity|image|network|object_store|placement)\.|functional\.cloud\.test_(aggregate|compute|domain|endpoints|flavor|floating_ip|floating_ip_pool|groups|identity|image|inventory|keypairs|limits|network|object|port|project|qos_.*|quotas|range_search|router|security_groups|server_group|services|users)(\.|$)'
for a in "$@"; do if [ "$a" = --update ]; then update=$a; else regex=$a; fi; done
with_volumes
start_cloud
# The names under which the tests look for a user, another one and an administrator.
mkdir "$work/sdk"
python3 - "$clouds" "$work/sdk/clouds.yaml" <<'X'
import sys, yaml
clouds = yaml.safe_load(open(sys.argv[1]))["clouds"]
names = {"devstack": "kilonova", "devstack-alt": "kilonova", "devstack-admin": "kilonova-admin", "devstack-alt-demo": "kilonova"}
yaml.safe_dump({"clouds": {new: clouds[old] for new, old in names.items()}}, open(sys.argv[2], "w"))
X
export OS_CLIENT_CONFIG_FILE=$work/sdk/clouds.yaml OS_CLOUD=devstack-admin OPENSTACKSDK_FUNC_TEST_TIMEOUT=120 OPENSTACKSDK_IMAGE=cirros
cd "$work/sdk"
echo "a file that tests upload" > CONTRIBUTING.rst
packages=$(python3 -c 'import os, openstack; print(os.path.dirname(os.path.dirname(openstack.__file__)))')
mapfile -t modules < <(cd "$packages" && find openstack/tests/functional -name 'test_*.py' | sed 's|/|.|g; s|\.py$||' | grep -E "$regex" | sort)
python3 -m subunit.run "${modules[@]}" > result.subunit 2> stderr || true
rc=0
python3 "$here/../ratchet.py" result.subunit "$here/passed.txt" "$regex" $update || { rc=1; tail -n 20 stderr; }
errors=$(unexpected)
if [ -n "$errors" ]; then echo "==> the cloud logged errors"; echo "$errors" | cut -c1-400 | head -n 20; rc=1; fi
if [ -n "${KEEP:-}" ]; then mkdir -p "$KEEP"; cp result.subunit stderr "$log" "$KEEP"; fi
exit $rc
