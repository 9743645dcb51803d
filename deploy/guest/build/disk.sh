# File system images and the bootable disk, all written without a mount.
# shellcheck shell=bash

# make_ext4 FILE SIZE [EXTENDED_OPTION]: the folder $root as an ext4 file system in FILE.
# resize= leaves room to grow to 1 TiB while mounted; the features taken away are those
# that GRUB 2.06 or an older e2fsck do not know.
make_ext4() {
	mke2fs -q -F -t ext4 -b 4096 -I 256 -i 8192 -m 0 -J size=4 -O ^metadata_csum_seed,^orphan_file \
		-E "root_owner=0:0,resize=268435456,lazy_itable_init=1,lazy_journal_init=1${3:+,$3}" \
		-L guestroot -d "$root" "$1" "$2" > "$work/mke2fs.log" 2>&1 ||
		die "the root file system does not fit or cannot be made: $(tail -n 3 "$work/mke2fs.log")"
}

# make_grub writes $work/core.img: GRUB with the configuration and what it needs inside.
make_grub() {
	local modules=$work/packages/usr/lib/grub/i386-pc
	# The reader of an embedded configuration knows no comments.
	grep -v '^#' "$recipe/build/grub.cfg" > "$work/grub.cfg"
	loader "$work/packages/usr/bin/grub-mkimage" -d "$modules" -O i386-pc -p '(hd0,msdos1)/boot/grub' -c "$work/grub.cfg" \
		-o "$work/core.img" biosdisk part_msdos ext2 linux boot || die "GRUB's image cannot be made."
	[ "$(stat -c %s "$work/core.img")" -le $((2047 * 512)) ] || die "GRUB's image does not fit before the partition."
}

# make_disk: sector 0 GRUB's boot code and the partition table, sectors 1 to 2047 the
# rest of GRUB, then one partition to the end.
make_disk() {
	say "disk"
	local disk=$work/disk.raw
	make_ext4 "$work/done/rootfs.ext4" $((disk_mb / 2))M
	mkdir -p "$root/boot"
	cp "$work/done/vmlinuz" "$work/done/initrd" "$root/boot/"
	make_grub
	truncate -s "${disk_mb}M" "$disk"
	echo '2048,,83,*' | sfdisk -q --label dos "$disk" || die "the partition table cannot be written."
	make_ext4 "$disk" "$((disk_mb - 1))M" offset=$((2048 * 512))
	dd if="$work/packages/usr/lib/grub/i386-pc/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
	dd if="$work/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
	qemu-img convert -O qcow2 -c "$disk" "$work/done/guest.qcow2"
}
