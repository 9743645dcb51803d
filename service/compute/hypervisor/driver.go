package hypervisor

import (
	"context"
	"io"

	"kilonova/service/compute"
)

// Driver makes servers real on one host. Every method may be called again after
// a crash and must then finish the work or find it done; hypervisortest is the
// law. Errors carry a fault.Kind where the cause is known: NotFound for a guest
// that is not here, Unsupported for what this hypervisor or guest cannot do,
// Conflict for a state that forbids the call, Unavailable when the hypervisor
// itself does not answer. Methods are safe for concurrent use; calls for one
// guest are serialized by the agent.
type Driver interface {
	// Create makes the guest's disks, defines it and starts it when g.PowerOn.
	// A guest that is already defined is redefined from g; its disks are kept
	// (that is also how a hard reboot is done: Power off, then Create). When
	// Create fails, Destroy still removes everything that it had made.
	Create(ctx context.Context, g Guest) error

	// Destroy ends the guest at once and removes its definition, its disks and
	// its directory. A guest that is not here is success.
	Destroy(ctx context.Context, id string) error

	// Power switches the guest. It returns when the guest has reached the
	// state, or with ctx's error. PowerShutdown asks the guest's operating
	// system; when the deadline of ctx passes and the guest still runs, that is
	// no error: the caller looks at State and decides to use PowerOff.
	Power(ctx context.Context, id string, action PowerAction) error

	// State returns what one guest does now; fault.NotFound when it is not here.
	State(ctx context.Context, id string) (State, error)

	// List returns every guest of this cloud on the host, also such that the
	// agent does not know, in no particular order.
	List(ctx context.Context) ([]Observed, error)

	// AttachVolume gives a running or stopped guest a further disk, for good:
	// it is there again after a power cycle. A volume that is attached already
	// is success.
	AttachVolume(ctx context.Context, id string, v Volume) error
	// DetachVolume takes it away; a volume that the guest does not have is
	// success, a guest that is not here is fault.NotFound. It returns when the
	// guest has let go of the device, or with ctx's error while it holds on.
	DetachVolume(ctx context.Context, id, volumeID string) error

	// AttachInterface and DetachInterface do the same for a network interface.
	AttachInterface(ctx context.Context, id string, nic NIC) error
	DetachInterface(ctx context.Context, id, portID string) error

	// Resources measures what the host has and uses. It is called every few
	// seconds and must be cheap.
	Resources(ctx context.Context) (Resources, error)
}

// Rebooter is implemented by drivers that can ask a guest's operating system to
// restart. The call returns when the guest has been asked and has gone down and
// up once, or with ctx's error, upon which the agent does a hard reboot. A guest
// that does not run is fault.Conflict.
type Rebooter interface {
	Reboot(ctx context.Context, id string) error
}

// ConsoleLogger is implemented by drivers that keep what a guest writes to its
// first serial port.
type ConsoleLogger interface {
	// ConsoleLog opens the log from its beginning and says how long it is. It
	// is there also while the guest is off. fault.NotFound: no such guest.
	ConsoleLog(ctx context.Context, id string) (log io.ReadSeekCloser, size int64, err error)
}

// Plugger is implemented by drivers whose network interfaces are devices of the
// host, made before the guest starts so that the network agent can wire them:
// tap devices named as compute.TapName says. Both are idempotent.
type Plugger interface {
	Plug(ctx context.Context, nic NIC) error
	Unplug(ctx context.Context, nic NIC) error
}

// Watcher is implemented by drivers that report a guest's changes as they
// happen (a guest that shuts itself down, a crash). Watch calls changed with
// the guest's id, one call at a time, until ctx ends, and then returns ctx's
// error; it may call it without need and more than once, and never after it has
// returned. The agent polls State in any case: a lost event costs time, not truth.
type Watcher interface {
	Watch(ctx context.Context, changed func(id string)) error
}

// PowerAction is what Power is asked to do.
type PowerAction string

// The power actions.
const (
	PowerOn       PowerAction = "on"       // start; a running guest is success
	PowerOff      PowerAction = "off"      // pull the plug; a stopped guest is success
	PowerShutdown PowerAction = "shutdown" // ask the guest to power itself off (ACPI)
)

// State is what a guest does, in upstream's words and numbers: power_state of
// the compute API (nova/compute/power_state.py).
type State int

// The states that a driver can report.
const (
	NoState   State = 0
	Running   State = 1
	Paused    State = 3
	Shutdown  State = 4
	Crashed   State = 6
	Suspended State = 7
)

// Guest describes one server to a driver, completely: Create needs nothing else.
type Guest struct {
	ID        string // the server's UUID
	Name      string // domain name, e.g. instance-0000002a; unique in the cloud
	Title     string // the user's name for it; free text, for people
	ProjectID string
	UserID    string

	VCPUs    int
	MemoryMB int

	Image Image
	Root  Disk // made as a copy-on-write child of Image
	// Disks are made empty besides it: ephemeral ones and swap space.
	Disks []LocalDisk
	// ConfigDrive is a finished ISO 9660 or FAT image, empty if there is none.
	ConfigDrive []byte

	NICs    []NIC
	Volumes []Volume
	Shares  []Share // a driver that gets some is a Sharer

	// Properties are the image's hardware properties (hw_*, os_*), by upstream's
	// names; a driver ignores what it does not know.
	Properties map[string]string
	// Hold is what of the host the guest has to itself: NUMA nodes, processors,
	// pages, devices; nil: it floats.
	Hold *compute.Hold
	// PowerOn says whether Create starts the guest.
	PowerOn bool
}

// EphemeralMB is the size of the guest's ephemeral disks together.
func (g Guest) EphemeralMB() (mb int) {
	for _, d := range g.Disks {
		if !d.Swap {
			mb += d.SizeMB
		}
	}
	return mb
}

// DiskGB is what the guest's disks take of the host at most, in GB.
func (g Guest) DiskGB() int {
	mb := g.Root.SizeGB << 10
	for _, d := range g.Disks {
		mb += d.SizeMB
	}
	return (mb + 1023) >> 10
}

// Image is a file in the agent's image cache: complete, verified, not to be
// written, and kept for as long as a guest has it as backing file.
type Image struct {
	ID     string
	Path   string
	Format string // "raw" or "qcow2"
	// Kernel and Ramdisk are paths for three-part images, else empty.
	Kernel, Ramdisk string
}

// Disk is a local disk that lives and dies with the guest.
type Disk struct {
	SizeGB int // 0: as large as the image
}

// LocalDisk is a further disk that lives and dies with the guest. It comes with an
// empty file system or, as swap space, ready to be used. Its contents are kept
// where Create finds it; a larger size then makes it longer, and what is in it is
// the guest's to grow.
type LocalDisk struct {
	Swap   bool
	SizeMB int
	Format string // the file system, of compute.FileSystems; "" the driver's choice
	Device string // the name that the API promised, e.g. /dev/vdb; a hint
}

// NIC is one network interface, backed by a port of the network service.
type NIC struct {
	PortID string
	MAC    string
	MTU    int
	Tag    string // the user's device tag, may be empty
}

// Volume is a block device provided by the volume service.
type Volume struct {
	ID       string
	Device   string // the name that the API promised, e.g. /dev/vdb; a hint
	ReadOnly bool
	Boot     bool // the guest boots from it; there is no Image then
	// Kind says which fields count: "file" (Path, Format), "iscsi" (Portal,
	// IQN, LUN, User, Secret), "nbd" (Path is the socket).
	Kind         string
	Path, Format string
	Portal, IQN  string
	LUN          int
	User, Secret string
}

// Observed is a guest as List finds it.
type Observed struct {
	ID    string
	Name  string
	State State
}

// Resources is what a host offers and has in use. It is a word of the whole
// service: agents report it, control keeps it and the API shows it.
type Resources = compute.Resources

// Transfer is how far the copying of a running guest has come.
type Transfer = compute.Transfer

// CPU and CPUTopology are parts of it.
type (
	CPU         = compute.CPU
	CPUTopology = compute.CPUTopology
)

// VolumeExtender is implemented by drivers that can tell a guest which runs that a
// volume of its has grown; one that is off sees it when it starts. A guest that
// does not have the volume is fault.NotFound.
type VolumeExtender interface {
	ExtendVolume(ctx context.Context, id, volumeID string, sizeGB int) error
}

// VolumeSwapper is implemented by drivers that can copy a guest's volume to
// another, which then takes its place, without the guest seeing more than a slow
// disk. A guest that has the new one already is success; one that has neither is
// fault.NotFound.
type VolumeSwapper interface {
	SwapVolume(ctx context.Context, id, oldID string, v Volume) error
}
