// Package libvirt runs guests in QEMU through libvirt's own protocol: no cgo, no
// virsh. It owns the domains, the folders below instances_path, the tap devices
// and the iSCSI secrets that it makes, and nothing else on the host: a domain is
// its own when its folder is there or its metadata carries the mark of this
// instances_path, so that guests of other people on the same libvirt are left
// alone, also those of another cloud.
//
// It ends at libvirt's socket, qemu-img and netlink. It wires no network (the
// tap is left down and unbridged for the network agent), fetches no image and
// remembers nothing: whatever it must know later is in the domain's XML.
//
// A guest that moves is put aside in a folder of its own, ID_resize, and its disk
// is read from there by the host where it goes, through the agents; hosts need not
// reach one another by ssh and share no disk. Guests are not carried while they
// run: hypervisor.LiveMigrator is not implemented.
//
// What a host must provide:
//   - libvirtd (or virtqemud) with the QEMU driver, and virtlogd: it keeps the
//     console logs and bounds them (max_size, max_backups in virtlogd.conf);
//   - /dev/kvm, if present, readable and writable by the user that QEMU runs as
//     (Debian: mode 0660, group kvm). Otherwise libvirt probes QEMU anew before
//     each start, which costs seconds;
//   - an init that reaps orphans at once: libvirt waits for the zombies of QEMU;
//   - qemu.conf as the distribution ships it will do; in a container whose
//     cgroups cannot be written, cgroup_controllers = [];
//   - qemu-block-extra for iSCSI volumes.
package libvirt
