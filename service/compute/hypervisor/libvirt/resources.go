package libvirt

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// static is what cannot change while the driver runs, read once.
type static struct {
	hypervisor.Resources
	uid, gid int // of QEMU's user; -1: not known
}

// readStatic asks libvirt what the host is. A verdict for KVM that QEMU's user
// cannot make use of is changed, unless the option asked for KVM.
func (d *Driver) readStatic(ctx context.Context, v *verdict) (static, error) {
	s := static{uid: -1, gid: -1}
	text, err := ask(ctx, d.conn, nil, "describe the host", func(l *lv.Libvirt) (string, error) { return l.ConnectGetCapabilities() })
	if err != nil {
		return s, err
	}
	c, err := parseCapabilities(text)
	if err != nil {
		return s, fmt.Errorf("read libvirt's description of the host: %w", err)
	}
	version, err := ask(ctx, d.conn, nil, "tell its version", func(l *lv.Libvirt) (uint64, error) { return l.ConnectGetVersion() })
	if err != nil {
		return s, err
	}
	name, err := ask(ctx, d.conn, nil, "tell the host's name", func(l *lv.Libvirt) (string, error) { return l.ConnectGetHostname() })
	if err != nil {
		return s, err
	}
	if d.cfg.Host != "" {
		name = d.cfg.Host
	}
	node, err := d.readNode(ctx)
	if err != nil {
		return s, err
	}
	s.uid, s.gid = c.qemuUser()
	if why := closedTo(kvmDevice, s.uid, s.gid); why != "" {
		d.log.Warn("libvirt cannot keep what it knows of QEMU and asks it anew before each start, which takes seconds; "+
			"give the device to group kvm with mode 0660", "why", why)
		if v.VirtType == "kvm" && d.cfg.VirtType == "auto" {
			v.VirtType, v.Why = "qemu", why
		}
	}
	virtType := v.VirtType
	s.Resources = hypervisor.Resources{
		HypervisorType: "QEMU", HypervisorVersion: int(version), HypervisorName: name, HostIP: d.cfg.HostIP,
		VCPUs: node.cpus, MemoryMB: node.memoryMB, CPU: c.cpu(), Supported: c.supported(virtType),
	}
	sets, err := readCPUSets(d.cfg)
	if err != nil {
		return s, err
	}
	if s.NUMA, err = c.cells(sets); err != nil {
		return s, err
	}
	if s.PCI, err = pciDevices("/sys/bus/pci/devices", d.cfg.DeviceSpec, d.cfg.PCIInPlacement); err != nil {
		return s, err
	}
	s.PCIInPlacement = d.cfg.PCIInPlacement
	if !c.runs(s.CPU.Arch, virtType) {
		return s, fault.New(fault.Unsupported, "libvirt on host %s cannot run %s guests of the type %s.", name, s.CPU.Arch, virtType)
	}
	if virtType == "kvm" { // an emulated processor has other features
		if s.Traits, err = readTraits("/proc/cpuinfo"); err != nil {
			return s, err
		}
	}
	s.Traits = append(s.Traits, compute.ImageTraits(choices)...)
	if arch := compute.ImageTrait("hw_architecture", s.CPU.Arch); arch != "" {
		s.Traits = append(s.Traits, arch)
	}
	if slices.ContainsFunc(s.NUMA, func(n compute.NUMACell) bool { return n.Socket != nil }) {
		s.Traits = append(s.Traits, "COMPUTE_SOCKET_PCI_NUMA_AFFINITY")
	}
	return s, nil
}

type node struct{ cpus, memoryMB int }

func (d *Driver) readNode(ctx context.Context) (node, error) {
	return ask(ctx, d.conn, nil, "measure the host", func(l *lv.Libvirt) (node, error) {
		_, kib, cpus, _, _, _, _, _, err := l.NodeGetInfo()
		return node{int(cpus), int(kib / 1024)}, err
	})
}

// Resources implements hypervisor.Driver: one call to libvirt, two to the kernel.
func (d *Driver) Resources(ctx context.Context) (hypervisor.Resources, error) {
	r := d.static.Resources
	running, err := ask(ctx, d.conn, nil, "count the running guests", func(l *lv.Libvirt) (int32, error) { return l.ConnectNumOfDomains() })
	if err != nil {
		return r, err
	}
	r.Running = int(running)
	available, err := availableMemory("/proc/meminfo")
	if err != nil {
		return r, err
	}
	r.MemoryUsedMB = max(0, r.MemoryMB-available)
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.cfg.InstancesPath, &fs); err != nil {
		return r, fmt.Errorf("measure the disk below %s: %w", d.cfg.InstancesPath, err)
	}
	block := uint64(fs.Bsize)
	r.DiskGB = int(fs.Blocks * block / gib)
	r.DiskFreeGB = int(fs.Bavail * block / gib) // what a user may still write
	r.DiskUsedGB = int((fs.Blocks - fs.Bfree) * block / gib)
	return r, nil
}

// availableMemory returns MemAvailable of a meminfo file in MB.
func availableMemory(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("measure the memory: %w", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(rest, "kB")))
			if err != nil {
				return 0, fmt.Errorf("measure the memory: %w", err)
			}
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("measure the memory: %s has no MemAvailable", path)
}
