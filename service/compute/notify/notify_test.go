package notify

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kilonova/service/compute"
)

func body(t *testing.T, all []Message) string {
	t.Helper()
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What is switched off is not told, and block devices only where they are asked for;
// what is secret of them never.
func TestFormats(t *testing.T) {
	s := &compute.Server{ID: "s", State: compute.Active, Host: "h", Devices: []compute.BlockDevice{{VolumeID: "v", Device: "/dev/vdb", Tag: "data",
		Connection: json.RawMessage(`{"auth_password":"secret"}`)}}}
	cause := Cause{RequestID: "r", Host: "api", Now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	action := compute.Action{Action: "stop"}
	if got := Acted(cause, Formats{}, s, action); len(got) != 0 {
		t.Errorf("nothing was asked for: %v", got)
	}
	both := Acted(cause, Formats{Versioned: true, Unversioned: true}, s, action)
	if len(both) != 2 || both[0].EventType != "compute.instance.power_off.start" || both[0].PublisherID != "compute.h" || both[1].EventType != "instance.power_off.start" ||
		both[1].PublisherID != "nova-compute:h" || both[1].Topic != TopicVersioned || both[0].Topic != TopicUnversioned {
		t.Errorf("%s", body(t, both))
	}
	if text := body(t, both); strings.Contains(text, "/dev/vdb") || strings.Contains(text, "secret") {
		t.Error(text)
	}
	if text := body(t, Acted(cause, Formats{Versioned: true, Devices: true}, s, action)); !strings.Contains(text, `"device_name":"/dev/vdb","boot_index":null`) || strings.Contains(text, "secret") {
		t.Error(text)
	}
	if got := Acted(cause, Formats{Versioned: true}, s, compute.Action{Action: "something new"}); len(got) != 0 {
		t.Errorf("what is in no table is told: %v", got)
	}
}

func TestChanged(t *testing.T) {
	before := &compute.Server{ID: "s", State: compute.Active, Task: compute.PoweringOff, DisplayName: "a"}
	after := *before
	f := Formats{Versioned: true}
	for _, c := range []struct {
		on     string
		change func(*compute.Server)
		told   int
		has    string
	}{
		{"", func(s *compute.Server) { s.State = compute.Stopped }, 0, ""},
		{OnState, func(s *compute.Server) { s.Task = compute.NoTask }, 0, ""},
		{OnState, func(s *compute.Server) { s.State = compute.Stopped }, 1, `"old_state":"active","state":"stopped"`},
		{OnStateAndTask, func(s *compute.Server) { s.Task = compute.NoTask }, 1, `"old_task_state":"powering-off","new_task_state":null`},
		{OnState, func(s *compute.Server) { s.DisplayName = "b" }, 1, `"old_display_name":"a"`},
		{OnState, func(s *compute.Server) { s.Tags = []string{"t"} }, 1, `"tags":["t"]`},
	} {
		changed := after
		c.change(&changed)
		got := Changed(Cause{}, f, c.on, before, &changed)
		if text := body(t, got); len(got) != c.told || !strings.Contains(text, c.has) {
			t.Errorf("%q: %s, want %s", c.on, text, c.has)
		}
	}
}
