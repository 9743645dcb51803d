# One virtual machine at a time: start, talk to, stop.
# shellcheck shell=bash

milliseconds() { date +%s%3N; }

# free_port prints a TCP port of loopback that nobody listens on now.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# new_disk NAME SIZE makes $work/NAME.qcow2, a copy-on-write child of the image.
new_disk() {
	qemu-img create -q -f qcow2 -F qcow2 -b "$image" "$work/$1.qcow2" "$2" || die "the disk $1 cannot be made."
}

# start_machine NAME NETDEV_OPTIONS QEMU_ARGS...: boots $work/NAME.qcow2 behind QEMU's
# user-mode network. Sets console, the file with the text of the serial port.
start_machine() {
	local name=$1 net=$2
	shift 2
	console=$work/$name.console
	ssh_port=$(free_port)
	rm -f "$work/qmp" "$work/serial" "$console"
	started=$(milliseconds)
	qemu-system-x86_64 -accel "$accel" -m 128 -display none -monitor none \
		-chardev "socket,id=serial,path=$work/serial,server=on,wait=off,logfile=$console" -serial chardev:serial -qmp "unix:$work/qmp,server=on,wait=off" \
		-drive "file=$work/$name.qcow2,if=none,id=root" -device virtio-blk-pci,drive=root,bootindex=0 -device virtio-rng-pci \
		-netdev "user,id=net0,hostfwd=tcp:127.0.0.1:$ssh_port-:22$net" -device virtio-net-pci,netdev=net0 \
		"$@" > "$work/qemu.log" 2>&1 &
	machine=$!
}

stop_machine() {
	[ -n "${machine:-}" ] || return 0
	kill "$machine" 2> /dev/null
	wait "$machine" 2> /dev/null
	machine=
}

# runs tells whether QEMU still does.
runs() { kill -0 "$machine" 2> /dev/null; }

# wait_for SECONDS COMMAND...: repeats the command until it succeeds; fails when the time
# is over or QEMU has ended.
wait_for() {
	local until=$(($(milliseconds) + $1 * 1000))
	shift
	until "$@"; do
		if ! runs || [ "$(milliseconds)" -ge $until ]; then return 1; fi
		sleep 0.1
	done
}

# wait_for_end SECONDS: QEMU ends by itself within that time.
wait_for_end() {
	local until=$(($(milliseconds) + $1 * 1000))
	while runs; do
		[ "$(milliseconds)" -lt $until ] || return 1
		sleep 0.1
	done
	machine=
}

# console_has PATTERN [TIMES]
console_has() { [ "$(grep -c -E -- "$1" "$console" 2> /dev/null)" -ge "${2:-1}" ]; }

qmp() { python3 "$here/check/qmp.py" "$work/qmp" "$@"; }

qmp_does() { qmp "$@" > "$work/qmp.log"; }

# guest [USER@] COMMAND: runs a command in the guest by ssh.
guest() {
	local user=cloud
	case $1 in *@) user=${1%@} && shift ;; esac
	ssh -q -F /dev/null -i "$work/key" -p "$ssh_port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=1 "$user@127.0.0.1" "$1" < /dev/null 2>> "$work/ssh.log"
}

# check NAME COMMAND...: one line of the report.
check() {
	local name=$1
	shift
	if "$@"; then
		echo "ok    $name"
	else
		echo "FAIL  $name"
		failed=$((failed + 1))
	fi
}

# says TEXT COMMAND: the guest prints exactly this.
says() {
	local got
	# The last word tells no output from no ssh.
	got=$(guest "{ $2; }; echo end")
	[ "$got" = "${1:+$1$'\n'}end" ] || {
		echo "      got: $got"
		return 1
	}
}
