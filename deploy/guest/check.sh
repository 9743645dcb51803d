#!/bin/bash
# Boots the tiny guest under QEMU and looks whether it does what its README says.
#
#   check.sh [IMAGE]      default: out/guest.qcow2, beside this file
#   check.sh --packages   prints the packages a check needs
#
# QEMU emulates (TCG), unless GUEST_ACCEL=kvm. All traffic stays on loopback. Prints a
# line "ok" or "FAIL" for each check; ends with 1 when one failed. The consoles are
# printed after a failure, or kept in GUEST_LOGS, a folder.
set -uo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

here=$(dirname "$(readlink -f "$0")")
check_packages="qemu-system-x86 qemu-utils openssh-client python3 xorriso mtools dosfstools e2fsprogs"
accel=${GUEST_ACCEL:-tcg}
patience=${GUEST_PATIENCE:-180}    # seconds for a boot, on a busy host

# shellcheck source=check/machine.sh
. "$here/check/machine.sh"
# shellcheck source=check/cases.sh
. "$here/check/cases.sh"

die() {
	echo "guest check: $*" >&2
	exit 2
}

cleanup() {
	stop_machine
	[ -z "${GUEST_LOGS:-}" ] || { mkdir -p "$GUEST_LOGS" && cp "$work"/*.console "$GUEST_LOGS/"; }
	rm -rf "$work"
}

main() {
	case ${1:-} in
	--packages)
		echo "$check_packages"
		return
		;;
	-*) die "unknown option $1. Usage: check.sh [IMAGE] | --packages" ;;
	esac
	image=$(readlink -f "${1:-$here/out/guest.qcow2}")
	[ -s "$image" ] || die "there is no image $image; build.sh makes one."
	local tool missing=
	for tool in qemu-system-x86_64 qemu-img ssh ssh-keygen python3 xorrisofs mcopy mkfs.vfat mke2fs; do
		command -v $tool > /dev/null || missing="$missing $tool"
	done
	[ -z "$missing" ] || die "these tools are missing:$missing. Install them: apt-get install -y \$($0 --packages)"

	work=$(mktemp -d)
	trap cleanup EXIT
	trap 'exit 130' INT TERM
	failed=0
	ssh-keygen -q -t ed25519 -N '' -C check@host -f "$work/key"

	check_config_drive
	check_openstack_service
	check_ec2_service
	check_fat_drive

	if [ $failed -gt 0 ]; then
		[ -n "${GUEST_LOGS:-}" ] || tail -n +1 "$work"/*.console
		echo "guest check: $failed checks failed"
		exit 1
	fi
	echo "guest check: all is well"
}

main "$@"
