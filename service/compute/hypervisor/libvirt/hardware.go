package libvirt

import (
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// hardware is what a guest is built of, after its image's properties.
type hardware struct {
	machine    string
	q35        bool
	diskBus    string
	cdromBus   string
	scsiModel  string
	vifModel   string
	video      string
	rng        bool
	guestAgent bool
	acpi       bool
	tablet     string // bus of the pointer; empty: none
	cmdline    string
	windows    bool
}

// choices says which values of a property this driver knows; the first is usual.
var choices = map[string][]string{
	"hw_disk_bus":    {"virtio", "scsi", "sata", "ide", "usb"},
	"hw_vif_model":   {"virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3"},
	"hw_video_model": {"virtio", "vga", "cirrus", "qxl", "bochs", "vmvga", "none"},
	"hw_scsi_model":  {"virtio-scsi", "lsilogic", "lsisas1068", "lsisas1078", "vmpvscsi"},
	"hw_cdrom_bus":   {"ide", "sata", "scsi", "usb", "virtio"},
}

// readHardware applies a guest's properties. A value that is not known is
// fault.Invalid; a property that is not known is ignored, as the contract says.
func readHardware(g hypervisor.Guest, usualMachine string) (hardware, error) {
	p := g.Properties
	h := hardware{
		machine: usualMachine, rng: true, acpi: true,
		windows: p["os_type"] == "windows", cmdline: p["os_command_line"], tablet: "usb",
	}
	if m := p["hw_machine_type"]; m != "" {
		if strings.ContainsFunc(m, func(r rune) bool { return !isMachineRune(r) }) || len(m) > 64 {
			return h, fault.Invalidf("Image %s asks for hw_machine_type %q, which is no machine type.", g.Image.ID, m)
		}
		h.machine = m
	}
	h.q35 = h.machine == "q35" || strings.Contains(h.machine, "-q35")
	usual := map[string]string{"hw_cdrom_bus": "ide"}
	if h.q35 { // has no IDE
		usual["hw_cdrom_bus"] = "sata"
	}
	for name, field := range map[string]*string{
		"hw_disk_bus": &h.diskBus, "hw_vif_model": &h.vifModel, "hw_video_model": &h.video,
		"hw_scsi_model": &h.scsiModel, "hw_cdrom_bus": &h.cdromBus,
	} {
		if *field = p[name]; *field == "" {
			if *field = usual[name]; *field == "" {
				*field = choices[name][0]
			}
		} else if !slices.Contains(choices[name], *field) {
			return h, fault.Invalidf("Image %s asks for %s %q; %s are possible.", g.Image.ID, name, p[name], strings.Join(choices[name], ", "))
		}
	}
	if h.q35 && (h.diskBus == "ide" || h.cdromBus == "ide") {
		return h, fault.Invalidf("Image %s asks for an IDE disk in a %s machine, which has no IDE controller; sata is possible.", g.Image.ID, h.machine)
	}
	if h.vifModel == "ne2k_pci" && h.q35 {
		return h, fault.Invalidf("Image %s asks for hw_vif_model ne2k_pci in a %s machine; e1000 is possible.", g.Image.ID, h.machine)
	}
	if p["hw_rng_model"] != "" && p["hw_rng_model"] != "virtio" {
		return h, fault.Invalidf("Image %s asks for hw_rng_model %q; virtio is possible.", g.Image.ID, p["hw_rng_model"])
	}
	if p["hw_pointer_model"] == "ps2mouse" {
		h.tablet = ""
	}
	h.guestAgent = compute.Yes(p["hw_qemu_guest_agent"])
	if v := p["hw_acpi"]; v != "" {
		h.acpi = compute.Yes(v)
	}
	if strings.ContainsFunc(h.cmdline, func(r rune) bool { return r < ' ' }) || len(h.cmdline) > 2048 {
		return h, fault.Invalidf("Image %s has an os_command_line with control characters or of more than 2048 bytes.", g.Image.ID)
	}
	return h, nil
}

func isMachineRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_", r)
}

// busPrefix is how the devices of a bus are called.
func busPrefix(bus string) string {
	switch bus {
	case "virtio":
		return "vd"
	case "ide":
		return "hd"
	default:
		return "sd"
	}
}
