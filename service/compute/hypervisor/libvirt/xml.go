package libvirt

import (
	"encoding/xml"
	"fmt"
	"net"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// builder makes a guest's domain. What it needs to know of the host is here, so
// that the XML is a pure function and can be held against golden files.
type builder struct {
	cfg      Config
	virtType string // kvm or qemu
	arch     string
}

// build returns the domain of a guest whose files are in dir.
func (b builder) build(g hypervisor.Guest, dir string) (domain, error) {
	h, err := readHardware(g, b.cfg.MachineType)
	if err != nil {
		return domain{}, err
	}
	d := domain{
		Type: b.virtType, Name: g.Name, UUID: g.ID,
		Metadata: b.metadata(g, h),
		Memory:   quantity{Unit: "MiB", Value: g.MemoryMB}, VCPU: g.VCPUs,
		SysInfo: &sysInfo{Type: "smbios", System: []entry{
			{"manufacturer", "OpenStack Foundation"}, {"product", "OpenStack Nova"},
			{"serial", g.ID}, {"uuid", g.ID}, {"family", "Virtual Machine"},
		}},
		OS:       osBoot{Type: osType{Arch: b.arch, Machine: h.machine, Value: "hvm"}, SMBIOS: &smbios{Mode: "sysinfo"}},
		Features: &features{APIC: &struct{}{}},
		CPU:      b.cpu(g),
		Clock:    b.clock(h),
		// A guest that powers itself off is off, one that restarts runs on, and
		// one that crashes is off until somebody looks.
		OnPoweroff: "destroy", OnReboot: "restart", OnCrash: "destroy",
	}
	if h.acpi {
		d.Features.ACPI = &struct{}{}
	}
	if g.Image.Kernel != "" {
		d.OS.Kernel, d.OS.Initrd = g.Image.Kernel, g.Image.Ramdisk
		d.OS.Cmdline = h.cmdline
		if d.OS.Cmdline == "" {
			d.OS.Cmdline = "root=/dev/" + targetName(busPrefix(h.diskBus), 0) + " console=tty0 console=ttyS0"
		}
	}
	if d.Devices, err = b.devices(g, h, dir); err != nil {
		return domain{}, err
	}
	return d, settle(&d, g)
}

func (b builder) metadata(g hypervisor.Guest, h hardware) *metadata {
	m := &metadata{
		Nova: novaInstance{
			NS: novaNamespace, Name: g.Title,
			Flav:  novaFlavor{Memory: g.MemoryMB, Disk: g.Root.SizeGB, VCPUs: g.VCPUs},
			Owner: novaOwner{User: novaID{g.UserID}, Project: novaID{g.ProjectID}},
		},
		Mark: mark{NS: markNamespace, InstancesPath: b.cfg.InstancesPath, DiskBus: h.diskBus, VIFModel: h.vifModel},
	}
	if g.Image.ID != "" {
		m.Nova.Root = &novaRoot{Type: "image", UUID: g.Image.ID}
	}
	for _, nic := range g.NICs {
		m.Nova.Ports = append(m.Nova.Ports, novaPorts{nic.PortID})
	}
	return m
}

// cpu is the guest's processor. Each vCPU is a socket, as upstream has it.
func (b builder) cpu(g hypervisor.Guest) *cpu {
	mode, model := b.cfg.CPUMode, b.cfg.CPUModel
	if mode == "" {
		if mode = "host-model"; b.virtType == "qemu" {
			mode, model = "custom", EmulatedCPU
		}
	}
	c := &cpu{Mode: mode, Topology: &topology{Sockets: g.VCPUs, Cores: 1, Threads: 1}}
	switch mode {
	case "none":
		return nil
	case "custom":
		c.Match, c.Model = "exact", &cpuModel{Fallback: "forbid", Value: model}
	}
	return c
}

// clock: Windows keeps local time and wants its ticks; see upstream's choice of
// timers, which guests' documentation recommends.
func (b builder) clock(h hardware) clock {
	c := clock{Offset: "utc", Timers: []timer{{Name: "pit", TickPolicy: "delay"}, {Name: "rtc", TickPolicy: "catchup"}, {Name: "hpet", Present: "no"}}}
	if h.windows {
		c.Offset = "localtime"
		if b.virtType == "kvm" {
			c.Timers = append(c.Timers, timer{Name: "hypervclock", Present: "yes"})
		}
	}
	return c
}

func (b builder) devices(g hypervisor.Guest, h hardware, dir string) (devices, error) {
	var s devices
	disks, err := b.disks(g, h, dir)
	if err != nil {
		return s, err
	}
	s.Disks = disks
	s.Controllers = b.controllers(h, disks)
	for _, nic := range g.NICs {
		s.Interfaces = append(s.Interfaces, b.nic(nic, h.vifModel))
	}
	s.Serials = []serial{{Type: "pty", Log: &charLog{File: consolePath(dir), Append: "on"}, Target: serialTarget{Port: 0}}}
	if h.guestAgent {
		s.Channels = []channel{{Type: "unix", Source: channelSource{Mode: "bind"}, Target: channelTarget{Type: "virtio", Name: "org.qemu.guest_agent.0"}}}
	}
	if h.tablet != "" && h.video != "none" {
		s.Inputs = []input{{Type: "tablet", Bus: h.tablet}}
	}
	s.Graphics = []graphics{{Type: "vnc", Port: "-1", AutoPort: "yes", Listen: b.cfg.ServerListen}}
	s.Video = &video{Model: typed{h.video}}
	if h.rng {
		s.RNG = &rng{Model: "virtio", Backend: rngBackend{Model: "random", Path: b.cfg.RNGDevPath}}
	}
	s.Balloon = &balloon{Model: "virtio", Stats: &balloonPeriod{Period: 10}}
	return s, nil
}

// controllers: those that libvirt would not add by itself, or not in this model.
// A q35 machine gets its spare ports here, since none can be added later; pcie-root
// is port 0's parent and implied.
func (b builder) controllers(h hardware, disks []disk) []controller {
	var all []controller
	for _, d := range disks {
		if d.Target.Bus == "scsi" {
			all = append(all, controller{Type: "scsi", Index: "0", Model: h.scsiModel})
			break
		}
	}
	if !h.q35 {
		return append(all, controller{Type: "usb", Index: "0", Model: "piix3-uhci"})
	}
	all = append(all, controller{Type: "usb", Index: "0", Model: "qemu-xhci"}, controller{Type: "pci", Index: "0", Model: "pcie-root"})
	for i := range b.cfg.NumPCIePorts {
		all = append(all, controller{Type: "pci", Index: strconv.Itoa(i + 1), Model: "pcie-root-port"})
	}
	return all
}

func (b builder) disks(g hypervisor.Guest, h hardware, dir string) ([]disk, error) {
	var s seen
	add := func(d disk) { s.Devices.Disks = append(s.Devices.Disks, d) }
	if g.Image.Path != "" {
		root := disk{
			Type: "file", Device: "disk",
			Driver: &diskDriver{Name: "qemu", Type: "qcow2", Discard: "unmap"},
			Source: &diskSource{File: rootPath(dir)},
			Target: diskTarget{Dev: targetName(busPrefix(h.diskBus), 0), Bus: h.diskBus},
			Boot:   &bootOrder{Order: 1},
		}
		if g.Image.Kernel != "" {
			root.Boot = nil // the kernel is started by QEMU
		}
		add(root)
	}
	for i, local := range g.Disks {
		add(disk{
			Type: "file", Device: "disk", Driver: &diskDriver{Name: "qemu", Type: "raw", Discard: "unmap"},
			Source: &diskSource{File: localPath(dir, g.Disks, i)},
			Target: diskTarget{Dev: freeTarget(h.diskBus, local.Device, s), Bus: h.diskBus},
		})
	}
	for _, v := range g.Volumes {
		d, err := volumeDisk(v, h.diskBus, freeTarget(h.diskBus, v.Device, s))
		if err != nil {
			return nil, err
		}
		if v.Boot {
			d.Boot = &bootOrder{Order: 1}
		}
		add(d)
	}
	if len(g.ConfigDrive) > 0 {
		drive := disk{Type: "file", Device: "disk", Driver: &diskDriver{Name: "qemu", Type: "raw"}, Source: &diskSource{File: configPath(dir)}, ReadOnly: &struct{}{}}
		bus := h.diskBus
		if isISO(g.ConfigDrive) {
			drive.Device, bus = "cdrom", h.cdromBus
		}
		drive.Target = diskTarget{Dev: freeTarget(bus, "", s), Bus: bus}
		add(drive)
	}
	return s.Devices.Disks, nil
}

// isISO tells an ISO 9660 image from a FAT one by its first volume descriptor.
func isISO(image []byte) bool {
	const descriptor = 16*2048 + 1
	return len(image) > descriptor+5 && string(image[descriptor:descriptor+5]) == "CD001"
}

func (b builder) nic(nic hypervisor.NIC, model string) iface {
	i := iface{
		Type: "ethernet", MAC: &macAddress{nic.MAC},
		Target: &ifaceTarget{Dev: compute.TapName(nic.PortID), Managed: "no"},
		Model:  &typed{model},
	}
	if nic.MTU != 0 {
		i.MTU = &mtu{nic.MTU}
	}
	return i
}

// volumeDisk is the disk of a volume; its serial number is the volume's id, by
// which the guest and this driver find it again.
func volumeDisk(v hypervisor.Volume, bus, dev string) (disk, error) {
	d := disk{
		Type: "network", Device: "disk", Serial: v.ID,
		Driver: &diskDriver{Name: "qemu", Type: "raw", Discard: "unmap"},
		Target: diskTarget{Dev: dev, Bus: bus},
	}
	if v.ReadOnly {
		d.ReadOnly = &struct{}{}
	}
	switch v.Kind {
	case "file":
		d.Type, d.Driver.Type = "file", v.Format
		d.Source = &diskSource{File: v.Path}
	case "nbd":
		d.Source = &diskSource{Protocol: "nbd", Host: &diskHost{Transport: "unix", Socket: v.Path}}
	case "iscsi":
		name, port, err := net.SplitHostPort(v.Portal)
		if err != nil {
			name, port = strings.Trim(v.Portal, "[]"), "3260"
		}
		d.Source = &diskSource{
			Protocol: "iscsi", Name: fmt.Sprintf("%s/%d", v.IQN, v.LUN),
			Host: &diskHost{Name: name, Port: port},
		}
		if v.User != "" {
			d.Source.Auth = &diskAuth{Username: v.User, Secret: authSecret{Type: "iscsi", UUID: v.ID}}
		}
	default:
		return disk{}, fault.New(fault.Unsupported, "Volume %s is of the kind %q, which this hypervisor cannot attach.", v.ID, v.Kind)
	}
	return d, nil
}

// encode turns a part of a domain into text.
func encode(part any) (string, error) {
	text, err := xml.MarshalIndent(part, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write libvirt XML: %w", err)
	}
	return string(text), nil
}
