package notify

import (
	"maps"
	"slices"
	"time"

	"kilonova/service/compute"
)

// The values of [notifications] notify_on_state_change.
const (
	OnState        = "vm_state"
	OnStateAndTask = "vm_and_task_state"
)

// Changed words that a server's face has changed: its state, with on = OnStateAndTask
// also its task, or what a user may change of it.
func Changed(c Cause, f Formats, on string, before, after *compute.Server) []Message {
	state := before.State != after.State
	task := on == OnStateAndTask && before.Task != after.Task
	user := before.DisplayName != after.DisplayName || !maps.Equal(before.Metadata, after.Metadata) || !slices.Equal(before.Tags, after.Tags)
	if on == "" || !state && !task && !user {
		return nil
	}
	oldState, oldTask := before.State, before.Task
	if !state && !task {
		oldState, oldTask = after.State, after.Task // no change of state is told
	}
	oldName := ""
	if before.DisplayName != after.DisplayName {
		oldName = before.DisplayName
	}
	source := ByCompute
	if user {
		source = ByAPI
	}
	var all []Message
	if f.Unversioned {
		all = append(all, c.unversionedUpdate(f, after, oldState, oldTask, oldName))
	}
	if f.Versioned {
		d := c.base(after)
		d.tagData = &tagData{orNone(after.Tags)}
		d.updateData = &updateData{StateUpdate: stateUpdate(oldState, oldTask, after), OldName: orNull(oldName)}
		d.existsData = &existsData{auditPeriod(c.Now)}
		all = append(all, c.versioned(source, "instance.update", objectOf("InstanceUpdatePayload", "2.1", d)))
	}
	return all
}

func stateUpdate(state compute.State, task compute.Task, after *compute.Server) object {
	return objectOf("InstanceStateUpdatePayload", "1.0", struct {
		OldState compute.State `json:"old_state"`
		State    compute.State `json:"state"`
		OldTask  *string       `json:"old_task_state"`
		NewTask  *string       `json:"new_task_state"`
	}{state, after.State, orNull(string(task)), orNull(string(after.Task))})
}

// auditPeriod is the running month.
func auditPeriod(now time.Time) object { return period(monthOf(now), now) }

func period(begin, end time.Time) object {
	return objectOf("AuditPeriodPayload", "1.0", struct {
		Beginning stamp `json:"audit_period_beginning"`
		Ending    stamp `json:"audit_period_ending"`
	}{stamp{begin}, stamp{end}})
}

func monthOf(now time.Time) time.Time {
	now = now.UTC()
	return time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
}
