# Packages: which, where from, unpacked where. Nothing is installed on this host.
# shellcheck shell=bash

# What the guest is made of, and what makes it bootable. apt works out what these need
# as if nothing were installed, so no name of a library stands anywhere in the recipe.
wanted_packages="dropbear-bin e2fsprogs grub-common grub-pc-bin"

# apt_plan runs apt-get install on an empty system with the given options.
apt_plan() {
	: > "$out/cache/.empty"
	mkdir -p "$out/cache/partial"
	apt-get -qq -y --no-install-recommends -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
		-o Dir::State::status="$out/cache/.empty" -o Dir::Cache::archives="$out/cache/" \
		-o Dir::Cache::pkgcache="$out/cache/.pkgcache" -o Dir::Cache::srcpkgcache= \
		install "$@"
}

available() { [ -n "$(apt-cache show --no-all-versions "$1" 2> /dev/null)" ]; }

# depends PACKAGE PATTERN prints its direct dependencies that match, the newest last.
depends() {
	apt-cache depends "$1" 2> /dev/null | sed -n 's/^ *|\{0,1\}Depends: //p' | grep -E "$2" | sort -V | uniq
}

# choose_packages sets closure_packages and single_packages, what to ask for; closure_names,
# all that comes of the former; package_versions, lines "name version" of everything.
choose_packages() {
	local meta package
	kernel_packages=()
	for meta in ${GUEST_KERNEL:-linux-image-cloud-amd64 linux-image-virtual}; do
		available "$meta" || continue
		package=$(depends "$meta" '^linux-image-[0-9]' | tail -n 1)
		package=${package:-$meta}
		# Ubuntu keeps the modules in a package beside the kernel.
		mapfile -t kernel_packages < <(echo "$package"; depends "$package" '^linux-(modules|binary)-')
		break
	done
	[ ${#kernel_packages[@]} -gt 0 ] || die "apt knows no kernel package (${GUEST_KERNEL:-linux-image-cloud-amd64 or linux-image-virtual}). Run apt-get update, or name one in GUEST_KERNEL."

	# One busybox is linked statically, for the initramfs; the two cannot be installed
	# together. Where there is no other, it serves the root file system as well.
	single_packages=("${kernel_packages[@]}" busybox-static)
	for package in $wanted_packages busybox-static; do
		available "$package" || die "apt knows no package $package. Run apt-get update; on Ubuntu, universe must be enabled."
	done
	read -r -a closure_packages <<< "$wanted_packages"
	if available busybox; then closure_packages+=(busybox); fi

	local plan
	plan=$(apt_plan --simulate "${closure_packages[@]}") || die "apt finds no way to provide ${closure_packages[*]}."
	mapfile -t closure_names < <(awk '$1 == "Inst" { print $2 }' <<< "$plan")
	package_versions=$(
		# "Inst libc6 (2.36-9+deb12u14 Debian:12/stable [amd64])"
		sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1 \2/p' <<< "$plan"
		apt-cache show --no-all-versions "${single_packages[@]}" |
			awk '$1 == "Package:" { name = $2 } $1 == "Version:" { print name, $2 }'
	)
}

download_packages() {
	say "downloading ${kernel_packages[0]}, busybox, dropbear and what they need"
	apt_plan --download-only "${closure_packages[@]}" > /dev/null || die "the packages cannot be downloaded; see apt's words above."
	local package
	for package in "${single_packages[@]}"; do
		(cd "$out/cache" && apt-get -qq -o APT::Sandbox::User=root download "$package" > /dev/null) ||
			die "the package $package cannot be downloaded; see apt's words above."
	done
}

# package_file NAME prints the newest cached file of a package.
package_file() {
	find "$out/cache" -maxdepth 1 -name "$1_*.deb" | sort -V | tail -n 1
}

# unpack FILE DIR: the folders that a merged /usr has moved become one again, whichever
# side of the move a package was built on.
unpack() {
	local dir
	if [ ! -d "$2/usr" ]; then
		mkdir -p "$2/usr"
		for dir in bin sbin lib lib64; do
			mkdir "$2/usr/$dir"
			ln -s "usr/$dir" "$2/$dir"
		done
	fi
	dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2" || die "$1 cannot be unpacked."
}

# unpack_packages fills $work/packages with everything, $work/static with the static busybox.
unpack_packages() {
	say "unpacking"
	local name
	for name in "${closure_names[@]}" "${kernel_packages[@]}"; do
		unpack "$(package_file "$name")" "$work/packages"
	done
	unpack "$(package_file busybox-static)" "$work/static"
}
