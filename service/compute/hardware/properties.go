package hardware

import (
	"strings"

	"kilonova/internal/fault"
)

var (
	diskBuses   = lowerEnum("fdc", "ide", "sata", "scsi", "usb", "virtio", "xen", "lxc", "uml")
	soundModels = []string{"sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio"}
	usbModels   = []string{"piix3-uhci", "piix4-uhci", "ehci", "ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3", "vt82c686b-uhci", "pci-ohci", "nec-xhci",
		"qemu-xhci", "none"}
	architectures = lowerEnum("alpha", "armv6", "armv7l", "armv7b", "aarch64", "cris", "i686", "ia64", "lm32", "loongarch64", "m68k", "microblaze", "microblazeel", "mips",
		"mipsel", "mips64", "mips64el", "openrisc", "parisc", "parisc64", "ppc", "ppcle", "ppc64", "ppc64le", "ppcemb", "riscv64", "s390", "s390x", "sh4", "sh4eb", "sparc",
		"sparc64", "unicore32", "x86_64", "xtensa", "xtensaeb",
		// names that mean one of them
		"i386", "i486", "i586", "amd64", "x86_32", "arm64")
	vifModels = lowerEnum("virtio", "ne2k_pci", "pcnet", "rtl8139", "e1000", "e1000e", "netfront", "spapr-vlan", "lan9118", "sriov", "vmxnet", "vmxnet3", "igb",
		"virtuale1000", "virtuale1000e", "virtualpcnet32", "virtualsriovethernetcard", "virtualvmxnet", "virtualvmxnet3")
	hypervisors = lowerEnum("baremetal", "bhyve", "docker", "fake", "hyperv", "ironic", "kqemu", "kvm", "lxc", "lxd", "openvz", "parallels", "vz", "phyp", "qemu",
		"test", "uml", "vbox", "vmware", "xen", "zvm", "prsm", "xapi")
)

// memoryEncryptions are the ways in which processors encrypt guests' memory.
var memoryEncryptions = enum("amd-sev", "amd-sev-es", "amd-sev-snp")

// properties are what an image may say of the guests made from it. Truth values
// are not checked: whatever is not true is false.
var properties = map[string]value{
	"hw_architecture":                     architectures,
	"hw_emulation_architecture":           architectures,
	"hw_auto_disk_config":                 anything,
	"hw_boot_menu":                        anything,
	"hw_cdrom_bus":                        diskBuses,
	"hw_cpu_cores":                        whole,
	"hw_cpu_sockets":                      whole,
	"hw_cpu_threads":                      whole,
	"hw_cpu_max_cores":                    whole,
	"hw_cpu_max_sockets":                  whole,
	"hw_cpu_max_threads":                  whole,
	"hw_cpu_policy":                       enum("dedicated", "shared", "mixed"),
	"hw_cpu_thread_policy":                enum("prefer", "isolate", "require"),
	"hw_cpu_realtime_mask":                anything,
	"hw_device_id":                        whole,
	"hw_disk_bus":                         diskBuses,
	"hw_disk_type":                        anything,
	"hw_ephemeral_encryption":             anything,
	"hw_ephemeral_encryption_format":      enum("plain", "luks", "luksv2"),
	"hw_ephemeral_encryption_secret_uuid": anything,
	"hw_firmware_type":                    lowerEnum("uefi", "bios"),
	"hw_firmware_stateless":               anything,
	"hw_floppy_bus":                       diskBuses,
	"hw_input_bus":                        enum("usb", "virtio"),
	"hw_ipxe_boot":                        anything,
	"hw_locked_memory":                    anything,
	"hw_machine_type":                     anything,
	"hw_maxphysaddr_mode":                 enum("passthrough", "emulate"),
	"hw_maxphysaddr_bits":                 whole,
	"hw_mem_encryption":                   anything,
	"hw_mem_encryption_model":             memoryEncryptions,
	"hw_mem_page_size":                    anything,
	"hw_numa_nodes":                       whole,
	"hw_numa_cpus":                        anything, // as hw_numa_cpus.N and hw_numa_mem.N
	"hw_numa_mem":                         anything,
	"hw_pci_numa_affinity_policy":         enum("required", "legacy", "preferred", "socket"),
	"hw_pointer_model":                    enum("usbtablet"),
	"hw_pmu":                              anything,
	"hw_qemu_guest_agent":                 anything,
	"hw_redirected_usb_ports":             between(0, 15),
	"hw_rescue_bus":                       diskBuses,
	"hw_rescue_device":                    lowerEnum("cdrom", "disk", "floppy", "fs", "lun"),
	"hw_rng_model":                        lowerEnum("virtio"),
	"hw_scsi_model":                       lowerEnum("buslogic", "ibmvscsi", "lsilogic", "lsisas1068", "lsisas1078", "virtio-scsi", "vmpvscsi", "lsilogicsas", "paravirtual"),
	"hw_serial_port_count":                whole,
	"hw_sound_model":                      enum(soundModels...),
	"hw_time_hpet":                        anything,
	"hw_tpm_model":                        enum("tpm-tis", "tpm-crb"),
	"hw_tpm_version":                      enum("1.2", "2.0"),
	"hw_usb_model":                        enum(usbModels...),
	"hw_video_model":                      lowerEnum("cirrus", "qxl", "vga", "vmvga", "xen", "virtio", "gop", "none", "bochs"),
	"hw_video_ram":                        whole,
	"hw_vif_model":                        vifModels,
	"hw_vif_multiqueue_enabled":           anything,
	"hw_viommu_model":                     enum("intel", "smmuv3", "virtio", "auto"),
	"hw_virtio_packed_ring":               anything,
	"hw_vm_mode":                          lowerEnum("hvm", "xen", "uml", "exe", "pv", "hv", "baremetal"),
	"hw_watchdog_action":                  lowerEnum("none", "pause", "poweroff", "reset", "disabled"),
	"img_bdm_v2":                          anything,
	"img_bittorrent":                      anything,
	"img_block_device_mapping":            anything,
	"img_cache_in_nova":                   anything,
	"img_compression_level":               whole,
	"img_config_drive":                    enum("optional", "mandatory"),
	"img_hide_hypervisor_id":              anything,
	"img_hv_requested_version":            pattern(`\s*(<=|>=|<|>|!=|==)\s*[\d.]+\w*\s*(,\s*(<=|>=|<|>|!=|==)\s*[\d.]+\w*\s*)*`),
	"img_hv_type":                         hypervisors,
	"img_linked_clone":                    anything,
	"img_mappings":                        anything,
	"img_owner_id":                        anything,
	"img_root_device_name":                anything,
	"img_signature":                       anything,
	"img_signature_certificate_uuid":      anything,
	"img_signature_hash_method":           enum("SHA-224", "SHA-256", "SHA-384", "SHA-512"),
	"img_signature_key_type":              enum("DSA", "ECC_SECP384R1", "ECC_SECP521R1", "ECC_SECT409K1", "ECC_SECT409R1", "ECC_SECT571K1", "ECC_SECT571R1", "RSA-PSS"),
	"img_use_agent":                       anything,
	"img_version":                         whole,
	"os_admin_user":                       anything,
	"os_command_line":                     anything,
	"os_distro":                           anything,
	"os_require_quiesce":                  anything,
	"os_secure_boot":                      enum("required", "disabled", "optional"),
	"os_skip_agent_inject_files_at_boot":  anything,
	"os_skip_agent_inject_ssh":            anything,
	"os_type":                             lowerEnum("linux", "windows"),
	"traits_required":                     anything,
}

// oldNames are names that properties had once; today's name comes first where an
// image has both.
var oldNames = map[string]string{"architecture": "hw_architecture", "owner_id": "img_owner_id", "vmware_disktype": "hw_disk_type",
	"vmware_image_version": "img_version", "vmware_ostype": "os_distro", "auto_disk_config": "hw_auto_disk_config", "ipxe_boot": "hw_ipxe_boot",
	"xenapi_device_id": "hw_device_id", "xenapi_image_compression_level": "img_compression_level", "vmware_linked_clone": "img_linked_clone",
	"xenapi_use_agent": "img_use_agent", "xenapi_skip_agent_inject_ssh": "os_skip_agent_inject_ssh",
	"xenapi_skip_agent_inject_files_at_boot": "os_skip_agent_inject_files_at_boot", "cache_in_nova": "img_cache_in_nova", "vm_mode": "hw_vm_mode",
	"bittorrent": "img_bittorrent", "mappings": "img_mappings", "block_device_mapping": "img_block_device_mapping", "bdm_v2": "img_bdm_v2",
	"root_device_name": "img_root_device_name", "hypervisor_version_requires": "img_hv_requested_version", "hypervisor_type": "img_hv_type"}

// CheckArchitecture refuses a name that is no processor architecture's; "" is any.
func CheckArchitecture(name string) error {
	if name == "" {
		return nil
	}
	if why := architectures(name); why != "" {
		return fault.Invalidf("%s", why)
	}
	return nil
}

// checkProperties refuses an image of which a property cannot be understood.
func checkProperties(all map[string]string) error {
	for name, text := range all {
		current, old := oldNames[name]
		if old && text == "" {
			continue
		}
		if !old {
			current = name
		}
		check := properties[current]
		switch {
		case strings.HasPrefix(name, "hw_numa_cpus."):
			check = cpuSet
		case strings.HasPrefix(name, "hw_numa_mem."):
			check = whole
		}
		if check == nil {
			continue
		}
		if why := check(text); why != "" {
			return fault.Invalidf("Invalid image property %s: %s", name, why)
		}
	}
	return nil
}
