package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

var (
	_ hypervisor.Pauser         = (*Driver)(nil)
	_ hypervisor.Suspender      = (*Driver)(nil)
	_ hypervisor.VolumeRescuer  = (*Driver)(nil)
	_ hypervisor.Snapshotter    = (*Driver)(nil)
	_ hypervisor.CrashDumper    = (*Driver)(nil)
	_ hypervisor.PasswordSetter = (*Driver)(nil)
	_ hypervisor.Quiescer       = (*Driver)(nil)
	_ hypervisor.Diagnoser      = (*Driver)(nil)
)

// turn brings a guest from one of some states to another, where it may be
// already.
func (d *Driver) turn(ctx context.Context, verb Verb, id string, to hypervisor.State, from ...hypervisor.State) error {
	return d.do(ctx, verb, id, func() error {
		g, err := d.find(id)
		if err != nil || g.State == to {
			return err
		}
		for _, s := range from {
			if g.State == s {
				g.State = to
				d.touched(id)
				return nil
			}
		}
		return fault.Conflictf("Guest %s is in power state %d, which forbids to %s it.", id, g.State, verb)
	})
}

// Pause implements hypervisor.Pauser.
func (d *Driver) Pause(ctx context.Context, id string) error {
	return d.turn(ctx, Pause, id, hypervisor.Paused, hypervisor.Running)
}

// Unpause implements hypervisor.Pauser.
func (d *Driver) Unpause(ctx context.Context, id string) error {
	return d.turn(ctx, Unpause, id, hypervisor.Running, hypervisor.Paused)
}

// Suspend implements hypervisor.Suspender.
func (d *Driver) Suspend(ctx context.Context, id string) error {
	return d.turn(ctx, Suspend, id, hypervisor.Suspended, hypervisor.Running, hypervisor.Paused)
}

// Resume implements hypervisor.Suspender.
func (d *Driver) Resume(ctx context.Context, id string) error {
	return d.do(ctx, Resume, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		if g.State == hypervisor.Suspended {
			g.State = hypervisor.Running // the same run goes on
		}
		g.start()
		d.touched(id)
		return nil
	})
}

// Rescue implements hypervisor.Rescuer.
func (d *Driver) Rescue(ctx context.Context, spec hypervisor.Guest, r hypervisor.Rescue) error {
	if err := spec.Check(); err != nil {
		return err
	}
	if spec.Image.Path == "" && !r.Stable() {
		return fault.New(fault.Unsupported, "Guest %s boots from a volume, whose place a rescue disk cannot take.", spec.ID)
	}
	return d.do(ctx, Rescue, spec.ID, func() error {
		g, err := d.find(spec.ID)
		if err != nil {
			return err
		}
		if g.Rescue != r.Image.ID {
			g.stop(hypervisor.Shutdown, "")
		}
		g.Spec, g.Rescue = keep(spec), r.Image.ID
		g.start()
		d.touched(spec.ID)
		return nil
	})
}

// RescuesVolumes implements hypervisor.VolumeRescuer.
func (d *Driver) RescuesVolumes() {}

// Unrescue implements hypervisor.Rescuer.
func (d *Driver) Unrescue(ctx context.Context, spec hypervisor.Guest) error {
	if err := spec.Check(); err != nil {
		return err
	}
	return d.do(ctx, Unrescue, spec.ID, func() error {
		g, err := d.find(spec.ID)
		if err != nil {
			return err
		}
		if g.Rescue != "" {
			g.stop(hypervisor.Shutdown, "")
		}
		g.Spec, g.Rescue = keep(spec), ""
		g.start()
		d.touched(spec.ID)
		return nil
	})
}

// Snapshot implements hypervisor.Snapshotter: nothing was ever written to the
// guest's disk, so it is what its image is. Where there is no such file either,
// the copy is a line that says whose it is.
func (d *Driver) Snapshot(ctx context.Context, id, path string) (format string, err error) {
	var spec hypervisor.Guest
	err = d.do(ctx, Snapshot, id, func() error {
		g, err := d.find(id)
		if err == nil {
			spec = g.Spec
		}
		return err
	})
	if err != nil {
		return "", err
	}
	into, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("make a snapshot of guest %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, into.Close()) }()
	from, err := os.Open(spec.Image.Path)
	if errors.Is(err, fs.ErrNotExist) || spec.Image.Path == "" {
		_, err = fmt.Fprintf(into, "root disk of guest %s\n", id)
		return "raw", err
	}
	if err != nil {
		return "", fmt.Errorf("make a snapshot of guest %s: %w", id, err)
	}
	defer from.Close()
	_, err = io.Copy(into, from)
	return spec.Image.Format, err
}

// CrashDump implements hypervisor.CrashDumper. A guest here takes no harm by it.
func (d *Driver) CrashDump(ctx context.Context, id string) error {
	return d.do(ctx, CrashDump, id, func() error { return d.running(id) })
}

// SetPassword implements hypervisor.PasswordSetter; nobody logs in here.
func (d *Driver) SetPassword(ctx context.Context, id, _ string) error {
	return d.do(ctx, SetPassword, id, func() error { return d.running(id) })
}

// Quiesce implements hypervisor.Quiescer.
func (d *Driver) Quiesce(ctx context.Context, id string) error {
	return d.do(ctx, Quiesce, id, func() error { return d.freeze(id, true) })
}

// Thaw implements hypervisor.Quiescer.
func (d *Driver) Thaw(ctx context.Context, id string) error {
	return d.do(ctx, Thaw, id, func() error { return d.freeze(id, false) })
}

// freeze has a guest's file systems hold still, or not; d.mu is held.
func (d *Driver) freeze(id string, still bool) error {
	if err := d.running(id); err != nil {
		return err
	}
	g := d.state.Guests[id]
	if g.Spec.Properties["hw_qemu_guest_agent"] != "yes" {
		return fault.New(fault.Unsupported, "Guest %s has no agent that could hold its file systems still: its image does not say hw_qemu_guest_agent.", id)
	}
	if g.Frozen != still {
		g.Frozen = still
		g.Freezes++
		d.dirty = true
	}
	return nil
}

// running refuses what only a guest that is on can do; d.mu is held.
func (d *Driver) running(id string) error {
	g, err := d.find(id)
	if err == nil && g.State != hypervisor.Running && g.State != hypervisor.Paused {
		err = fault.Conflictf("Guest %s does not run.", id)
	}
	return err
}

// Diagnose implements hypervisor.Diagnoser. The counters stand still: nothing
// happens in these guests. The driver has the name that upstream's fake one has.
func (d *Driver) Diagnose(ctx context.Context, id string) (out compute.Diagnostics, err error) {
	err = d.do(ctx, Diagnose, id, func() error {
		if err := d.running(id); err != nil {
			return err
		}
		g := d.state.Guests[id]
		zero := func() *int64 { return new(int64) }
		memory := int64(g.Spec.MemoryMB)
		out = compute.Diagnostics{State: "running", Driver: "libvirt", Hypervisor: "fake", OS: "linux", UptimeSecond: zero(), MemoryMB: &memory, MemoryUsedMB: zero()}
		if g.State == hypervisor.Paused {
			out.State = "paused"
		}
		for i := range g.Spec.VCPUs {
			out.CPUs = append(out.CPUs, compute.CPUDiagnostics{ID: i, Time: zero()})
		}
		for _, n := range g.Spec.NICs {
			out.NICs = append(out.NICs, compute.NICDiagnostics{Device: compute.TapName(n.PortID), MAC: n.MAC, RxOctets: zero(), RxPackets: zero(), RxErrors: zero(),
				RxDrop: zero(), TxOctets: zero(), TxPackets: zero(), TxErrors: zero(), TxDrop: zero()})
		}
		for i := range 1 + len(g.Spec.Volumes) {
			out.Disks = append(out.Disks, compute.DiskDiagnostics{Device: "vd" + string(rune('a'+i%26)), ReadBytes: zero(), ReadRequests: zero(), WriteBytes: zero(),
				WriteRequests: zero(), Errors: zero()})
		}
		return nil
	})
	return out, err
}
