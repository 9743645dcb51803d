#!/bin/bash
# Drives `kilonova dev` with the distribution's nova client: run.sh [FILE OF CASES...] [--verbose]
# Each subcommand that the client has is in one of the files; the client itself refuses those that their API version no longer has.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../devcloud.sh"
need_package nova python3-novaclient
need_package openstack python3-openstackclient

verbose= files=()
for a in "$@"; do if [ "$a" = --verbose ]; then verbose=$a; else files+=("$a"); fi; done
every=; [ ${#files[@]} -gt 0 ] || { files=("$here"/cases/*.txt); every=1; }
start_cloud
rc=0
python3 "$here/../openstackclient/client.py" "$clouds" "${files[@]}" $verbose || rc=$?
if [ -n "$every" ]; then
    for c in $(nova bash-completion 2>/dev/null | tr ' ' '\n' | grep -E '^[a-z]' | grep -vxE 'help|bash-completion|ssh'); do
        grep -qE "(demo|admin|as [^:]*): (--[a-z-]+ [^ ]+ )*$c( |$)" "$here"/cases/*.txt || { echo "no case calls nova $c"; rc=1; }
    done
fi
errors=$(unexpected)
if [ -n "$errors" ]; then echo "==> the cloud logged errors"; echo "$errors" | cut -c1-400 | head -n 20; rc=1; fi
exit $rc
