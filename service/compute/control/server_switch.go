package control

import (
	"context"

	"kilonova/internal/bus"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// toggle is a verb that one call to the host carries out.
type toggle struct {
	rule, action, event string
	call                bus.Call[compute.Work[compute.GuestRequest], compute.Progress]
	undo                bool
	to                  compute.State // "" the state stays
}

var toggles = map[compute.Verb]toggle{
	compute.Pause:            {"os_compute_api:os-pause-server:pause", "pause", "compute_pause_instance", compute.PauseCall, false, compute.Paused},
	compute.Unpause:          {"os_compute_api:os-pause-server:unpause", "unpause", "compute_unpause_instance", compute.PauseCall, true, compute.Active},
	compute.Suspend:          {"os_compute_api:os-suspend-server:suspend", "suspend", "compute_suspend_instance", compute.SuspendCall, false, compute.Suspended},
	compute.Resume:           {"os_compute_api:os-suspend-server:resume", "resume", "compute_resume_instance", compute.SuspendCall, true, compute.Active},
	compute.SetPassword:      {"os_compute_api:os-admin-password", "changePassword", "compute_set_admin_password", compute.PasswordCall, false, ""},
	compute.TriggerCrashDump: {"os_compute_api:servers:trigger_crash_dump", "trigger_crash_dump", "compute_trigger_crash_dump", compute.CrashDumpCall, false, ""},
}

type toggleState struct {
	Verb     compute.Verb `json:"verb"`
	Password string       `json:"password,omitempty"`
}

// Toggle begins to pause, unpause, suspend or resume a server, or to send its
// guest a signal.
func (c *Control) Toggle(ctx context.Context, id string, verb compute.Verb) error {
	return c.toggles(ctx, id, toggleState{Verb: verb})
}

// SetPassword begins to change the password of the guest's administrator.
func (c *Control) SetPassword(ctx context.Context, id, password string) error {
	return c.toggles(ctx, id, toggleState{Verb: compute.SetPassword, Password: password})
}

func (c *Control) toggles(ctx context.Context, id string, state toggleState) error {
	t := toggles[state.Verb]
	_, err := c.begins(ctx, id, order{rule: t.rule, verb: state.Verb, action: t.action, call: t.call.Name, kind: taskToggle, payload: state})
	return err
}

func (c *Control) toggle(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state toggleState
	if err := run.Payload(&state); err != nil {
		return err
	}
	t := toggles[state.Verb]
	task := compute.TaskOf(state.Verb)
	if s.Host == "" || task != compute.NoTask && s.Task != task {
		return nil // something stronger came in between
	}
	request := compute.GuestRequest{Server: *s, Undo: t.undo, Password: state.Password}
	progress, err := work(ctx, c, t.call, s.Host, workID(run), request, c.deadline(run, 0), c.still(ctx, s))
	e := ended{event: t.event, cause: err, done: store.ServerPatch{Power: &progress.Power}, failed: unlessBroken(err)}
	if t.to != "" {
		e.done.State = &t.to
	} else {
		e.failed = store.ServerPatch{}
	}
	if task == compute.NoTask { // what the server is busy with was asked for after this, and goes on
		e.done.Task, e.failed.Task = &s.Task, &s.Task
	}
	return c.ends(ctx, run, s, e)
}
