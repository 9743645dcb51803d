package libvirt

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/compute"
)

// Config is section [libvirt] of the configuration with what the driver needs
// besides. The zero value is usable; names and meanings are upstream's, where it
// has the option.
type Config struct {
	// ConnectionURI: qemu:///system or qemu:///session; with ?socket=/path the
	// socket is another than libvirt's usual one. Empty: qemu:///system.
	ConnectionURI string `toml:"connection_uri"`
	// VirtType is "kvm", "qemu" (emulation) or "auto": kvm if a guest really
	// runs under it, else qemu. Empty: auto.
	VirtType string `toml:"virt_type"`
	// CPUMode is "host-model", "host-passthrough", "maximum", "custom" (with
	// CPUModel) or "none" (libvirt's default). Empty: host-model under KVM; the
	// model EmulatedCPU under emulation, which cannot pass a processor through.
	CPUMode  string `toml:"cpu_mode"`
	CPUModel string `toml:"cpu_model"`
	// MachineType for guests whose image names none. Empty: pc, on whose one
	// PCI bus some twenty devices can be hot-plugged.
	MachineType string `toml:"hw_machine_type"`
	// NumPCIePorts is how many PCIe ports a q35 guest has in all, each of which
	// takes one device. 0: 16. libvirt's limit is 28.
	NumPCIePorts int `toml:"num_pcie_ports"`
	// RNGDevPath feeds the guests' random number generators. Empty: /dev/urandom.
	RNGDevPath string `toml:"rng_dev_path"`

	// EphemeralFormat is the file system of ephemeral disks for which nothing else is
	// asked, default_ephemeral_format. Empty: ext4; for guests with Windows, vfat.
	EphemeralFormat string `toml:"-"`
	// SharedSet and DedicatedSet are the processors that guests share and those
	// that are given away whole, [compute] cpu_shared_set and cpu_dedicated_set.
	SharedSet    string `toml:"-"`
	DedicatedSet string `toml:"-"`
	// DeviceSpec says which PCI devices guests may have, [pci] device_spec, and
	// PCIInPlacement that Placement is told of them, report_in_placement.
	DeviceSpec     []string `toml:"-"`
	PCIInPlacement bool     `toml:"-"`

	// InstancesPath is the folder that holds a folder for each guest.
	// Empty: /var/lib/kilonova/instances.
	InstancesPath string `toml:"-"`
	// ServerListen is the address for VNC, [vnc] server_listen. Empty: 127.0.0.1.
	ServerListen string `toml:"-"`
	// Host is hypervisor_hostname. Empty: libvirt's name of the host.
	Host string `toml:"-"`
	// HostIP is reported as the host's address, [DEFAULT] my_ip.
	HostIP string `toml:"-"`

	// Run runs qemu-img, mkfs.* and mkswap and, for VirtType auto, qemu-system-x86_64. nil: host.Local.
	Run host.Runner `toml:"-"`
	// CallTimeout is how long libvirt may take over one call before the
	// connection counts as hung and is closed. 0: 2 minutes.
	CallTimeout time.Duration `toml:"-"`
}

// EmulatedCPU is the processor of emulated guests: it has what x86-64-v2 asks
// for, which today's distributions want, and nothing that is slow to emulate.
const EmulatedCPU = "Nehalem"

const defaultSocket = "/var/run/libvirt/libvirt-sock"

func (c Config) withDefaults() Config {
	for _, field := range []struct {
		value *string
		usual string
	}{
		{&c.ConnectionURI, "qemu:///system"},
		{&c.VirtType, "auto"},
		{&c.MachineType, "pc"},
		{&c.RNGDevPath, "/dev/urandom"},
		{&c.InstancesPath, "/var/lib/kilonova/instances"},
		{&c.ServerListen, "127.0.0.1"},
	} {
		if *field.value == "" {
			*field.value = field.usual
		}
	}
	if c.NumPCIePorts == 0 {
		c.NumPCIePorts = 16
	}
	if c.Run == nil {
		c.Run = host.Local{}
	}
	if c.CallTimeout == 0 {
		c.CallTimeout = 2 * time.Minute
	}
	return c
}

// check says what is wrong with a configuration.
func (c Config) check() error {
	if _, _, err := c.address(); err != nil {
		return err
	}
	if _, err := netip.ParseAddr(c.ServerListen); err != nil {
		return fault.Invalidf("Option [vnc] server_listen is %q, which is not an IP address.", c.ServerListen)
	}
	switch {
	case c.VirtType != "auto" && c.VirtType != "kvm" && c.VirtType != "qemu":
		return fault.Invalidf("Option [libvirt] virt_type is %q; auto, kvm and qemu are possible.", c.VirtType)
	case !filepath.IsAbs(c.InstancesPath):
		return fault.Invalidf("Option instances_path is %q, which is not an absolute path.", c.InstancesPath)
	case c.EphemeralFormat != "" && !slices.Contains(compute.FileSystems, c.EphemeralFormat):
		return fault.Invalidf("Option default_ephemeral_format is %q; %s are possible.", c.EphemeralFormat, strings.Join(compute.FileSystems, ", "))
	case c.NumPCIePorts < 4 || c.NumPCIePorts > 28:
		return fault.Invalidf("Option [libvirt] num_pcie_ports is %d; 4 to 28 are possible.", c.NumPCIePorts)
	}
	switch c.CPUMode {
	case "", "host-model", "host-passthrough", "maximum", "none":
		if c.CPUModel != "" {
			return fault.Invalidf("Option [libvirt] cpu_model is %q and needs cpu_mode custom.", c.CPUModel)
		}
	case "custom":
		if c.CPUModel == "" {
			return fault.Invalidf("Option [libvirt] cpu_mode is custom and needs a cpu_model.")
		}
	default:
		return fault.Invalidf("Option [libvirt] cpu_mode is %q; host-model, host-passthrough, maximum, custom and none are possible.", c.CPUMode)
	}
	return nil
}

// address splits the connection URI: the socket to dial and the name that the
// daemon behind it understands.
func (c Config) address() (socket, name string, err error) {
	u, err := url.Parse(c.ConnectionURI)
	if err != nil {
		return "", "", fault.New(fault.Invalid, "Option [libvirt] connection_uri is not a URI: %w", err)
	}
	if (u.Scheme != "qemu" && u.Scheme != "qemu+unix") || u.Host != "" || (u.Path != "/system" && u.Path != "/session") {
		return "", "", fault.Invalidf("Option [libvirt] connection_uri is %q; qemu:///system and qemu:///session are possible.", c.ConnectionURI)
	}
	socket = defaultSocket
	if s := u.Query().Get("socket"); s != "" {
		socket = s
	}
	return socket, fmt.Sprintf("qemu://%s", u.Path), nil
}
