#!/bin/bash
# Builds the tiny guest, a bootable disk image for tests, out of distribution packages.
#
#   build.sh [OUTDIR]     default: out, beside this file
#   build.sh --packages   prints the packages a build needs on this host
#
# OUTDIR receives guest.qcow2 and, for images in three parts, vmlinuz, initrd and
# rootfs.ext4. Downloads are kept in OUTDIR/cache. Nothing is done when the recipe and
# the versions of the packages are those of the last build.
#
# Run as root (or under fakeroot) on Debian 12, 13 or Ubuntu 24.04, amd64, after an
# apt-get update. Settings: GUEST_KERNEL, the kernel's package; GUEST_DISK_MB, the size
# of the disk before it grows (96).
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

recipe=$(dirname "$(readlink -f "$0")")
build_packages="apt dpkg tar coreutils cpio e2fsprogs fdisk gzip kmod qemu-utils xz-utils zstd"

say() { echo "guest image: $*"; }
die() {
	echo "guest image: $*" >&2
	exit 1
}

# shellcheck source=build/packages.sh
. "$recipe/build/packages.sh"
# shellcheck source=build/kernel.sh
. "$recipe/build/kernel.sh"
# shellcheck source=build/rootfs.sh
. "$recipe/build/rootfs.sh"
# shellcheck source=build/disk.sh
. "$recipe/build/disk.sh"

check_host() {
	[ "$(id -u)" = 0 ] || die "run this as root, or under fakeroot: the files of the guest belong to root."
	[ "$(dpkg --print-architecture)" = amd64 ] || die "only amd64 guests can be built, and this host is $(dpkg --print-architecture)."
	local tool missing=
	for tool in apt-get apt-cache dpkg-deb tar cpio mke2fs sfdisk depmod modprobe qemu-img xz zstd; do
		command -v $tool > /dev/null || missing="$missing $tool"
	done
	[ -z "$missing" ] || die "these tools are missing:$missing. Install them: apt-get install -y \$($0 --packages)"
}

# fingerprint prints what the image depends on: the recipe and the packages' versions.
fingerprint() {
	{
		(cd "$recipe" && find build.sh build initramfs rootfs -type f -printf '%m ' -exec sha256sum {} \;) | sort -k 3
		echo "disk $disk_mb"
		echo "$package_versions"
	} | sha256sum | cut -d ' ' -f 1
}

main() {
	case ${1:-} in
	--packages)
		echo "$build_packages"
		return
		;;
	-*) die "unknown option $1. Usage: build.sh [OUTDIR] | --packages" ;;
	esac
	check_host
	out=${1:-$recipe/out}
	disk_mb=${GUEST_DISK_MB:-96}
	mkdir -p "$out/cache"
	out=$(readlink -f "$out")
	exec 9> "$out/.lock"
	flock -n 9 || die "another build works in $out."

	choose_packages
	local print
	print=$(fingerprint)
	if [ "$(cat "$out/.fingerprint" 2> /dev/null)" = "$print" ] && [ -s "$out/guest.qcow2" ]; then
		say "$out/guest.qcow2 is up to date."
		return
	fi
	rm -f "$out/.fingerprint"

	# Parts are made in a folder of their own and moved at the end, each at once.
	work=$(mktemp -d "$out/.work.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir "$work/done"
	download_packages
	unpack_packages
	make_kernel
	make_initramfs
	make_rootfs
	make_disk
	mv -f "$work"/done/* "$out/"
	echo "$print" > "$out/.fingerprint"
	say "done: $out/guest.qcow2, $(du -h --apparent-size "$out/guest.qcow2" | cut -f 1)iB, kernel $kernel_version"
}

main "$@"
