package compute

import (
	"kilonova/internal/bus"
	"kilonova/internal/fault"
)

// What control and the agents exchange. Work that takes long is asked for again
// and again with the same id until it is done: the agent starts it at the first
// time, joins it at the later ones and answers after Patience at the latest. So
// either side may die and come back; the work is done once.

// Work wraps a request with the id under which it is known.
type Work[Req any] struct {
	ID       string `json:"id"`
	Patience int    `json:"patience"` // milliseconds to wait for the end
	Request  Req    `json:"request"`
}

// Progress is the answer to Work.
type Progress struct {
	Done bool `json:"done"`
	// Refusal is why it ended without success, "" after success; Kind its kind.
	Refusal string     `json:"refusal,omitempty"`
	Kind    fault.Kind `json:"kind,omitempty"`
	Power   Power      `json:"power"`
}

// Err returns why the work ended without success.
func (p Progress) Err() error {
	if p.Refusal == "" {
		return nil
	}
	return &fault.Error{Kind: p.Kind, Message: p.Refusal}
}

// Build makes a server's guest, from its image to its first instruction.
var Build = bus.Call[Work[BuildRequest], Progress]{Name: "compute.build"}

// BuildRequest is all that an agent needs to know of a server.
type BuildRequest struct {
	Server Server `json:"server"`
	// Rebuild of the definition with the disks kept: a hard reboot, or a start
	// after which nothing of the old guest is trusted.
	KeepDisks bool `json:"keep_disks,omitempty"`
}

// Destroy removes a guest and all that belongs to it on the host.
var Destroy = bus.Call[Work[DestroyRequest], Progress]{Name: "compute.destroy"}

// DestroyRequest names the guest and the ports whose devices go with it.
type DestroyRequest struct {
	ServerID string      `json:"server_id"`
	Networks []Interface `json:"networks"`
}

// PowerCall switches a guest on or off, or reboots it softly.
var PowerCall = bus.Call[Work[PowerRequest], Progress]{Name: "compute.power"}

// PowerRequest says how.
type PowerRequest struct {
	Server Server `json:"server"`
	// Action is "on", "off" (asking the guest first for Grace seconds) or
	// "reboot".
	Action string `json:"action"`
	Grace  int    `json:"grace,omitempty"`
}

// Attach and Detach change a guest's network interfaces.
var (
	AttachInterface = bus.Call[Work[InterfaceRequest], Progress]{Name: "compute.attach_interface"}
	DetachInterface = bus.Call[Work[InterfaceRequest], Progress]{Name: "compute.detach_interface"}
)

// InterfaceRequest names the guest and the interface.
type InterfaceRequest struct {
	ServerID  string    `json:"server_id"`
	Interface Interface `json:"interface"`
}

// CacheImage has a host fetch an image before a server needs it.
var CacheImage = bus.Call[Work[CacheImageRequest], Progress]{Name: "compute.cache_image"}

// CacheImageRequest names the image and says what the guest's parts of it are.
type CacheImageRequest struct {
	ImageID string    `json:"image_id"`
	Meta    ImageMeta `json:"meta"`
}

// ConsoleLog reads what a guest wrote to its serial port.
var ConsoleLog = bus.Call[ConsoleLogRequest, ConsoleLogReply]{Name: "compute.console_log"}

// ConsoleLogRequest asks for the last lines; Lines < 0: all there is.
type ConsoleLogRequest struct {
	ServerID string `json:"server_id"`
	Lines    int    `json:"lines"`
}

// ConsoleLogReply has the text, cut to MaxConsoleLog bytes from its end.
type ConsoleLogReply struct {
	Text []byte `json:"text"`
}

// MaxConsoleLog bounds a console log in an answer, in bytes, as upstream does.
const MaxConsoleLog = 100 << 10

// Report is an agent's sign of life, with what it has and sees. Control knows
// from it that the host is up, tells Placement, and finds guests that do what
// they should not.
var Report = bus.Call[HostReport, HostOrders]{Name: "compute.report"}

// HostReport is what an agent says of its host.
type HostReport struct {
	Host      string        `json:"host"`
	Resources Resources     `json:"resources"`
	Traits    []string      `json:"traits"`
	Methods   []string      `json:"methods"`
	Guests    []GuestReport `json:"guests"`
	// Parked lists the guests that have been put aside for a move.
	Parked []string `json:"parked,omitempty"`
	// Busy lists the servers that the agent is working on: what it sees of them
	// is on its way to something else.
	Busy []string `json:"busy"`
	// Age is how many milliseconds ago the agent began to look at its guests.
	Age int64 `json:"age,omitempty"`
	// Partial: only the guests listed have been looked at.
	Partial bool `json:"partial,omitempty"`
}

// GuestReport is one guest as the agent finds it.
type GuestReport struct {
	ServerID string `json:"server_id"`
	Power    Power  `json:"power"`
}

// HostOrders is what control answers.
type HostOrders struct {
	// Remove lists guests whose servers are known to be deleted or elsewhere.
	Remove []string `json:"remove,omitempty"`
	// Drop lists parked guests that nobody will want back.
	Drop []string `json:"drop,omitempty"`
	// Networks are the ports of those guests whose devices go with them, by
	// server, as far as they are known.
	Networks map[string][]Interface `json:"networks,omitempty"`
}

// PortChanged tells an agent that a port of one of its servers was wired or
// unwired.
var PortChanged = bus.Hint[PortEvent]{Name: "compute.port"}

// PortEvent is what the network service said of a port.
type PortEvent struct {
	ServerID string `json:"server_id"`
	PortID   string `json:"port_id"`
	Wired    bool   `json:"wired"`
}

// PortsWired asks control whether all ports of a server are wired, for an agent
// that may have missed the hint.
var PortsWired = bus.Call[PortsWiredRequest, PortsWiredReply]{Name: "compute.ports_wired"}

// PortsWiredRequest names the server.
type PortsWiredRequest struct {
	ServerID string `json:"server_id"`
}

// PortsWiredReply lists the ports that are wired.
type PortsWiredReply struct {
	PortIDs []string `json:"port_ids"`
}

// ControlName is the address under which control serves Report and PortsWired.
const ControlName = "control"
