package compute

import "kilonova/internal/bus"

// What control asks of an agent whose driver can do it. An agent announces (in
// HostReport.Methods) only those calls that its driver is able to.
var (
	// PauseCall and SuspendCall also do the opposite.
	PauseCall     = bus.Call[Work[GuestRequest], Progress]{Name: "compute.pause"}
	SuspendCall   = bus.Call[Work[GuestRequest], Progress]{Name: "compute.suspend"}
	RescueCall    = bus.Call[Work[RescueRequest], Progress]{Name: "compute.rescue"}
	SnapshotCall  = bus.Call[Work[SnapshotRequest], Progress]{Name: "compute.snapshot"}
	CrashDumpCall = bus.Call[Work[GuestRequest], Progress]{Name: "compute.crash_dump"}
	QuiesceCall   = bus.Call[Work[GuestRequest], Progress]{Name: "compute.quiesce"} // and thaw
	PasswordCall  = bus.Call[Work[GuestRequest], Progress]{Name: "compute.password"}
	DiagnoseCall  = bus.Call[GuestID, Diagnostics]{Name: "compute.diagnose"}
	// SwitchHostCall is about the host itself, and MaintainHostCall, too.
	SwitchHostCall   = bus.Call[SwitchHostRequest, struct{}]{Name: "compute.switch_host"}
	MaintainHostCall = bus.Call[MaintainHostRequest, struct{}]{Name: "compute.maintain_host"}
	ConsoleCall      = bus.Call[ConsoleRequest, ConsoleAddress]{Name: "compute.console"}
)

// GuestID names a guest.
type GuestID struct {
	ServerID string `json:"server_id"`
}

// GuestRequest is a request that says all by its call.
type GuestRequest struct {
	Server Server `json:"server"`
	Undo   bool   `json:"undo,omitempty"` // unpause, resume
	// Password is for PasswordCall.
	Password string `json:"password,omitempty"`
}

// SwitchHostRequest asks for "startup", "shutdown" or "reboot" of a host.
type SwitchHostRequest struct {
	Action string `json:"action"`
}

// MaintainHostRequest begins or ends a host's maintenance.
type MaintainHostRequest struct {
	On bool `json:"on"`
}

// RescueRequest boots a guest from another image, or ends that. Server has the
// password that the rescued guest shall get.
type RescueRequest struct {
	Server  Server    `json:"server"`
	ImageID string    `json:"image_id"`
	Meta    ImageMeta `json:"meta"`
	Grace   int       `json:"grace"` // seconds that the guest gets to stop by itself
	Undo    bool      `json:"undo,omitempty"`
}

// SnapshotRequest copies a guest's root disk into an image that waits for data.
type SnapshotRequest struct {
	ServerID string `json:"server_id"`
	ImageID  string `json:"image_id"`
}

// ConsoleKind is a protocol that consoles speak.
type ConsoleKind string

// The kinds of consoles.
const (
	VNC    ConsoleKind = "vnc"
	SPICE  ConsoleKind = "spice"
	Serial ConsoleKind = "serial"
	MKS    ConsoleKind = "mks"
)

// ConsoleRequest asks where a guest's console is.
type ConsoleRequest struct {
	ServerID string      `json:"server_id"`
	Kind     ConsoleKind `json:"kind"`
}

// ConsoleAddress is where a console listens.
type ConsoleAddress struct {
	Host    string `json:"host"`
	Port    int    `json:"port"`
	TLSPort int    `json:"tls_port,omitempty"`
	// Path is what some hypervisors want to hear before the console's own bytes.
	Path string `json:"path,omitempty"`
}

// Diagnostics is what a host counts of a guest. A nil number is not known there.
type Diagnostics struct {
	State        string            `json:"state"` // "running", "paused"
	Driver       string            `json:"driver"`
	Hypervisor   string            `json:"hypervisor"`
	OS           string            `json:"os"`
	UptimeSecond *int64            `json:"uptime"`
	ConfigDrive  bool              `json:"config_drive"`
	MemoryMB     *int64            `json:"memory_mb"`
	MemoryUsedMB *int64            `json:"memory_used_mb"`
	CPUs         []CPUDiagnostics  `json:"cpus"`
	NICs         []NICDiagnostics  `json:"nics"`
	Disks        []DiskDiagnostics `json:"disks"`
}

// CPUDiagnostics is a virtual processor's; Time is in nanoseconds.
type CPUDiagnostics struct {
	ID   int    `json:"id"`
	Time *int64 `json:"time"`
}

// NICDiagnostics is an interface's.
type NICDiagnostics struct {
	Device                                string `json:"device"`
	MAC                                   string `json:"mac"`
	RxOctets, RxPackets, RxErrors, RxDrop *int64
	TxOctets, TxPackets, TxErrors, TxDrop *int64
}

// DiskDiagnostics is a disk's.
type DiskDiagnostics struct {
	Device                                                     string `json:"device"`
	ReadBytes, ReadRequests, WriteBytes, WriteRequests, Errors *int64
}
