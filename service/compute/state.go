package compute

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"kilonova/internal/fault"
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

// The tasks (nova/compute/task_states.py).
const (
	NoTask         Task = ""
	Scheduling     Task = "scheduling"
	Networking     Task = "networking"
	BlockMapping   Task = "block_device_mapping"
	Spawning       Task = "spawning"
	PoweringOn     Task = "powering-on"
	PoweringOff    Task = "powering-off"
	Rebooting      Task = "rebooting"
	RebootPending  Task = "reboot_pending"
	RebootStarted  Task = "reboot_started"
	RebootingHard  Task = "rebooting_hard"
	Pausing        Task = "pausing"
	Unpausing      Task = "unpausing"
	Suspending     Task = "suspending"
	Resuming       Task = "resuming"
	Rescuing       Task = "rescuing"
	Unrescuing     Task = "unrescuing"
	Rebuilding     Task = "rebuilding"
	RebuildMapping Task = "rebuild_block_device_mapping"
	RebuildSpawn   Task = "rebuild_spawning"
	ResizePrep     Task = "resize_prep"
	ResizeMigrates Task = "resize_migrating"
	ResizeMigrated Task = "resize_migrated"
	ResizeFinish   Task = "resize_finish"
	ResizeReverts  Task = "resize_reverting"
	ResizeConfirms Task = "resize_confirming"
	Migrating      Task = "migrating"
	ShelvingTask   Task = "shelving"
	ShelvingUpload Task = "shelving_image_uploading"
	Offloading     Task = "shelving_offloading"
	Unshelving     Task = "unshelving"
	SnapshotWaits  Task = "image_snapshot_pending"
	Snapshotting   Task = "image_snapshot"
	SnapshotUpload Task = "image_uploading"
	BackingUp      Task = "image_backup"
	SettingPass    Task = "updating_password"
	SoftDeleting   Task = "soft-deleting"
	Restoring      Task = "restoring"
	Deleting       Task = "deleting"
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

// status is the word for a state, and the words for it while something is done.
type status struct {
	word   string
	during map[Task]string
}

var (
	resizing   = map[Task]string{ResizePrep: "RESIZE", ResizeMigrates: "RESIZE", ResizeMigrated: "RESIZE", ResizeFinish: "RESIZE"}
	rebuilding = map[Task]string{Rebuilding: "REBUILD", RebuildMapping: "REBUILD", RebuildSpawn: "REBUILD"}
)

// statuses are the words of the API (nova/api/openstack/common.py: _STATE_MAP).
var statuses = map[State]status{
	Active: {"ACTIVE", join(resizing, rebuilding, map[Task]string{Rebooting: "REBOOT", RebootPending: "REBOOT", RebootStarted: "REBOOT",
		RebootingHard: "HARD_REBOOT", SettingPass: "PASSWORD", Migrating: "MIGRATING"})},
	Stopped:          {"SHUTOFF", join(resizing, rebuilding)},
	Error:            {"ERROR", rebuilding},
	Paused:           {"PAUSED", map[Task]string{Migrating: "MIGRATING"}},
	Resized:          {"VERIFY_RESIZE", map[Task]string{ResizeReverts: "REVERT_RESIZE"}},
	Building:         {"BUILD", nil},
	Suspended:        {"SUSPENDED", nil},
	Rescued:          {"RESCUE", nil},
	Shelved:          {"SHELVED", nil},
	ShelvedOffloaded: {"SHELVED_OFFLOADED", nil},
	SoftDeleted:      {"SOFT_DELETED", nil},
	Deleted:          {"DELETED", nil},
}

func join(all ...map[Task]string) map[Task]string {
	out := map[Task]string{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

// Status is the one word that the API shows for state and task together.
func Status(s State, t Task) string {
	row, known := statuses[s]
	if !known {
		return "UNKNOWN"
	}
	if w, ok := row.during[t]; ok {
		return w
	}
	return row.word
}

// StatesOf returns the states that a status word may stand for; none for a word
// that is no status.
func StatesOf(word string) []State {
	var states []State
	for state, row := range statuses {
		if row.word == word || slices.Contains(slices.Collect(maps.Values(row.during)), word) {
			states = append(states, state)
		}
	}
	slices.Sort(states)
	return states
}

// Verb is something that a user asks of an existing server.
type Verb string

// The verbs, in upstream's names where messages show them.
const (
	Start            Verb = "start"
	Stop             Verb = "stop"
	RebootSoft       Verb = "reboot"
	RebootHard       Verb = "reboot (hard)"
	Delete           Verb = "delete"
	ForceDelete      Verb = "force_delete"
	Restore          Verb = "restore"
	Update           Verb = "update"
	SetMetadata      Verb = "update_instance_metadata"
	DeleteMetadata   Verb = "delete_instance_metadata"
	ReadConsole      Verb = "get_console_output"
	AttachPort       Verb = "attach_interface"
	DetachPort       Verb = "detach_interface"
	AttachVolume     Verb = "attach_volume"
	DetachVolume     Verb = "detach_volume"
	SwapVolume       Verb = "swap_volume"
	AttachShare      Verb = "create share"
	DetachShare      Verb = "delete share"
	Pause            Verb = "pause"
	Unpause          Verb = "unpause"
	Suspend          Verb = "suspend"
	Resume           Verb = "resume"
	Rescue           Verb = "rescue"
	Unrescue         Verb = "unrescue"
	Rebuild          Verb = "rebuild"
	Resize           Verb = "resize"
	ConfirmResize    Verb = "confirm_resize"
	RevertResize     Verb = "revert_resize"
	LiveMigrate      Verb = "live_migrate"
	ForceMigration   Verb = "live_migrate_force_complete"
	AbortMigration   Verb = "live_migrate_abort"
	Evacuate         Verb = "evacuate"
	Shelve           Verb = "shelve"
	ShelveOffload    Verb = "shelve_offload"
	Unshelve         Verb = "unshelve"
	CreateImage      Verb = "snapshot"
	CreateBackup     Verb = "backup"
	SetPassword      Verb = "set_admin_password"
	TriggerCrashDump Verb = "trigger_crash_dump"
)

// transition is a row of the one table of what may be done when.
type transition struct {
	from []State // nil: any
	// during lists the tasks besides none during which the verb is allowed; the
	// task AnyTask allows all.
	during []Task
	only   bool // one of during has to be under way; none is not enough
	except Task // not during this one, for all that AnyTask says
	task   Task // what is then being done
}

// AnyTask stands for every task in the table below.
const AnyTask Task = "*"

// transitions hold what nova/compute/api.py asks of a server's state before each
// call. Evacuate goes on when it was cut off, so that it may be asked again.
var transitions = map[Verb]transition{
	Start:            {from: []State{Stopped}, task: PoweringOn},
	Stop:             {from: []State{Active, Error}, task: PoweringOff},
	RebootSoft:       {from: []State{Active}, task: Rebooting},
	RebootHard:       {from: []State{Active, Stopped, Paused, Suspended, Error}, during: []Task{Rebooting, RebootPending, RebootStarted, Resuming, RebootingHard, Unpausing, Pausing, Suspending}, task: RebootingHard},
	Delete:           {during: []Task{AnyTask}, task: Deleting},
	ForceDelete:      {during: []Task{AnyTask}, task: Deleting},
	Restore:          {from: []State{SoftDeleted}, task: Restoring},
	Update:           {during: []Task{AnyTask}},
	SetMetadata:      {from: []State{Active, Paused, Suspended, Stopped}, during: []Task{AnyTask}},
	DeleteMetadata:   {from: []State{Active, Paused, Suspended, Stopped}, during: []Task{AnyTask}},
	ReadConsole:      {from: []State{Active, Stopped, Paused, Suspended, Rescued, Resized, Error, Shelved}, during: []Task{AnyTask}},
	AttachPort:       {from: []State{Active, Paused, Stopped}},
	DetachPort:       {from: []State{Active, Paused, Stopped}},
	AttachVolume:     {from: []State{Active, Paused, Stopped, Resized, SoftDeleted, Shelved, ShelvedOffloaded}},
	DetachVolume:     {from: []State{Active, Paused, Stopped, Resized, SoftDeleted, Shelved, ShelvedOffloaded}},
	SwapVolume:       {from: []State{Active, Paused, Resized}},
	AttachShare:      {from: []State{Stopped}},
	DetachShare:      {from: []State{Stopped, Error}},
	Pause:            {from: []State{Active}, task: Pausing},
	Unpause:          {from: []State{Paused}, task: Unpausing},
	Suspend:          {from: []State{Active}, task: Suspending},
	Resume:           {from: []State{Suspended}, task: Resuming},
	Rescue:           {from: []State{Active, Stopped, Error}, task: Rescuing},
	Unrescue:         {from: []State{Rescued}, task: Unrescuing},
	Rebuild:          {from: []State{Active, Stopped, Error}, task: Rebuilding},
	Resize:           {from: []State{Active, Stopped}, task: ResizePrep},
	ConfirmResize:    {from: []State{Resized}, task: ResizeConfirms},
	RevertResize:     {from: []State{Resized}, task: ResizeReverts},
	LiveMigrate:      {from: []State{Active, Paused}, task: Migrating},
	ForceMigration:   {from: []State{Active}, during: []Task{Migrating}, only: true},
	AbortMigration:   {during: []Task{Migrating}, only: true},
	Evacuate:         {from: []State{Active, Stopped, Error}, during: []Task{AnyTask}, except: Deleting, task: Rebuilding},
	Shelve:           {from: []State{Active, Stopped, Paused, Suspended}, task: ShelvingTask},
	ShelveOffload:    {from: []State{Shelved}, task: Offloading},
	Unshelve:         {from: []State{Shelved, ShelvedOffloaded}, task: Unshelving},
	CreateImage:      {from: []State{Active, Stopped, Paused, Suspended}, task: SnapshotWaits},
	CreateBackup:     {from: []State{Active, Stopped, Paused, Suspended}, task: BackingUp},
	SetPassword:      {from: []State{Active}, task: SettingPass},
	TriggerCrashDump: {from: []State{Active, Paused, Rescued, Resized, Error}},
}

// TaskOf returns what is being done while a verb is carried out.
func TaskOf(v Verb) Task { return transitions[v].task }

// Allowed refuses a verb that the state of a server, or what is under way with it,
// does not allow: a conflict, in the words that clients look for.
func Allowed(v Verb, s *Server) error {
	row, known := transitions[v]
	if !known {
		panic("compute: no transition for " + string(v))
	}
	if row.from != nil && !slices.Contains(row.from, s.State) {
		return fault.Conflictf("Cannot '%s' instance %s while it is in vm_state %s", v.name(), s.ID, s.State)
	}
	during := slices.Contains(row.during, s.Task) || slices.Contains(row.during, AnyTask) && s.Task != row.except
	if s.Task == NoTask && row.only || s.Task != NoTask && !during {
		return fault.Conflictf("Cannot '%s' instance %s while it is in task_state %s", v.name(), s.ID, cmp.Or(s.Task, "None"))
	}
	return nil
}

func (v Verb) name() string {
	if v == RebootHard {
		return string(RebootSoft)
	}
	return string(v)
}

func guestName(seq int64) string { return fmt.Sprintf("instance-%08x", seq) }
