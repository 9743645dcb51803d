package hardware

import (
	"maps"
	"slices"
	"strings"

	"kilonova/service/compute"
)

// truths are the properties that are true or false, as upstream's messages and
// aggregates have them: "True" and "False".
var truths = []string{"hw_boot_menu", "hw_firmware_stateless", "hw_ipxe_boot", "hw_locked_memory", "hw_mem_encryption", "hw_pmu", "hw_qemu_guest_agent", "hw_time_hpet",
	"hw_vif_multiqueue_enabled", "hw_ephemeral_encryption", "hw_virtio_packed_ring", "img_bittorrent", "img_bdm_v2", "img_cache_in_nova", "img_linked_clone", "img_use_agent",
	"img_hide_hypervisor_id", "os_require_quiesce", "os_skip_agent_inject_files_at_boot", "os_skip_agent_inject_ssh"}

// lowered are the properties whose values are read in small letters, with the values
// that mean another one (nova/objects/fields.py).
var lowered = map[string]map[string]string{
	"hw_architecture":           sameArchitectures,
	"hw_emulation_architecture": sameArchitectures,
	"img_hv_type":               {"xapi": "xen"},
	"hw_vm_mode":                {"pv": "xen", "hv": "hvm", "baremetal": "hvm"},
	"hw_scsi_model":             {"lsilogicsas": "lsisas1068", "paravirtual": "vmpvscsi"},
	"hw_vif_model": {"virtuale1000": "e1000", "virtuale1000e": "e1000e", "virtualpcnet32": "pcnet", "virtualsriovethernetcard": "sriov",
		"virtualvmxnet": "vmxnet", "virtualvmxnet3": "vmxnet3"},
	"hw_disk_bus": nil, "hw_cdrom_bus": nil, "hw_video_model": nil, "os_type": nil,
}

var sameArchitectures = map[string]string{"i386": "i686", "i486": "i686", "i586": "i686", "x86_32": "i686", "amd64": "x86_64", "arm64": "aarch64"}

// Read returns a property of an image by today's name, and its value in the one way in
// which hosts and filters have it. Properties that are not known stay what they are.
func Read(name, text string) (current, value string) {
	if today, old := oldNames[name]; old {
		name = today
	}
	same, lower := lowered[name]
	switch {
	case lower:
		text = strings.ToLower(text)
		if v, ok := same[text]; ok {
			text = v
		}
	case slices.Contains(truths, name):
		if compute.Yes(text) {
			return name, "True"
		}
		return name, "False"
	}
	return name, text
}

// ReadAll is Read of all properties; of one under two names today's is kept.
func ReadAll(properties map[string]string) map[string]string {
	all := make(map[string]string, len(properties))
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		current, value := Read(name, properties[name])
		if _, twice := properties[current]; current == name || !twice {
			all[current] = value
		}
	}
	return all
}
