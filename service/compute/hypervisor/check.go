package hypervisor

import (
	"net"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// The limits of what a driver takes. They are the contract's, not a
// hypervisor's, which may allow less.
const (
	MaxVCPUs       = 4096
	MaxMemoryMB    = 64 << 20 // 64 TiB
	MaxDiskGB      = 1 << 20  // 1 PiB
	MaxConfigDrive = 64 << 20 // bytes; upstream's is 64 MiB as well
	MaxDevices     = 64       // of one kind, in one guest
	maxText        = 1024     // bytes of a free text
)

// Check says what is wrong with a guest's description: fault.Invalid, or nil.
// Every driver calls it before it touches the host, since IDs become the names
// of files and texts become XML.
func (g Guest) Check() error {
	switch {
	case !IsUUID(g.ID):
		return fault.Invalidf("The guest's id %q is not a UUID in lower case.", clip(g.ID))
	case !isName(g.Name):
		return fault.Invalidf("The name %q of guest %s is not 1 to 64 of the characters a-z, A-Z, 0-9, '.', '_' and '-'.", clip(g.Name), g.ID)
	case !isText(g.Title) || !isText(g.ProjectID) || !isText(g.UserID):
		return fault.Invalidf("The title or owner of guest %s is longer than %d bytes or has control characters.", g.ID, maxText)
	case g.VCPUs < 1 || g.VCPUs > MaxVCPUs:
		return fault.Invalidf("Guest %s asks for %d vCPUs; 1 to %d are possible.", g.ID, g.VCPUs, MaxVCPUs)
	case g.MemoryMB < 1 || g.MemoryMB > MaxMemoryMB:
		return fault.Invalidf("Guest %s asks for %d MB of memory; 1 to %d are possible.", g.ID, g.MemoryMB, MaxMemoryMB)
	case g.Root.SizeGB < 0 || g.Root.SizeGB > MaxDiskGB:
		return fault.Invalidf("Guest %s asks for a root disk of %d GB; 0 to %d are possible.", g.ID, g.Root.SizeGB, MaxDiskGB)
	case len(g.ConfigDrive) > MaxConfigDrive:
		return fault.Invalidf("The config drive of guest %s has %d bytes; at most %d are possible.", g.ID, len(g.ConfigDrive), MaxConfigDrive)
	case len(g.NICs) > MaxDevices || len(g.Volumes) > MaxDevices || len(g.Shares) > MaxDevices:
		return fault.Invalidf("Guest %s asks for %d interfaces, %d volumes and %d shares; at most %d of each are possible.",
			g.ID, len(g.NICs), len(g.Volumes), len(g.Shares), MaxDevices)
	}
	if err := g.checkBoot(); err != nil {
		return err
	}
	if len(g.Disks) > MaxDevices {
		return fault.Invalidf("Guest %s asks for %d further disks; at most %d are possible.", g.ID, len(g.Disks), MaxDevices)
	}
	for _, d := range g.Disks {
		switch {
		case d.SizeMB < 1 || d.SizeMB > MaxDiskGB<<10:
			return fault.Invalidf("Guest %s asks for a further disk of %d MB; 1 to %d are possible.", g.ID, d.SizeMB, MaxDiskGB<<10)
		case d.Format != "" && (d.Swap || !slices.Contains(compute.FileSystems, d.Format)):
			return fault.Invalidf("A disk of guest %s cannot be made with the file system %q.", g.ID, clip(d.Format))
		}
	}
	for _, nic := range g.NICs {
		if err := nic.Check(); err != nil {
			return err
		}
	}
	for _, v := range g.Volumes {
		if err := v.Check(); err != nil {
			return err
		}
	}
	for _, s := range g.Shares {
		if err := s.Check(); err != nil {
			return err
		}
	}
	return nil
}

// checkBoot: a guest boots from its image or from exactly one of its volumes.
func (g Guest) checkBoot() error {
	boot := 0
	for _, v := range g.Volumes {
		if v.Boot {
			boot++
		}
	}
	switch {
	case boot > 1:
		return fault.Invalidf("Guest %s has %d boot volumes; one is possible.", g.ID, boot)
	case boot == 1 && g.Image.Path != "":
		return fault.Invalidf("Guest %s has both an image and a boot volume.", g.ID)
	case boot == 0 && g.Image.Path == "":
		return fault.Invalidf("Guest %s has neither an image nor a boot volume.", g.ID)
	case g.Image.Path != "" && g.Image.Format != "raw" && g.Image.Format != "qcow2":
		return fault.Invalidf("Image %s of guest %s has the disk format %q; raw and qcow2 are possible.", g.Image.ID, g.ID, clip(g.Image.Format))
	case g.Image.Ramdisk != "" && g.Image.Kernel == "":
		return fault.Invalidf("Image %s of guest %s has a ramdisk but no kernel.", g.Image.ID, g.ID)
	}
	return nil
}

// Check says what is wrong with an interface's description: fault.Invalid, or nil.
func (n NIC) Check() error {
	mac, err := net.ParseMAC(n.MAC)
	switch {
	case !IsUUID(n.PortID):
		return fault.Invalidf("The port's id %q is not a UUID in lower case.", clip(n.PortID))
	case err != nil || len(mac) != 6 || mac[0]&1 != 0:
		return fault.Invalidf("The MAC address %q of port %s is not an Ethernet unicast address.", clip(n.MAC), n.PortID)
	case n.MTU != 0 && (n.MTU < 68 || n.MTU > 65535):
		return fault.Invalidf("The MTU %d of port %s is not between 68 and 65535.", n.MTU, n.PortID)
	}
	return nil
}

// Check says what is wrong with a volume's description: fault.Invalid, or nil.
func (v Volume) Check() error {
	if !IsUUID(v.ID) {
		return fault.Invalidf("The volume's id %q is not a UUID in lower case.", clip(v.ID))
	}
	var missing string
	switch v.Kind {
	case "file":
		switch {
		case !strings.HasPrefix(v.Path, "/"):
			missing = "an absolute path"
		case v.Format != "raw" && v.Format != "qcow2":
			missing = "the format raw or qcow2"
		}
	case "iscsi":
		switch {
		case v.Portal == "":
			missing = "a portal"
		case v.IQN == "":
			missing = "a target name"
		case v.LUN < 0:
			missing = "a LUN from 0"
		}
	case "nbd":
		if !strings.HasPrefix(v.Path, "/") {
			missing = "the absolute path of a socket"
		}
	default:
		return fault.New(fault.Unsupported, "Volume %s is of the kind %q; file, iscsi and nbd are known.", v.ID, clip(v.Kind))
	}
	if missing != "" {
		return fault.Invalidf("Volume %s is of the kind %s and lacks %s.", v.ID, v.Kind, missing)
	}
	return nil
}

// IsUUID reports whether id is a UUID in its usual form, in lower case: the one
// form in which it may become the name of a file.
func IsUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isName(name string) bool {
	if name == "" || len(name) > 64 || name[0] == '.' || name[0] == '-' {
		return false
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c) {
			return false
		}
	}
	return true
}

func isText(text string) bool {
	return len(text) <= maxText && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == '\x7f' })
}

// clip shortens what an error message quotes.
func clip(text string) string {
	if len(text) > 64 {
		return text[:64] + "…"
	}
	return text
}
