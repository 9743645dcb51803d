# The root file system as a folder.
# shellcheck shell=bash

# What is taken from packages beside busybox, and where it goes.
root_programs="usr/sbin/dropbear:sbin usr/bin/dropbearkey:bin usr/bin/dbclient:bin
	usr/sbin/resize2fs:sbin usr/sbin/mke2fs:sbin"

# loader ARGS... is the guest's own dynamic loader, at work among the unpacked packages:
# it runs their programs and finds their libraries, whatever this host has.
loader() {
	local usr=$work/packages/usr
	"$usr/lib64/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$usr/lib/x86_64-linux-gnu:$usr/lib" "$@"
}

make_rootfs() {
	say "root file system"
	root=$work/root
	mkdir -p "$root"/{bin,sbin,lib/x86_64-linux-gnu,lib64,usr,boot,dev,proc,sys,run,tmp,mnt,media} \
		"$root"/{root,home/cloud,etc/dropbear,var/{lib/guest,log,tmp}}
	chmod 700 "$root/root" "$root/home/cloud"
	chmod 1777 "$root/tmp" "$root/var/tmp"
	local dir
	for dir in bin sbin lib lib64; do ln -s "../$dir" "$root/usr/$dir"; done
	ln -s ../run "$root/var/run"

	install_busybox
	local entry program
	for entry in $root_programs; do
		program=$work/packages/${entry%:*}
		[ -f "$program" ] || die "the packages hold no ${entry%:*}."
		cp "$program" "$root/${entry#*:}/"
		install_libraries "$program"
	done
	cp -L "$work/packages/usr/lib64/ld-linux-x86-64.so.2" "$root/lib64/"
	ln -sf mke2fs "$root/sbin/mkfs.ext4"
	ln -sf mke2fs "$root/sbin/mkfs.ext3"
	ln -sf dbclient "$root/bin/ssh"

	install_modules "$root" "$recipe/build/kernel-modules.boot" "$recipe/build/kernel-modules.root"
	# The files of the recipe come last: they win over an applet of the same name.
	cp -r --remove-destination "$recipe/rootfs/." "$root/"
	chmod 600 "$root/etc/shadow"
	chown -R 0:0 "$root"
}

# install_libraries PROGRAM copies each shared library that it needs.
install_libraries() {
	local listing library
	listing=$(loader --list "$1") || die "a library of $1 is in none of the packages: $listing"
	for library in $(sed -n 's/.* => \([^ ]*\) (.*/\1/p' <<< "$listing"); do
		[ -f "$library" ] || die "$1 needs $library, which is in none of the packages."
		cp -L --update "$library" "$root/lib/x86_64-linux-gnu/"
	done
}

install_busybox() {
	local busybox=$work/packages/usr/bin/busybox applets applet
	if [ -f "$busybox" ]; then
		install_libraries "$busybox"
		applets=$(loader "$busybox" --list)
	else
		busybox=$work/static/usr/bin/busybox
		applets=$("$busybox" --list)
	fi
	cp "$busybox" "$root/bin/busybox"
	for applet in $applets; do
		[ "$applet" = busybox ] || ln -sf /bin/busybox "$root/bin/$applet"
	done
	# Those that the kernel, init and habit look for in /sbin.
	for applet in init getty poweroff reboot halt modprobe; do
		ln -sf /bin/busybox "$root/sbin/$applet"
	done
	# What would work on files of packages, of which there are none.
	rm -f "$root"/bin/{dpkg,dpkg-deb,rpm,rpm2cpio,linuxrc}
	# mkfs.ext4 and its kin come from e2fsprogs.
	rm -f "$root"/bin/{mke2fs,mkfs.ext2}
}
