package fake

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// Driver is a hypervisor.Driver, and a Rebooter, ConsoleLogger, Plugger and
// Watcher, without anything behind it.
type Driver struct {
	cfg Config

	mu       sync.Mutex
	state    state
	loaded   bool
	dirty    bool
	faults   []*Fault
	watchers map[*watcher]struct{}
	carries  map[string]*carry // live migrations that can be ended
}

// The driver claims these capabilities, and the compiler holds it to them.
var (
	_ hypervisor.Driver        = (*Driver)(nil)
	_ hypervisor.Rebooter      = (*Driver)(nil)
	_ hypervisor.ConsoleLogger = (*Driver)(nil)
	_ hypervisor.Plugger       = (*Driver)(nil)
	_ hypervisor.Watcher       = (*Driver)(nil)
)

// New makes a driver. It reads no file: a state file that cannot be read is the
// answer of the first call.
func New(cfg Config) *Driver {
	d := &Driver{cfg: cfg.withDefaults()}
	for _, f := range cfg.Faults {
		d.faults = append(d.faults, &f)
	}
	return d
}

// Create implements hypervisor.Driver.
func (d *Driver) Create(ctx context.Context, spec hypervisor.Guest) error {
	if err := spec.Check(); err != nil {
		return err
	}
	return d.do(ctx, Create, spec.ID, func() error {
		for id, other := range d.state.Guests {
			if other.Spec.Name == spec.Name && id != spec.ID {
				return fault.Conflictf("The name %s belongs to guest %s already.", spec.Name, id)
			}
		}
		if err := errors.Join(d.unmounted(spec), d.unclaimed(spec)); err != nil {
			return err
		}
		if d.state.Guests == nil {
			d.state.Guests = make(map[string]*guest)
		}
		g := d.state.Guests[spec.ID]
		if g == nil {
			g = &guest{State: hypervisor.Shutdown}
			d.state.Guests[spec.ID] = g
		}
		g.Spec = keep(spec)
		if spec.PowerOn {
			g.start()
		}
		d.touched(spec.ID)
		return nil
	})
}

// keep copies what later calls change, and leaves out the config drive, which
// nobody here reads and which is large.
func keep(spec hypervisor.Guest) hypervisor.Guest {
	spec.ConfigDrive = nil
	spec.NICs = slices.Clone(spec.NICs)
	spec.Volumes = slices.Clone(spec.Volumes)
	spec.Disks = slices.Clone(spec.Disks)
	spec.Properties = maps.Clone(spec.Properties)
	for i := range spec.Volumes {
		spec.Volumes[i].Secret = ""
	}
	spec.Shares = slices.Clone(spec.Shares)
	for i := range spec.Shares {
		spec.Shares[i].Secret = ""
	}
	return spec
}

// Destroy implements hypervisor.Driver.
func (d *Driver) Destroy(ctx context.Context, id string) error {
	return d.do(ctx, Destroy, id, func() error {
		if _, ok := d.state.Guests[id]; ok {
			delete(d.state.Guests, id)
			d.touched(id)
		}
		if _, ok := d.state.Expected[id]; ok {
			delete(d.state.Expected, id)
			d.dirty = true
		}
		return nil
	})
}

// Power implements hypervisor.Driver. A guest obeys the power button at once,
// unless it is deaf.
func (d *Driver) Power(ctx context.Context, id string, action hypervisor.PowerAction) error {
	ignored := false
	err := d.do(ctx, Power, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		switch action {
		case hypervisor.PowerOn:
			g.start()
		case hypervisor.PowerOff:
			g.stop(hypervisor.Shutdown, "")
		case hypervisor.PowerShutdown:
			if ignored = g.State == hypervisor.Running && d.deaf(g); ignored {
				return nil
			}
			g.stop(hypervisor.Shutdown, poweredDown)
		default:
			return fault.Invalidf("The power action %q is unknown; on, off and shutdown are possible.", action)
		}
		d.touched(id)
		return nil
	})
	if err == nil && ignored {
		return d.ignored(ctx, id)
	}
	return err
}

func (d *Driver) deaf(g *guest) bool { return d.cfg.Deaf != nil && d.cfg.Deaf(g.Spec) }

// ignored waits like one who has pressed the button of a deaf guest: until the
// guest is off for another reason, or ctx ends.
func (d *Driver) ignored(ctx context.Context, id string) error {
	off, cancel := context.WithCancel(ctx)
	defer cancel()
	w := newWatcher()
	w.tell(id)
	err := d.watch(off, w, func(changed string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if g, ok := d.state.Guests[id]; changed == id && (!ok || g.State != hypervisor.Running) {
			cancel()
		}
	})
	if ctx.Err() == nil || ctx.Err() == context.DeadlineExceeded {
		return nil
	}
	return err
}

// Reboot implements hypervisor.Rebooter.
func (d *Driver) Reboot(ctx context.Context, id string) error {
	ignored := false
	err := d.do(ctx, Reboot, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		if g.State != hypervisor.Running {
			return fault.Conflictf("Guest %s does not run, so it cannot be asked to restart.", id)
		}
		if ignored = d.deaf(g); ignored {
			return nil
		}
		g.stop(hypervisor.Shutdown, restarting)
		g.start()
		d.touched(id)
		return nil
	})
	if err == nil && ignored {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

// State implements hypervisor.Driver.
func (d *Driver) State(ctx context.Context, id string) (now hypervisor.State, err error) {
	err = d.do(ctx, State, id, func() error {
		g, err := d.find(id)
		if err == nil {
			now = g.State
		}
		return err
	})
	return now, err
}

// List implements hypervisor.Driver.
func (d *Driver) List(ctx context.Context) (all []hypervisor.Observed, err error) {
	err = d.do(ctx, List, "", func() error {
		all = make([]hypervisor.Observed, 0, len(d.state.Guests))
		for id, g := range d.state.Guests {
			all = append(all, hypervisor.Observed{ID: id, Name: g.Spec.Name, State: g.State})
		}
		return nil
	})
	return all, err
}

// traits are what the host pretends to know of images' wishes.
var traits = append(compute.ImageTraits(map[string][]string{
	"hw_disk_bus":     {"virtio", "scsi", "sata", "ide", "usb", "fdc"},
	"hw_vif_model":    {"virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3"},
	"hw_video_model":  {"virtio", "vga", "cirrus", "qxl", "bochs", "vmvga", "none"},
	"hw_architecture": {"x86_64"},
}), "COMPUTE_SOCKET_PCI_NUMA_AFFINITY")

// Resources implements hypervisor.Driver: what the guests were promised counts
// as used, on top of nothing.
func (d *Driver) Resources(ctx context.Context) (r hypervisor.Resources, err error) {
	err = d.do(ctx, Resources, "", func() error {
		r = hypervisor.Resources{
			HypervisorType: "fake", HypervisorVersion: 1_000_000,
			HypervisorName: d.cfg.Host, HostIP: d.cfg.HostIP,
			VCPUs: d.cfg.VCPUs, MemoryMB: d.cfg.MemoryMB, DiskGB: d.cfg.DiskGB,
			CPU: hypervisor.CPU{Arch: "x86_64", Model: "Nehalem", Vendor: "Intel", Features: []string{"pge", "clflush"},
				Topology: hypervisor.CPUTopology{Sockets: 1, Cores: d.cfg.VCPUs, Threads: 1}},
			Supported: [][3]string{{"x86_64", "fake", "hvm"}},
			Traits:    traits,
			NUMA:      d.cfg.cells(), PCI: d.cfg.PCI, PCIInPlacement: d.cfg.PCIInPlacement, Metrics: d.cfg.Metrics,
		}
		for _, g := range d.state.Guests {
			r.DiskUsedGB += g.Spec.DiskGB()
			if g.State == hypervisor.Running {
				r.Running++
				r.MemoryUsedMB += g.Spec.MemoryMB
			}
		}
		r.DiskUsedGB = min(r.DiskUsedGB, r.DiskGB)
		r.DiskFreeGB = r.DiskGB - r.DiskUsedGB
		return nil
	})
	return r, err
}
