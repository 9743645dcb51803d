package hypervisor

import (
	"context"

	"kilonova/service/compute"
)

// The optional interfaces of this file change a guest without moving it. As with
// Driver, each call may be repeated after a crash and then finds the work done.
// An unknown guest is fault.NotFound.

// Pauser is implemented by drivers that can stop a guest's processors.
type Pauser interface {
	// Pause leaves the guest Paused, with its memory; one that is paused is
	// success, one that does not run is fault.Conflict.
	Pause(ctx context.Context, id string) error
	// Unpause has it run on; one that runs is success, one that neither runs nor
	// is paused is fault.Conflict.
	Unpause(ctx context.Context, id string) error
}

// Suspender is implemented by drivers that can put a guest's memory aside.
type Suspender interface {
	// Suspend saves the memory of a running or paused guest and gives up the
	// host's; the guest is then Shutdown or Suspended. One that is suspended
	// already is success, one that is off is fault.Conflict.
	Suspend(ctx context.Context, id string) error
	// Resume goes on from the saved memory; a guest that runs is success, one
	// without saved memory starts from its disks. Power off and Destroy drop it.
	Resume(ctx context.Context, id string) error
}

// Rescuer is implemented by drivers that can boot a guest from another image,
// with its own disk beside it.
type Rescuer interface {
	// Rescue ends the guest and starts it from r's image, of which it makes a disk
	// that can be written. A guest that is in rescue from it already runs on.
	Rescue(ctx context.Context, g Guest, r Rescue) error
	// Unrescue ends it and starts it from g; the disk that Rescue has made is gone
	// with what was written to it.
	Unrescue(ctx context.Context, g Guest) error
}

// VolumeRescuer is implemented by those that can also do a stable rescue of guests
// whose root disk is a volume.
type VolumeRescuer interface {
	Rescuer
	RescuesVolumes()
}

// Rescue is what a guest is rescued with.
type Rescue struct {
	Image Image
	// Device ("disk", "cdrom" or "floppy") and Bus ask for a stable rescue: the
	// guest keeps its disks where they are, and the rescue image comes last. With
	// neither it takes the place of the root disk, which comes second.
	Device, Bus string
}

// Stable reports whether the guest's disks keep their places.
func (r Rescue) Stable() bool { return r.Device != "" || r.Bus != "" }

// Snapshotter is implemented by drivers that can copy a guest's root disk.
type Snapshotter interface {
	// Snapshot writes the root disk, as it is at one instant, whole and without
	// backing file to path, which does not exist, and says in which format. The
	// guest is afterwards what it was.
	Snapshot(ctx context.Context, id, path string) (format string, err error)
}

// CrashDumper is implemented by drivers that can send a guest an NMI, upon which
// its kernel dumps what it is set up to dump. A guest that is off is
// fault.Conflict.
type CrashDumper interface {
	CrashDump(ctx context.Context, id string) error
}

// PasswordSetter is implemented by drivers that can change the password of a
// guest's administrator while it runs. A guest without what that needs is
// fault.Unsupported, one that is off fault.Conflict.
type PasswordSetter interface {
	SetPassword(ctx context.Context, id, password string) error
}

// Quiescer is implemented by drivers that can have a guest's file systems hold
// still, so that copies of its volumes are whole. A guest without what that needs
// is fault.Unsupported, one that is off fault.Conflict.
type Quiescer interface {
	// Quiesce returns when what the guest has written is on its disks; until Thaw
	// it writes nothing more. Either may be repeated.
	Quiesce(ctx context.Context, id string) error
	Thaw(ctx context.Context, id string) error
}

// Diagnoser is implemented by drivers that count what a guest does. A guest that
// is off is fault.Conflict.
type Diagnoser interface {
	Diagnose(ctx context.Context, id string) (compute.Diagnostics, error)
}

// Consoler is implemented by drivers whose guests have consoles that can be
// connected to. A kind of console that the guest does not have is
// fault.Unsupported, a guest that is off fault.Conflict.
type Consoler interface {
	Console(ctx context.Context, id string, kind compute.ConsoleKind) (compute.ConsoleAddress, error)
}
