package compute

import "time"

// Host is one service process that the API lists: a compute agent with its
// hypervisor, or a control process (conductor, scheduler).
type Host struct {
	Seq            int64
	ID             string // UUID of the service record
	Binary         string // "nova-compute", "nova-conductor", "nova-scheduler": operators look for these
	Name           string // the host's name, unique among those of a binary
	Zone           string
	NodeID         string // UUID of the compute node, also its resource provider in Placement
	Disabled       bool
	DisabledReason string
	ForcedDown     bool
	LastSeen       time.Time
	CreatedAt      time.Time
	UpdatedAt      time.Time
	Resources      Resources
	Traits         []string // of its driver: COMPUTE_*
	Methods        []string // calls that the agent serves
	Published      string   // what Placement has been told, to tell it again only when it changes
}

// The binaries, by upstream's names.
const (
	BinaryCompute   = "nova-compute"
	BinaryConductor = "nova-conductor"
	BinaryScheduler = "nova-scheduler"
)

// Up reports whether the host has been heard of lately and nobody said that it
// is down.
func (h *Host) Up(now time.Time, downAfter time.Duration) bool {
	return !h.ForcedDown && now.Sub(h.LastSeen) <= downAfter
}

// Aggregate is a set of hosts with properties; one with the key
// availability_zone makes them a zone.
type Aggregate struct {
	Seq       int64
	ID        string // UUID
	Name      string
	Hosts     []string
	Metadata  map[string]string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Action is something that was done with a server, for its history.
type Action struct {
	Seq       int64
	RequestID string
	ServerID  string
	Action    string // "create", "stop", ...
	UserID    string
	ProjectID string
	StartedAt time.Time
	UpdatedAt time.Time
	Message   *string // "Error" when it failed
	Events    []ActionEvent
	// About is what it is about besides the server, for notifications only; see
	// package notify.
	About map[string]string
}

// ActionEvent is one step of an action.
type ActionEvent struct {
	Name       string // e.g. "compute__do_build_and_run_instance"
	Host       string
	StartedAt  time.Time
	FinishedAt time.Time
	Result     *string // "Success" or "Error"
	Traceback  *string
	Details    *string
}

// TraitOwner is what Placement is told of all compute hosts: their claims are
// compute's.
const TraitOwner = "OWNER_NOVA"
