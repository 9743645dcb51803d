#!/bin/bash
# Drives the cloud of this host with the stock client and real guests, as a user
# would, and looks at what is left over. Root only, and only on a host without a
# cloud: it makes one with `make cloud` and removes it at the end.
set -uo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PATH:/usr/sbin:/sbin:/usr/local/go/bin LC_ALL=C.UTF-8
[ "$(id -u)" = 0 ] || { echo "test/host: skipped: this needs root"; exit 0; }
key=/var/lib/kilonova/keys/demo log=/var/log/kilonova.log pid=/run/kilonova/kilonova.pid
passed=0 failed=0

ok()  { passed=$((passed+1)); echo "ok    $*"; }
bad() { failed=$((failed+1)); echo "FAIL  $*"; }
# check WHAT COMMAND...: the command succeeds.   not WHAT COMMAND...: it fails.
check() { local what=$1; shift; if "$@" >/tmp/host-check.out 2>&1; then ok "$what"; else bad "$what"; sed 's/^/        /' /tmp/host-check.out | tail -n 5; fi; }
not()   { local what=$1; shift; if "$@" >/tmp/host-check.out 2>&1; then bad "$what"; sed 's/^/        /' /tmp/host-check.out | tail -n 5; else ok "$what"; fi; }
# within SECONDS COMMAND...: the command succeeds before the time is over.
within() { local end=$((SECONDS+$1)); shift; until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.5; done; }
os()    { openstack --os-cloud "${cloud:-kilonova}" "$@"; }
in_guest() { local a=$1; shift; ssh -i $key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=5 -o BatchMode=yes "cloud@$a" "$@"; }
status_is() { [ "$(os server show "$1" -f value -c status)" = "$2" ]; }
settled()   { case "$(os server show "$1" -f value -c status)" in ACTIVE|ERROR) ;; *) return 1 ;; esac; }
fixed_ip()  { os server show "$1" -f json -c addresses | grep -oE '10\.[0-9.]+' | head -n 1; }
# what of ours is on the host
picture() { { ip -o link | awk -F': ' '{print "link", $2}'; ip netns | awk '{print "netns", $1}'; nft list tables 2>/dev/null; ls /var/lib/kilonova/instances 2>/dev/null | grep -E '^[0-9a-f-]{36}$';
    pgrep -af 'qemu-system.*guest=instance-|dnsmasq.*kilonova|kilonova serve|libvirtd|virtlogd' | awk '$2 !~ /^\[/ {print "process", $2}'; } | sed 's/@.*//' | sort; }

[ ! -e /etc/kilonova ] || { echo "test/host: this host has a cloud already, which the test would remove at its end; make cloud-clean first"; exit 1; }
before=$(picture)
make cloud || { echo "test/host: make cloud failed"; exit 1; }
command -v openstack >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-openstackclient >/dev/null
hello=$(cat /var/lib/kilonova/hello.address)
filled=$(picture)

echo "--- two servers on one network"
check "a second server boots" os server create --image tiny --flavor m1.nano --network private --key-name demo --wait second
second=$(fixed_ip second)
check "they ping each other" within 60 in_guest "$hello" ping -c 2 -W 2 "$second"
fip2=$(os floating ip create public -f value -c floating_ip_address)
check "the second gets a floating IP" os server add floating ip second "$fip2"
check "ssh to it answers" within 60 in_guest "$fip2" true

echo "--- a port of a guest"
in_guest "$hello" 'mkdir -p /tmp/w; echo hi > /tmp/w/x; httpd -p 8080 -h /tmp/w'
not "a port without a rule is closed" curl -fs -m 3 "http://$hello:8080/x"
rule=$(os security group rule create --protocol tcp --dst-port 8080 --remote-ip 0.0.0.0/0 default -f value -c id)
check "it opens when its rule is added" within 10 curl -fs -m 2 "http://$hello:8080/x"
os security group rule delete "$rule"
check "and closes when it is removed" within 10 sh -c "! curl -fs -m 2 http://$hello:8080/x"

echo "--- a guest that lies"
spoof() { # spoof WHAT COMMAND: run in the guest, ping the gateway, put all back, say how it went
    in_guest "$fip2" "cat > /tmp/s; setsid sh /tmp/s </dev/null >/dev/null 2>&1 &" <<X
sleep 1; m=\$(cat /sys/class/net/eth0/address)
$1
sleep 1; if ping -c 3 -W 1 10.0.0.1 >/dev/null; then echo LEAK; else echo CUT; fi > /tmp/verdict
ip link set eth0 down; ip link set eth0 address \$m; ip addr flush dev eth0; ip addr add $second/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.0.1
X
    sleep 8; within 60 in_guest "$fip2" test -s /tmp/verdict; [ "$(in_guest "$fip2" 'cat /tmp/verdict; rm -f /tmp/verdict')" = CUT ]; }
check "with a changed MAC it is cut off" spoof "ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:77; ip link set eth0 up; ip addr add $second/24 dev eth0"
check "with a changed IP it is cut off" spoof "ip addr flush dev eth0; ip addr add 10.0.0.222/24 dev eth0"
check "and honest again it is heard" within 30 in_guest "$fip2" true

echo "--- another project"
cloud=kilonova-admin
os project create other >/dev/null; os user create --project other --password other-pw other >/dev/null; os role add --project other --user other member
other() { OS_CLOUD= openstack --os-auth-url "$(awk '/auth_url/ {print $2; exit}' ~/.config/openstack/clouds.yaml)" --os-identity-api-version 3 --os-username other --os-password other-pw \
    --os-project-name other --os-user-domain-name Default --os-project-domain-name Default "$@"; }
cloud=kilonova
other network create theirs >/dev/null; other subnet create --network theirs --subnet-range 10.77.0.0/24 theirs >/dev/null
check "it boots a server on its own network" other server create --image tiny --flavor m1.nano --network theirs --wait stranger
stranger=$(other server show stranger -f json -c addresses | grep -oE '10\.77\.[0-9.]+' | head -n 1)
not "the first project's guest cannot reach it" in_guest "$hello" ping -c 2 -W 2 "$stranger"
not "nor see it" sh -c "openstack --os-cloud kilonova server show stranger"
check "it is deleted" other server delete --wait stranger
other network delete theirs; cloud=kilonova-admin; os user delete other; os project delete other; cloud=kilonova

echo "--- a floating IP moves"
os server remove floating ip second "$fip2"
check "from the first server" os server remove floating ip hello "$hello"
check "to the second" os server add floating ip second "$hello"
check "and leads there" within 30 sh -c "ssh -i $key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=5 cloud@$hello hostname | grep -qx second"
os server remove floating ip second "$hello"; os server add floating ip hello "$hello"; os server add floating ip second "$fip2"
check "and back" within 30 sh -c "ssh -i $key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=5 cloud@$hello hostname | grep -qx hello"

echo "--- kill -9 during a boot"
was=$(in_guest "$hello" cut -d. -f1 /proc/uptime)
for delay in 0.05 0.4 0.9; do
    id=$(os server create --image tiny --flavor m1.nano --network private "killed-$delay" -f value -c id)
    sleep $delay; kill -9 "$(cat $pid)"
    check "with the cloud dead the guest answers" in_guest "$hello" true
    check "the cloud starts again" make -s cloud
    check "the server killed after $delay s settles" within 60 settled "$id"
    status_is "$id" ACTIVE && ok "it is ACTIVE" || check "it is in error and says why" sh -c "openstack --os-cloud kilonova server show $id -f value -c fault | grep -q message"
    check "it can be deleted" os server delete --wait "$id"
done
now=$(in_guest "$hello" cut -d. -f1 /proc/uptime)
[ "${now:-0}" -gt "$was" ] && ok "the running guest never noticed (up $was s, then $now s)" || bad "the running guest was restarted ($was s, then $now s)"

echo "--- power"
check "stop" os server stop hello;         check "it is SHUTOFF" within 90 status_is hello SHUTOFF
check "start" os server start hello;       check "it answers again" within 90 in_guest "$hello" true
check "soft reboot" os server reboot --wait hello;        check "it answers again" within 90 in_guest "$hello" true
check "hard reboot" os server reboot --hard --wait hello; check "it answers again" within 90 in_guest "$hello" true
in_guest "$hello" poweroff
check "a guest that powers itself off is SHUTOFF" within 60 status_is hello SHUTOFF
os server start hello; within 90 in_guest "$hello" true

echo "--- user data and config drive"
printf '#!/bin/sh\necho user-data was here > /tmp/ud\n' > /tmp/host-ud
check "a server with both boots" os server create --image tiny --flavor m1.nano --network private --key-name demo --user-data /tmp/host-ud --config-drive true --wait drive
check "its console says that it read the drive" within 90 sh -c "openstack --os-cloud kilonova console log show drive | grep -q 'metadata from config-drive'"
check "and ran the user data" within 60 sh -c "openstack --os-cloud kilonova console log show drive | grep -qi 'user-data rc=0\|user-data.*0'"
os server delete --wait drive

echo "--- an ephemeral disk and swap space"
openstack --os-cloud kilonova-admin flavor create --ram 128 --disk 1 --ephemeral 1 --swap 64 --vcpus 1 m1.scratch >/dev/null
check "a server with both boots" os server create --image tiny --flavor m1.scratch --network private --key-name demo --wait scratch
scratch=$(os floating ip create public -f value -c floating_ip_address)
os server add floating ip scratch "$scratch"; within 90 in_guest "$scratch" true
check "it can be mounted and written" in_guest "$scratch" 'mkdir -p /tmp/e && mount /dev/vdb /tmp/e && echo kept > /tmp/e/x && umount /tmp/e'
check "the swap space is used" in_guest "$scratch" 'swapon /dev/vdc && grep -q vdc /proc/swaps'
check "hard reboot" os server reboot --hard --wait scratch; within 90 in_guest "$scratch" true
check "what was written is there" in_guest "$scratch" 'mkdir -p /tmp/e && mount /dev/vdb /tmp/e && grep -qx kept /tmp/e/x'
os server delete --wait scratch; os floating ip delete "$scratch"; openstack --os-cloud kilonova-admin flavor delete m1.scratch

echo "--- nothing left over"
check "the second server is deleted" os server delete --wait second
os floating ip delete "$fip2"
within 30 sh -c "[ \"\$(ip -o link | grep -c 'tap')\" -le \"$(echo "$filled" | grep -c 'link tap')\" ]"
left=$(diff <(echo "$filled") <(picture) | grep '^>' || true)
[ -z "$left" ] && ok "the host is as before" || { bad "left on the host"; echo "$left"; }
check "a second make cloud changes nothing" make -s cloud
check "make cloud-down" make -s cloud-down
left=$(comm -13 <(echo "$before") <(picture) | grep -vE '^[0-9a-f-]{36}$' || true)
[ -z "$left" ] && ok "nothing of the cloud runs any more" || { bad "left after cloud-down"; echo "$left"; }
check "make cloud brings it back, with its server" make -s cloud
check "make cloud-clean" make -s cloud-clean
left=$(comm -13 <(echo "$before") <(picture) || true)
[ -z "$left" ] && ok "nothing is left" || { bad "left after cloud-clean"; echo "$left"; }
grep -c 'level=ERROR' $log 2>/dev/null
echo "$passed passed, $failed failed"
[ $failed = 0 ]
