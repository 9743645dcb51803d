package network

import (
	"time"

	"kilonova/internal/bus"
)

// ControlName is the address under which control serves what agents ask.
const ControlName = "network"

// Beat is an agent's sign of life. It registers the agent at the first time.
var Beat = bus.Call[BeatRequest, BeatReply]{Name: "network.beat"}

// BeatRequest says what an agent is.
type BeatRequest struct {
	Host    string    `json:"host"`
	Zone    string    `json:"zone"`
	Started time.Time `json:"started"`
	// L3 and DHCP: the host may carry routers, and DHCP servers.
	L3   bool `json:"l3"`
	DHCP bool `json:"dhcp"`
	// Physical lists the physical networks that the host reaches; "*" is any.
	Physical []string `json:"physical"`
	// Wires are what QoS rules may promise on this host.
	Wires Wires `json:"wires,omitzero"`
	// Counts are shown in the agent's configurations.
	Counts map[string]int `json:"counts,omitempty"`
}

// Wires are what a host's physical networks and its packet processing can carry.
type Wires struct {
	Bandwidths []Bandwidth `json:"bandwidths,omitempty"`
	// Packets the host processes, in thousands a second: of both directions
	// together, or of each. 0: not counted.
	Packets        int `json:"packets,omitempty"`
	PacketsIngress int `json:"packets_ingress,omitempty"`
	PacketsEgress  int `json:"packets_egress,omitempty"`
	// Node is the name of the host's provider in Placement, where that is not the
	// host's own.
	Node string `json:"node,omitempty"`
}

// Empty reports whether nothing is counted on the host.
func (w *Wires) Empty() bool {
	return len(w.Bandwidths) == 0 && w.Packets == 0 && w.PacketsIngress == 0 && w.PacketsEgress == 0
}

// Bandwidth is what a host's way to a physical network carries, in kilobits a
// second as guests see it; 0: not counted.
type Bandwidth struct {
	Physical string `json:"physical"`
	Egress   int    `json:"egress,omitempty"`
	Ingress  int    `json:"ingress,omitempty"`
}

// BeatReply tells which revision the host's state has, so that a lost hint does
// no harm.
type BeatReply struct {
	Revision int64 `json:"revision"`
	// Every is how soon the next beat is due, in milliseconds.
	Every int `json:"every"`
}

// State asks for all that a host has to carry.
var State = bus.Call[StateRequest, StateReply]{Name: "network.state"}

// StateRequest names the host and the revision that it has already; 0: none.
type StateRequest struct {
	Host     string `json:"host"`
	Revision int64  `json:"revision"`
}

// StateReply has the state, or nil when the asker has it already.
type StateReply struct {
	Revision int64      `json:"revision"`
	State    *HostState `json:"state,omitempty"`
}

// Wired reports what an agent has made real.
var Wired = bus.Call[WiredRequest, WiredReply]{Name: "network.wired"}

// WiredRequest lists ports, router legs and DHCP ports among them.
type WiredRequest struct {
	Host  string   `json:"host"`
	Ports []string `json:"ports"` // wired now
	Gone  []string `json:"gone"`  // no longer
	// Routers are made with all that their state says, floating IPs included.
	Routers []string `json:"routers"`
	// All: what is not listed is not wired.
	All bool `json:"all"`
}

// WiredReply is empty.
type WiredReply struct{}

// Changed tells an agent that its host's state has a new revision.
var Changed = bus.Hint[ChangedHint]{Name: "network.changed"}

// ChangedHint names the revision.
type ChangedHint struct {
	Revision int64 `json:"revision"`
}
