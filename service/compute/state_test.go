package compute

import (
	"slices"
	"strings"
	"testing"

	"kilonova/internal/fault"
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

func TestAllowed(t *testing.T) {
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
		{Evacuate, Active, Rebuilding, ""},
		{Evacuate, Active, Deleting, "task_state deleting"},
	}
	for _, tt := range tests {
		err := Allowed(tt.verb, &Server{ID: "id", State: tt.state, Task: tt.task})
		if (err == nil) != (tt.why == "") || err != nil && (!fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), tt.why)) {
			t.Errorf("Allowed(%s, %s, %s) = %v; want %q", tt.verb, tt.state, tt.task, err, tt.why)
		}
	}
}
