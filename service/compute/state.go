package compute

import (
	"fmt"
	"slices"
)

// State is what a server is: vm_state of the API.
type State string

// The states.
const (
	Building         State = "building"
	Active           State = "active"
	Stopped          State = "stopped"
	Paused           State = "paused"
	Suspended        State = "suspended"
	Rescued          State = "rescued"
	Resized          State = "resized"
	Shelved          State = "shelved"
	ShelvedOffloaded State = "shelved_offloaded"
	SoftDeleted      State = "soft-delete"
	Error            State = "error"
	Deleted          State = "deleted"
)

// Task is what is being done with a server: task_state of the API.
type Task string

// The tasks.
const (
	NoTask        Task = ""
	Scheduling    Task = "scheduling"
	Networking    Task = "networking"
	BlockMapping  Task = "block_device_mapping"
	Spawning      Task = "spawning"
	PoweringOn    Task = "powering-on"
	PoweringOff   Task = "powering-off"
	Rebooting     Task = "rebooting"
	RebootingHard Task = "rebooting_hard"
	Deleting      Task = "deleting"
)

// Power is what a guest does: power_state of the API, as nova counts.
type Power int

// The power states.
const (
	PowerNone      Power = 0
	PowerRunning   Power = 1
	PowerPaused    Power = 3
	PowerShutdown  Power = 4
	PowerCrashed   Power = 6
	PowerSuspended Power = 7
)

// Status is the one word that the API shows for state and task together
// (nova/api/openstack/common.py: _STATE_MAP).
func Status(s State, t Task) string {
	switch s {
	case Active:
		switch t {
		case Rebooting:
			return "REBOOT"
		case RebootingHard:
			return "HARD_REBOOT"
		}
		return "ACTIVE"
	case Stopped:
		if t == RebootingHard {
			return "HARD_REBOOT"
		}
		return "SHUTOFF"
	case Building:
		return "BUILD"
	case Rescued:
		return "RESCUE"
	case Resized:
		return "VERIFY_RESIZE"
	case SoftDeleted:
		return "SOFT_DELETED"
	case Paused, Suspended, Error, Deleted, Shelved, ShelvedOffloaded:
		return map[State]string{Paused: "PAUSED", Suspended: "SUSPENDED", Error: "ERROR", Deleted: "DELETED",
			Shelved: "SHELVED", ShelvedOffloaded: "SHELVED_OFFLOADED"}[s]
	}
	return "UNKNOWN"
}

// StatesOf returns the states that a status word may stand for; none for a word
// that is no status.
func StatesOf(status string) []State {
	var states []State
	for _, s := range allStates {
		for _, t := range []Task{NoTask, Rebooting, RebootingHard} {
			if Status(s, t) == status && !slices.Contains(states, s) {
				states = append(states, s)
			}
		}
	}
	return states
}

var allStates = []State{Building, Active, Stopped, Paused, Suspended, Rescued, Resized, Shelved, ShelvedOffloaded, SoftDeleted, Error, Deleted}

// Verb is something that a user asks of an existing server.
type Verb string

// The verbs.
const (
	Start       Verb = "start"
	Stop        Verb = "stop"
	RebootSoft  Verb = "reboot"
	RebootHard  Verb = "reboot (hard)"
	Delete      Verb = "delete"
	Update      Verb = "update"
	SetMetadata Verb = "update_instance_metadata"
	ReadConsole Verb = "get_console_output"
	AttachPort  Verb = "attach_interface"
	DetachPort  Verb = "detach_interface"
)

// transition is a row of the one table of what may be done when.
type transition struct {
	from []State // nil: any
	// during lists the tasks besides none during which the verb is allowed; the
	// task AnyTask allows all.
	during []Task
	task   Task // what is then being done
}

// AnyTask stands for every task in the table below.
const AnyTask Task = "*"

var transitions = map[Verb]transition{
	Start:       {from: []State{Stopped}, task: PoweringOn},
	Stop:        {from: []State{Active, Error}, task: PoweringOff},
	RebootSoft:  {from: []State{Active}, task: Rebooting},
	RebootHard:  {from: []State{Active, Stopped, Paused, Suspended, Error}, during: []Task{Rebooting, RebootingHard}, task: RebootingHard},
	Delete:      {during: []Task{AnyTask}, task: Deleting},
	Update:      {during: []Task{AnyTask}},
	SetMetadata: {from: []State{Active, Paused, Suspended, Stopped}, during: []Task{AnyTask}},
	ReadConsole: {from: []State{Active, Stopped, Paused, Suspended, Rescued, Resized, Error, Shelved}, during: []Task{AnyTask}},
	AttachPort:  {from: []State{Active, Paused, Stopped}},
	DetachPort:  {from: []State{Active, Paused, Stopped}},
}

// TaskOf returns what is being done while a verb is carried out.
func TaskOf(v Verb) Task { return transitions[v].task }

// Allows reports whether a verb may be asked of a server that is s with t under
// way, and if not, why.
func Allows(v Verb, id string, s State, t Task) (ok bool, why string) {
	row, known := transitions[v]
	if !known {
		panic("compute: no transition for " + string(v))
	}
	if row.from != nil && !slices.Contains(row.from, s) {
		return false, fmt.Sprintf("Cannot '%s' instance %s while it is in vm_state %s", v.name(), id, s)
	}
	if t != NoTask && !slices.Contains(row.during, t) && !slices.Contains(row.during, AnyTask) {
		return false, fmt.Sprintf("Cannot '%s' instance %s while it is in task_state %s", v.name(), id, t)
	}
	return true, ""
}

func (v Verb) name() string {
	if v == RebootHard {
		return string(RebootSoft)
	}
	return string(v)
}

func guestName(seq int64) string { return fmt.Sprintf("instance-%08x", seq) }
