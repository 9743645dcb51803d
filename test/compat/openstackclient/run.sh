#!/bin/bash
# Drives `kilonova dev` with the distribution's openstack client: run.sh [FILE OF CASES...] [--verbose]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../devcloud.sh"
need_package openstack python3-openstackclient
need_package swift python3-swiftclient
python3 -c "import osc_placement" 2>/dev/null || need_package osc-placement python3-osc-placement

verbose= files=()
for a in "$@"; do if [ "$a" = --verbose ]; then verbose=$a; else files+=("$a"); fi; done
[ ${#files[@]} -gt 0 ] || files=("$here"/cases/*.txt)
start_cloud
rc=0
python3 "$here/client.py" "$clouds" "${files[@]}" $verbose || rc=$?
errors=$(unexpected)
if [ -n "$errors" ]; then echo "==> the cloud logged errors"; echo "$errors" | cut -c1-400 | head -n 20; rc=1; fi
exit $rc
