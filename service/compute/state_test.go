package compute

import (
	"slices"
	"strings"
	"testing"
)

func TestStatus(t *testing.T) {
	tests := []struct {
		state State
		task  Task
		want  string
	}{
		{Building, Scheduling, "BUILD"}, {Building, Deleting, "BUILD"}, {Active, NoTask, "ACTIVE"}, {Active, Rebooting, "REBOOT"},
		{Active, RebootingHard, "HARD_REBOOT"}, {Active, PoweringOff, "ACTIVE"}, {Stopped, NoTask, "SHUTOFF"}, {Stopped, RebootingHard, "SHUTOFF"}, {Stopped, ResizeFinish, "RESIZE"}, {Resized, ResizeReverts, "REVERT_RESIZE"},
		{Error, NoTask, "ERROR"}, {Resized, NoTask, "VERIFY_RESIZE"}, {SoftDeleted, NoTask, "SOFT_DELETED"}, {State("odd"), NoTask, "UNKNOWN"},
	}
	for _, tt := range tests {
		if got := Status(tt.state, tt.task); got != tt.want {
			t.Errorf("Status(%s, %s) = %s, want %s", tt.state, tt.task, got, tt.want)
		}
		if tt.want != "UNKNOWN" && !slices.Contains(StatesOf(tt.want), tt.state) {
			t.Errorf("StatesOf(%s) lacks %s", tt.want, tt.state)
		}
	}
	if got := StatesOf("NONSENSE"); got != nil {
		t.Errorf("StatesOf(NONSENSE) = %v", got)
	}
}

func TestAllows(t *testing.T) {
	tests := []struct {
		verb  Verb
		state State
		task  Task
		why   string // "": allowed
	}{
		{Start, Stopped, NoTask, ""},
		{Start, Active, NoTask, "Cannot 'start' instance id while it is in vm_state active"},
		{Start, Stopped, PoweringOn, "task_state powering-on"},
		{Stop, Active, NoTask, ""},
		{Stop, Building, Spawning, "vm_state building"},
		{RebootSoft, Stopped, NoTask, "Cannot 'reboot'"},
		{RebootHard, Stopped, NoTask, ""},
		{RebootHard, Active, Rebooting, ""},
		{RebootHard, Active, Deleting, "task_state deleting"},
		{Delete, Building, Spawning, ""},
		{Delete, Error, NoTask, ""},
	}
	for _, tt := range tests {
		ok, why := Allows(tt.verb, "id", tt.state, tt.task)
		if ok != (tt.why == "") || !strings.Contains(why, tt.why) {
			t.Errorf("Allows(%s, %s, %s) = %v, %q; want %q", tt.verb, tt.state, tt.task, ok, why, tt.why)
		}
	}
}
