# The cases: what is put before the guest, and what it must make of it.
# shellcheck shell=bash disable=SC2016 # the guest expands, not we

# meta_data UUID NAME prints an OpenStack meta_data.json, keys and odd characters in it.
meta_data() {
	cat <<-JSON
	{"uuid": "$1", "name": "$2", "hostname": "$2.example.org", "launch_index": 0,
	 "public_keys": {"my.key": "$(cat "$work/key.pub")\n"}, "keys": [{"name": "my.key", "type": "ssh"}],
	 "admin_pass": "se\"cr\\\\et /&", "meta": {"role": "web = front", "sign": "\u00fc \"quoted\""}, "devices": []}
	JSON
}

user_data() {
	cat <<-'SCRIPT'
	#!/bin/sh
	echo "user-data speaks as $(id -un) on $(hostname)"
	echo run >> /root/user-data-runs
	httpd -p 8080 -h /etc
	exit 3
	SCRIPT
}

# tree DIR UUID NAME: the folder of a config drive or of a metadata service.
tree() {
	mkdir -p "$1/openstack/latest"
	meta_data "$2" "$3" > "$1/openstack/latest/meta_data.json"
	user_data > "$1/openstack/latest/user_data"
}

# wait_for_boot CASE: reports the times and whether the guest came up at all. ssh is
# asked from the start, so that its time is that of the first answer. Fails without ssh,
# and the case has then nothing more to ask.
wait_for_boot() {
	wait_for "$patience" guest true
	local ssh_ok=$? ssh_at=$(($(milliseconds) - started))
	check "$1: ssh with the key of the metadata" [ $ssh_ok = 0 ]
	[ $ssh_ok = 0 ] || return 1
	check "$1: boot finishes" wait_for "$patience" console_has 'guest: boot finished'
	local at=$(($(milliseconds) - started))
	echo "      ssh login after $ssh_at ms, finished after $at ms; in the guest's time: $(guest_times)"
}

guest_times() {
	sed -n 's/.*guest: userland at \([0-9.]*s\).*/userland \1/p; s/.*guest: ssh listens at \([0-9.]*s\).*/ssh \1/p
		s/.*guest: boot finished at \([0-9.]*s\).*/finished \1/p' "$console" | tr '\n' ' '
}

# power_button: QEMU ends within 15 seconds of it.
power_button() {
	local pressed
	pressed=$(milliseconds)
	qmp_does '{"execute": "system_powerdown"}'
	wait_for_end 15 || return 1
	echo "      off $(($(milliseconds) - pressed)) ms after the power button"
}

root_megabytes_over() {
	local size
	size=$(guest "df -m / | awk 'NR == 2 { print \$2 }'")
	[ "${size:-0}" -gt "$1" ]
}

no_password_by_ssh() {
	local words
	words=$(ssh -v -F /dev/null -p "$ssh_port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
		-o IdentityFile=none -o ConnectTimeout=10 cloud@127.0.0.1 true < /dev/null 2>&1)
	tr -d '\r' <<< "$words" | grep -q 'can continue: publickey$'
}

host_key() { guest 'dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key | grep ^Fingerprint'; }

# hot_plug CASE BUS: a disk with a file system comes and goes while the guest runs.
hot_plug() {
	truncate -s 32M "$work/extra.raw"
	mke2fs -q -t ext4 "$work/extra.raw"
	check "$1: QEMU takes a second disk" qmp_does \
		"{\"execute\": \"blockdev-add\", \"arguments\": {\"driver\": \"raw\", \"node-name\": \"extra\", \"file\": {\"driver\": \"file\", \"filename\": \"$work/extra.raw\"}}}" \
		"{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"virtio-blk-pci\", \"id\": \"extra\", \"drive\": \"extra\", \"bus\": \"$2\", \"serial\": \"vol-1\"}}"
	check "$1: the disk is announced with its serial" wait_for 20 console_has 'guest: disk vd[a-z] is here: 65536 sectors, serial vol-1'
	check "$1: its file system is mounted" wait_for 20 guest 'grep -q "/media/vd" /proc/mounts'
	guest 'dd if=/dev/urandom of=$(echo /media/vd*)/data bs=64k count=16 2> /dev/null; sync'
	qmp_does '{"execute": "device_del", "arguments": {"id": "extra"}}'
	check "$1: the disk goes" wait_for 20 console_has 'guest: disk vd[a-z] is gone'
	check "$1: and leaves no mount" says '' 'grep /media/vd /proc/mounts; ls /media'
}

# An ISO on a CD-ROM, two NICs, everything there is to check inside, a reboot.
check_config_drive() {
	local keys
	tree "$work/drive" 11111111-2222-3333-4444-555555555555 first
	xorrisofs -quiet -R -J -V config-2 -o "$work/drive.iso" "$work/drive" 2> /dev/null || die "the config drive cannot be made."
	new_disk config-drive 1G
	start_machine config-drive '' -drive "file=$work/drive.iso,media=cdrom,readonly=on" \
		-netdev user,id=net1,net=10.9.0.0/24 -device virtio-net-pci,netdev=net1 -device virtio-scsi-pci,id=scsi
	wait_for_boot "config drive" || { stop_machine; return; }

	check "ssh as root" guest root@ true
	check "ssh offers no password login" no_password_by_ssh
	check "host name" says first hostname
	check "root file system grown to the disk" wait_for 20 root_megabytes_over 900
	check "user-data ran, output on the console" console_has 'user-data speaks as root on first'
	check "its exit status is told" console_has 'guest: user-data rc=3'
	check "its server answers" says first 'wget -q -O - http://127.0.0.1:8080/hostname'
	check "meta on the console" console_has 'guest: meta.role=web = front'
	check "meta by the metadata command" says 'ü "quoted"' 'metadata meta.sign'
	check "metadata command fails for what is not there" says 1 'metadata meta.none; echo $?'
	check "an address on each NIC" says 2 'ip -4 -o addr show | grep -c "eth[01] .*scope global"'
	check "console login with the password of the metadata" python3 "$here/check/console.py" "$work/serial" \
		'login:' cloud 'Password:' 'se"cr\et /&' '# ' 'echo $((40 + 2))@$(tty)' '42@/dev/ttyS0' exit 'login:'
	check "getty on the screen" guest 'ps | grep -q "[g]etty.*tty1"'
	check "tools for tests" says '' 'for tool in ping arping ip nc wget httpd dd md5sum mkfs.ext4 mount uname poweroff reboot; do command -v $tool > /dev/null || echo $tool; done'
	check "mkfs.ext4 and mount" guest 'dd if=/dev/zero of=/fs bs=1M count=8 2> /dev/null && mkfs.ext4 -q -F /fs && mount -o loop /fs /mnt && umount /mnt && rm /fs'
	check "ping" guest 'ping -c 1 10.0.2.2 > /dev/null'
	check "arping" guest 'arping -c 1 -I eth0 10.0.2.2 > /dev/null'
	hot_plug "virtio" pci.0
	check "QEMU takes a third NIC" qmp_does '{"execute": "netdev_add", "arguments": {"type": "user", "id": "net2", "net": "10.8.0.0/24"}}' \
		'{"execute": "device_add", "arguments": {"driver": "virtio-net-pci", "netdev": "net2", "id": "nic2"}}'
	check "it gets an address" wait_for 30 console_has 'guest: eth2 .* 10\.8\.0\.15/24'

	keys=$(host_key)
	guest 'sync; reboot'
	# A warm start is slow under emulation: see the traps in the README.
	check "reboot comes back" wait_for $((2 * patience)) console_has 'guest: boot finished' 2
	check "user-data is not repeated" says run 'cat /root/user-data-runs'
	check "the host key is kept" [ -n "$keys" -a "$(host_key)" = "$keys" ]
	check "power button" power_button
	stop_machine
}

# The metadata service, OpenStack's tree; the q35 machine; poweroff from inside.
check_openstack_service() {
	tree "$work/openstack" 21111111-2222-3333-4444-555555555555 second
	new_disk openstack 300M
	start_machine openstack ",net=169.254.169.0/24,guestfwd=tcp:169.254.169.254:80-cmd:python3 $here/check/httpd.py $work/openstack" \
		-machine q35 -device pcie-root-port,id=spare,chassis=1,slot=1
	wait_for_boot "metadata service" || { stop_machine; return; }
	check "metadata from OpenStack's tree" console_has 'metadata from openstack: instance 21111111-.*, host second, 1 key'
	check "user-data from the service" says run 'cat /root/user-data-runs'
	hot_plug "q35" spare
	guest poweroff
	check "poweroff from inside" wait_for_end 15
	stop_machine
}

# EC2's tree alone.
check_ec2_service() {
	local dir=$work/ec2/latest
	mkdir -p "$dir/meta-data/public-keys/0"
	printf i-00000003 > "$dir/meta-data/instance-id"
	printf third.example.org > "$dir/meta-data/local-hostname"
	printf '0=my.key' > "$dir/meta-data/public-keys/index"
	cp "$work/key.pub" "$dir/meta-data/public-keys/0/openssh-key"
	user_data > "$dir/user-data"
	new_disk ec2 300M
	start_machine ec2 ",net=169.254.169.0/24,guestfwd=tcp:169.254.169.254:80-cmd:python3 $here/check/httpd.py $work/ec2"
	wait_for_boot "EC2 metadata" || { stop_machine; return; }
	check "metadata from EC2's tree" console_has 'metadata from ec2: instance i-00000003, host third, 1 key'
	check "user-data from EC2's tree" says run 'cat /root/user-data-runs'
	stop_machine
}

# A config drive that is a FAT volume on a SCSI disk; a large root disk.
check_fat_drive() {
	tree "$work/fat" 41111111-2222-3333-4444-555555555555 fourth
	truncate -s 64M "$work/fat.raw"
	mkfs.vfat -n config-2 "$work/fat.raw" > /dev/null 2>&1
	mcopy -s -i "$work/fat.raw" "$work/fat/openstack" :: || die "the FAT config drive cannot be made."
	new_disk fat 20G
	start_machine fat '' -drive "file=$work/fat.raw,format=raw,if=none,id=fat" -device virtio-scsi-pci -device scsi-hd,drive=fat
	wait_for_boot "FAT config drive" || { stop_machine; return; }
	check "metadata from the FAT volume" console_has 'metadata from config-drive: instance 41111111-.*, host fourth, 1 key'
	check "the config drive is not taken for a volume" says '' 'ls /media'
	check "a root of 20 GB" wait_for 60 root_megabytes_over 19000
	check "power button" power_button
	stop_machine
}
