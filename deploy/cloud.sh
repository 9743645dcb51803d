#!/bin/bash
# One host as a whole cloud:   cloud.sh up | down | clean
#
#   up     install what is missing, build, start, fill on first start, boot the
#          server "hello" and wait until ssh to it answers; may be repeated
#   down   end it: no process, guest, bridge or rule of it stays; data stays
#   clean  down, and remove the data
#
# Root only. KILONOVA_LISTEN (127.0.0.1:8780), KILONOVA_DATA (/var/lib/kilonova)
# and KILONOVA_NO_HELLO=1 change what it does.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/sbin:/sbin:/usr/local/go/bin LC_ALL=C.UTF-8

listen=${KILONOVA_LISTEN:-127.0.0.1:8780}
data=${KILONOVA_DATA:-/var/lib/kilonova}
etc=/etc/kilonova
run=/run/kilonova
log=/var/log/kilonova.log
conf=$etc/kilonova.toml
clients=${XDG_CONFIG_HOME:-$HOME/.config}/openstack
key=$data/keys/demo
binary=/usr/local/bin/kilonova
public=172.24.4.0/24 gateway=172.24.4.1/24

say() { printf '==> %s\n' "$*"; }
die() { printf 'cloud.sh: %s\n' "$*" >&2; exit 1; }
alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }
systemd() { [ -d /run/systemd/system ]; }

# ------------------------------------------------------------------ what it needs

packages="qemu-system-x86 qemu-utils libvirt-daemon libvirt-daemon-system libvirt-daemon-driver-qemu
  dnsmasq-base nftables iproute2 openssh-client ca-certificates curl"

install_packages() {
    local p missing=
    for p in $packages $(deploy/guest/build.sh --packages); do
        dpkg-query -W -f='${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing="$missing $p"
    done
    [ -n "$missing" ] || return 0
    say "installing$missing"
    apt-get update -q >/dev/null || say "the package lists could not be renewed; going on with those that are there"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/var/log/kilonova-apt.log 2>&1 ||
        { tail -n 20 /var/log/kilonova-apt.log >&2; die "packages could not be installed; the whole log is /var/log/kilonova-apt.log"; }
}

build() {
    . deploy/go.sh
    need_go || die "without Go it cannot be built"
    say "building bin/kilonova"
    CGO_ENABLED=0 GOTOOLCHAIN=auto go build -trimpath -ldflags='-s -w' -o bin/kilonova ./cmd/kilonova
    cmp -s bin/kilonova "$binary" || install -m 755 bin/kilonova "$binary"
}

guest_image() {
    say "building the guest image (cached after the first time)"
    deploy/guest/build.sh "$data/guest" | sed 's/^/    /'
}

configure() {
    install -d -m 755 "$etc" "$run"; install -d -m 755 "$data"
    [ -e "$conf" ] && return
    local dns; dns=$(awk '/^nameserver/ && $2 !~ /^127\./ && $2 !~ /:/ {printf "%s\"%s\"", sep, $2; sep=", "}' /etc/resolv.conf 2>/dev/null || true)
    cat > "$conf" <<X
# Written at the first start; yours to change.
data = "$data"
my_ip = "${listen%:*}"

[listen]
address = "$listen"

[log]
file = "$log"

[DEFAULT]
compute_driver = "libvirt"

[network]
dataplane = "linuxbridge"

[linux_bridge]
dnsmasq_dns_servers = [$dns]

# The network "public": a bridge of this host, which is its gateway.
[linux_bridge.physical_networks.public]
bridge = "br-public"
addresses = ["$gateway"]
masquerade = true
X
}

# ------------------------------------------------------------------ processes

libvirt_up() {
    # Where udev does not look after it: libvirt asks QEMU anew before each start
    # as long as its user cannot open the device.
    if [ -e /dev/kvm ] && [ "$(stat -c %a /dev/kvm)" = 600 ] && getent group kvm >/dev/null; then chgrp kvm /dev/kvm; chmod 660 /dev/kvm; fi
    if systemd; then systemctl start virtlogd libvirtd; return; fi
    local d
    for d in virtlogd libvirtd; do
        pgrep -x "$d" >/dev/null && continue
        say "starting $d"
        "$d" -d -p "$run/$d.pid"
    done
    local i; for i in $(seq 100); do [ -S /run/libvirt/libvirt-sock ] && return; sleep 0.1; done
    die "libvirtd did not open its socket"
}

libvirt_down() {
    systemd && return
    local d i
    for d in libvirtd virtlogd; do
        alive "$run/$d.pid" || continue
        kill "$(cat "$run/$d.pid")" 2>/dev/null || true
        for i in $(seq 100); do alive "$run/$d.pid" || break; sleep 0.1; done
        rm -f "$run/$d.pid"
    done
}

kilonova_up() {
    if systemd; then
        install -m 644 deploy/systemd/kilonova.service /etc/systemd/system/kilonova.service
        systemctl daemon-reload
        systemctl enable -q --now kilonova
    elif ! alive "$run/kilonova.pid"; then
        say "starting kilonova"
        setsid nohup "$binary" serve --config "$conf" --pid-file "$run/kilonova.pid" >>"$log" 2>&1 </dev/null &
    fi
    local i; for i in $(seq 300); do curl -fs "http://$listen/healthz" >/dev/null 2>&1 && return; sleep 0.1; done
    tail -n 20 "$log" >&2
    die "kilonova did not get ready; its log is $log"
}

kilonova_down() {
    if systemd; then systemctl disable -q --now kilonova 2>/dev/null || true; return; fi
    alive "$run/kilonova.pid" || return 0
    local pid i; pid=$(cat "$run/kilonova.pid"); kill "$pid"
    for i in $(seq 300); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
    kill -9 "$pid"
}

# ------------------------------------------------------------------ the three verbs

up() {
    install_packages
    build
    guest_image
    configure
    libvirt_up
    kilonova_up
    say "filling the cloud"
    local hello=(--hello hello); [ -z "${KILONOVA_NO_HELLO:-}" ] || hello=()
    "$binary" fill --config "$conf" --url "http://$listen" --image-file "$data/guest/guest.qcow2" --image-name tiny \
        --public "$public" --key-file "$key" --client-config "$clients" "${hello[@]}"
    [ ${#hello[@]} -gt 0 ] || return 0
    local address; address=$(cat "$data/hello.address")
    local ssh="ssh -i $key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR cloud@$address"
    say "the guest says:"
    local i; for i in $(seq 60); do $ssh uname -a 2>/dev/null && break; sleep 1; done || true
    [ "$i" -lt 60 ] || die "the guest does not let the key $key in"
    cat <<X

The cloud is up.
  API         http://$listen  (identity: http://$listen/identity/v3)
  log in      $ssh
  clients     openstack --os-cloud kilonova server list          (as demo)
              openstack --os-cloud kilonova-admin hypervisor list  (as administrator)
              the clouds are in $clients/clouds.yaml, shell variables in kilonova-openrc beside it
  try next    openstack --os-cloud kilonova server create --image tiny --flavor m1.nano --network private --key-name demo second
              openstack --os-cloud kilonova console log show hello
  log         $log
  stop        make cloud-down        (make cloud-clean also removes its data)
X
}

down() {
    say "stopping"
    kilonova_down
    if [ -e "$conf" ] && [ -x "$binary" ]; then
        libvirt_up
        "$binary" clean --config "$conf" "$@" || die "not everything could be removed; see $log"
    fi
    libvirt_down
}

clean() {
    down --disks
    say "removing its data"
    rm -rf "$data" "$etc" "$run" "$log" "$binary"
    rm -f "$clients/kilonova-openrc" "$clients/kilonova-openrc-admin"
    if systemd; then rm -f /etc/systemd/system/kilonova.service; systemctl daemon-reload; fi
}

[ "$(id -u)" = 0 ] || die "this has to be done as root"
case ${1:-} in up|down|clean) verb=$1; shift; "$verb" "$@" ;; *) die "usage: cloud.sh up | down | clean" ;; esac
