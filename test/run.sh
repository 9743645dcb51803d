#!/bin/bash
# Runs the tests that this host allows, and says what was skipped and why.
#   run.sh         unit, in-process cloud, contracts; as root also drivers on the real host
#   run.sh full    and what takes long
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin LC_ALL=C.UTF-8

# What the tests of the drivers need; without root they are skipped and say so.
packages="qemu-system-x86 qemu-utils libvirt-daemon libvirt-daemon-system libvirt-daemon-driver-qemu dnsmasq-base nftables iproute2
  iputils-ping busybox xorriso slapd swift-proxy swift-account swift-container swift-object memcached
  ceph-mon ceph-osd ceph-common"
[ -z "${KILONOVA_RACE:-}" ] || packages="$packages gcc libc6-dev" # what the race detector is built with
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    missing=
    for p in $packages; do dpkg-query -W -f='${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing="$missing $p"; done
    if [ -n "$missing" ]; then
        echo "==> installing$missing"
        apt-get update -q >/dev/null || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/tmp/kilonova-test-apt.log 2>&1 ||
            { tail -n 20 /tmp/kilonova-test-apt.log; echo "==> some packages are not to be had here; what needs them is skipped"; }
    fi
fi

# A real S3 server for the image store's test: a tool, and no part of this module.
command -v versitygw >/dev/null || [ -x ~/go/bin/versitygw ] || CGO_ENABLED=0 go install github.com/versity/versitygw/cmd/versitygw@v1.8.0 >/tmp/kilonova-test-s3.log 2>&1 ||
    echo "==> versitygw is not to be had here; what needs an S3 server is skipped"

# cgo is for the race detector only; the binary is built without it. Under the
# detector everything takes several times as long, so that the tests that try
# thousands of things try fewer (-short).
race=; [ -n "${KILONOVA_RACE:-}" ] && race="-race -short"
. deploy/go.sh; need_go
echo "==> go vet"; go vet ./...
echo "==> go test"
out=$(mktemp); trap 'rm -f "$out"' EXIT
rc=0
CGO_ENABLED=$([ -n "$race" ] && echo 1 || echo 0) go test $race ${KILONOVA_TEST_FLAGS:-} -timeout 40m -v ./... >"$out" 2>&1 || rc=$?
grep -E '^(ok|FAIL|---? FAIL|panic:)|\[build failed\]' "$out" | grep -v 'no test files' || true
if [ $rc != 0 ]; then echo "==> failures"; grep -B40 -E '^\s*--- FAIL' "$out" | tail -n 400; fi
echo "==> skipped, and why"
grep -A3 -E '^\s*--- SKIP' "$out" | grep -vE '^(--|=== |ok|PASS|\?)' | head -n 60 || true
passed=$(grep -cE '^\s*--- PASS' "$out" || true); failed=$(grep -cE '^\s*--- FAIL' "$out" || true); skipped=$(grep -cE '^\s*--- SKIP' "$out" || true)
[ "${1:-}" != full ] || for suite in test/compat/openstackclient/run.sh test/compat/novaclient/run.sh test/compat/openstacksdk/run.sh test/compat/gophercloud/run.sh test/compat/s3/run.sh test/compat/swap/run.sh test/databases/run.sh test/host/run.sh; do echo "==> $suite"; "$suite" || rc=1; done
echo "$passed passed, $failed failed, $skipped skipped"
exit $rc
