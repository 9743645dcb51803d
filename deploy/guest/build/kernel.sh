# The kernel, its modules and the initramfs.
# shellcheck shell=bash

make_kernel() {
	kernel_version=$(basename "$(find "$work/packages/usr/lib/modules" -mindepth 1 -maxdepth 1 -type d | sort -V | tail -n 1)")
	# Ubuntu's kernel is readable by root alone; a hypervisor needs to read it.
	install -m 644 "$work/packages/boot/vmlinuz-$kernel_version" "$work/done/vmlinuz" ||
		die "the packages ${kernel_packages[*]} hold no kernel."
	depmod -b "$work/packages" "$kernel_version" || die "the modules of kernel $kernel_version cannot be listed."
}

# install_modules DIR LIST...: the modules of the lists with all they depend on, not
# compressed (busybox cannot load the distributions' .xz and .zst), and their index.
install_modules() {
	local dir=$1 modules name file target
	shift
	modules=lib/modules/$kernel_version
	mkdir -p "$dir/$modules"
	for name in $(grep -hv '^#' "$@"); do
		# Prints "insmod FILE" for each; "builtin NAME" and unknown names give nothing.
		modprobe -d "$work/packages" -S "$kernel_version" --show-depends "$name" 2> /dev/null |
			sed -n 's/^insmod \([^ ]*\).*/\1/p' || true
	done | sort -u > "$work/modules"
	while read -r file; do
		target=$dir/$modules/kernel/${file##*/kernel/}
		mkdir -p "$(dirname "$target")"
		case $file in
		*.ko.xz) xz -dc "$file" > "${target%.xz}" ;;
		*.ko.zst) zstd -qdc "$file" > "${target%.zst}" ;;
		*.ko.gz) gzip -dc "$file" > "${target%.gz}" ;;
		*) cp "$file" "$target" ;;
		esac
	done < "$work/modules"
	cp "$work/packages/$modules"/modules.{builtin,builtin.modinfo,order} "$dir/$modules/"
	depmod -b "$dir" "$kernel_version"
	# busybox reads these two and no other.
	find "$dir/$modules" -maxdepth 1 -name 'modules.*' ! -name modules.dep ! -name modules.alias -delete
}

make_initramfs() {
	say "initramfs for kernel $kernel_version"
	local dir=$work/initramfs
	mkdir -p "$dir"/{bin,lib/guest,dev,proc,sys,run,new}
	cp "$work/static/bin/busybox" "$dir/bin/"
	cp "$recipe/initramfs/init" "$dir/init"
	cp "$recipe/rootfs/lib/guest/volume" "$dir/lib/guest/"
	chmod 755 "$dir/init"
	install_modules "$dir" "$recipe/build/kernel-modules.boot"
	(cd "$dir" && find . | sort | cpio -o -H newc -R 0:0 --quiet) | zstd -q -19 > "$work/done/initrd"
}
