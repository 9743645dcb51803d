package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kilonova/internal/bus"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// abilities are the calls that a driver may be able to answer beyond those of
// every driver, and how that is seen.
var abilities = []struct {
	call string
	has  func(hypervisor.Driver) bool
}{
	{compute.PauseCall.Name, is[hypervisor.Pauser]},
	{compute.SuspendCall.Name, is[hypervisor.Suspender]},
	{compute.RescueCall.Name, is[hypervisor.Rescuer]},
	{compute.SnapshotCall.Name, is[hypervisor.Snapshotter]},
	{compute.CrashDumpCall.Name, is[hypervisor.CrashDumper]},
	{compute.QuiesceCall.Name, is[hypervisor.Quiescer]},
	{compute.ExtendVolumeCall.Name, is[hypervisor.VolumeExtender]},
	{compute.PasswordCall.Name, is[hypervisor.PasswordSetter]},
	{compute.DiagnoseCall.Name, is[hypervisor.Diagnoser]},
	{compute.ConsoleCall.Name, is[hypervisor.Consoler]},
	{compute.SwitchHostCall.Name, is[hypervisor.HostSwitcher]},
	{compute.MaintainHostCall.Name, is[hypervisor.HostSwitcher]},
	{compute.UnmountShareCall.Name, is[hypervisor.Sharer]},
	{compute.SnapshotVolumeCall.Name, is[hypervisor.VolumeSnapshotter]},
}

func is[T any](d hypervisor.Driver) bool { _, ok := d.(T); return ok }

// able lists the calls of abilities that this driver has.
func able(d hypervisor.Driver) []string {
	var names []string
	for _, a := range abilities {
		if a.has(d) {
			names = append(names, a.call)
		}
	}
	return names
}

// servesStaying are the calls that able announces. A driver that lacks one
// refuses it, should somebody ask nevertheless.
func (a *Agent) servesStaying(ctx context.Context) []func() (bus.Unserve, error) {
	return []func() (bus.Unserve, error){
		serve(a, ctx, compute.PauseCall, a.pause),
		serve(a, ctx, compute.SuspendCall, a.suspend),
		serve(a, ctx, compute.RescueCall, a.rescue),
		serve(a, ctx, compute.SnapshotCall, a.snapshot),
		serve(a, ctx, compute.CrashDumpCall, a.crashDump),
		serve(a, ctx, compute.QuiesceCall, a.quiesce),
		serve(a, ctx, compute.ExtendVolumeCall, a.extendVolume),
		serve(a, ctx, compute.PasswordCall, a.setPassword),
		serve(a, ctx, compute.UnmountShareCall, a.unmountShare),
		serve(a, ctx, compute.SnapshotVolumeCall, a.snapshotVolume),
		func() (bus.Unserve, error) { return compute.DiagnoseCall.Serve(a.Bus, a.Host, a.diagnose) },
		func() (bus.Unserve, error) { return compute.ConsoleCall.Serve(a.Bus, a.Host, a.console) },
		func() (bus.Unserve, error) { return compute.SwitchHostCall.Serve(a.Bus, a.Host, a.switchHost) },
		func() (bus.Unserve, error) { return compute.MaintainHostCall.Serve(a.Bus, a.Host, a.maintainHost) },
	}
}

// as asserts what a driver may lack.
func as[T any](a *Agent, what string) (T, error) {
	d, ok := a.Driver.(T)
	if !ok {
		return d, fault.New(fault.Unsupported, "The hypervisor of %s cannot %s.", a.Host, what)
	}
	return d, nil
}

func (a *Agent) pause(ctx context.Context, r compute.GuestRequest) (compute.Power, error) {
	defer a.locks.on(r.Server.ID)()
	p, err := as[hypervisor.Pauser](a, "pause guests")
	if err != nil {
		return 0, err
	}
	do := p.Pause
	if r.Undo {
		do = p.Unpause
	}
	err = do(ctx, r.Server.ID)
	return a.powerOf(ctx, r.Server.ID), err
}

// suspend saves a guest's memory, or goes on from it: its devices may have been
// lost with the host's restart, and are made again.
func (a *Agent) suspend(ctx context.Context, r compute.GuestRequest) (compute.Power, error) {
	defer a.locks.on(r.Server.ID)()
	s, err := as[hypervisor.Suspender](a, "suspend guests")
	if err != nil {
		return 0, err
	}
	if !r.Undo {
		err = s.Suspend(ctx, r.Server.ID)
		return a.powerOf(ctx, r.Server.ID), err
	}
	var nics []hypervisor.NIC
	for _, n := range r.Server.Networks {
		nics = append(nics, nic(n))
	}
	if err := a.plug(ctx, nics, r.Server.ID); err != nil {
		return 0, err
	}
	err = s.Resume(ctx, r.Server.ID)
	return a.powerOf(ctx, r.Server.ID), err
}

// rescue boots a guest from another image, or from its own disk again.
func (a *Agent) rescue(ctx context.Context, r compute.RescueRequest) (compute.Power, error) {
	defer a.locks.on(r.Server.ID)()
	d, err := as[hypervisor.Rescuer](a, "rescue guests")
	if err != nil {
		return 0, err
	}
	guest, err := a.guest(ctx, &r.Server)
	if err != nil {
		return 0, err
	}
	if err := a.plug(ctx, guest.NICs, r.Server.ID); err != nil {
		return 0, err
	}
	if r.Undo {
		err = d.Unrescue(ctx, guest)
		return a.powerOf(ctx, r.Server.ID), err
	}
	with := hypervisor.Rescue{Device: r.Meta.Properties["hw_rescue_device"], Bus: r.Meta.Properties["hw_rescue_bus"]}
	if with.Image, err = a.Images.Get(ctx, r.ImageID, r.Meta); err != nil {
		return 0, err
	}
	if err := a.stop(ctx, compute.PowerRequest{Server: r.Server, Grace: r.Grace}); err != nil {
		return 0, err
	}
	err = d.Rescue(ctx, guest, with)
	return a.powerOf(ctx, r.Server.ID), err
}

// snapshot copies a guest's root disk and fills an image with it. The copy is on
// this host only as long as that takes.
func (a *Agent) snapshot(ctx context.Context, r compute.SnapshotRequest) (power compute.Power, err error) {
	d, err := as[hypervisor.Snapshotter](a, "copy the disks of guests")
	if err != nil {
		return 0, err
	}
	if !hypervisor.IsUUID(r.ImageID) {
		return 0, fault.Invalidf("%.64q is no image id.", r.ImageID)
	}
	if err := os.MkdirAll(a.Scratch, 0o700); err != nil {
		return 0, fmt.Errorf("make the folder of snapshots: %w", err)
	}
	path := filepath.Join(a.Scratch, r.ImageID)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	defer func() {
		if removeErr := os.Remove(path); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	format, err := a.copyDisk(ctx, d, r.ServerID, path)
	if err != nil {
		return 0, err
	}
	power = a.powerOf(ctx, r.ServerID)
	file, err := os.Open(path)
	if err != nil {
		return power, err
	}
	defer file.Close()
	return power, a.Images.Images.Fill(ctx, r.ImageID, format, file)
}

// copyDisk has the guest for itself no longer than the copying takes.
func (a *Agent) copyDisk(ctx context.Context, d hypervisor.Snapshotter, id, path string) (string, error) {
	defer a.locks.on(id)()
	return d.Snapshot(ctx, id, path)
}

func (a *Agent) crashDump(ctx context.Context, r compute.GuestRequest) (compute.Power, error) {
	defer a.locks.on(r.Server.ID)()
	d, err := as[hypervisor.CrashDumper](a, "have guests dump their memory")
	if err == nil {
		err = d.CrashDump(ctx, r.Server.ID)
	}
	return a.powerOf(ctx, r.Server.ID), err
}

func (a *Agent) quiesce(ctx context.Context, r compute.GuestRequest) (compute.Power, error) {
	defer a.locks.on(r.Server.ID)()
	d, err := as[hypervisor.Quiescer](a, "have guests hold their file systems still")
	switch {
	case err != nil:
	case r.Undo:
		err = d.Thaw(ctx, r.Server.ID)
	default:
		err = d.Quiesce(ctx, r.Server.ID)
	}
	return a.powerOf(ctx, r.Server.ID), err
}

func (a *Agent) setPassword(ctx context.Context, r compute.GuestRequest) (compute.Power, error) {
	defer a.locks.on(r.Server.ID)()
	d, err := as[hypervisor.PasswordSetter](a, "change passwords in guests")
	if err == nil {
		err = d.SetPassword(ctx, r.Server.ID, r.Password)
	}
	return a.powerOf(ctx, r.Server.ID), err
}

func (a *Agent) diagnose(ctx context.Context, r compute.GuestID) (compute.Diagnostics, error) {
	d, err := as[hypervisor.Diagnoser](a, "count what guests do")
	if err != nil {
		return compute.Diagnostics{}, err
	}
	return d.Diagnose(ctx, r.ServerID)
}

func (a *Agent) console(ctx context.Context, r compute.ConsoleRequest) (compute.ConsoleAddress, error) {
	d, err := as[hypervisor.Consoler](a, "show consoles of guests")
	if err != nil {
		return compute.ConsoleAddress{}, err
	}
	return d.Console(ctx, r.ServerID, r.Kind)
}
