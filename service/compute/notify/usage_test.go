package notify

import (
	"strings"
	"testing"
	"time"

	"kilonova/service/compute"
)

// What a cloud of fakes has no occasion to tell is worded as upstream's samples are.
func TestUsage(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	s := &compute.Server{ID: "s", State: compute.Active, Host: "h"}
	both := Exists(Cause{Now: now}, Formats{Versioned: true, Unversioned: true}, s, now.Add(-time.Hour), now)
	if len(both) != 2 || both[0].EventType != "compute.instance.exists" || both[1].EventType != "instance.exists" || both[1].PublisherID != "nova-compute:h" {
		t.Fatal(body(t, both))
	}
	for _, want := range []string{`"audit_period_beginning":"2026-11-20T11:00:00.000000"`, `"nova_object.name":"InstanceExistsPayload"`,
		`"audit_period":{"nova_object.name":"AuditPeriodPayload","nova_object.namespace":"nova","nova_object.version":"1.0","nova_object.data":{"audit_period_beginning":"2026-11-20T11:00:00Z"`} {
		if !strings.Contains(body(t, both), want) {
			t.Errorf("%s lacks %s", body(t, both), want)
		}
	}
	measured := body(t, []Message{Measured(Cause{Now: now}, &compute.Host{Name: "h", Resources: compute.Resources{HostIP: "192.0.2.1", HypervisorName: "n", HypervisorType: "fake",
		Metrics: map[string]float64{"cpu.percent": 2}}})})
	for _, want := range []string{`"event_type":"metrics.update"`, `"nodename":"n"`, `"name":"cpu.percent","value":2,"numa_membw_values":null,"timestamp":"2026-11-20T12:00:00Z","source":"fake"`} {
		if !strings.Contains(measured, want) {
			t.Errorf("%s lacks %s", measured, want)
		}
	}
}

// A step that fails is told as an error of its own, and as an exception on the host
// or in the conductor's task.
func TestFailures(t *testing.T) {
	result, why := "Error", "it broke"
	s := &compute.Server{ID: "s", State: compute.Active, Host: "h"}
	for step, want := range map[string][]string{
		"compute_reboot_instance":         {"instance.reboot.error", "compute.exception"},
		"compute_rebuild_instance":        {"instance.rebuild.error", "compute.exception"},
		"compute_resize_instance":         {"instance.resize.error", "compute.exception"},
		"compute_attach_interface":        {"instance.interface_attach.error", "compute.exception"},
		"compute_attach_volume":           {"instance.volume_attach.error", "compute.exception"},
		"compute_swap_volume":             {"instance.volume_swap.error", "compute.exception"},
		"compute_allow_share":             {"instance.share_attach.error", "compute.exception"},
		"compute_deny_share":              {"instance.share_detach.error", "compute.exception"},
		"conductor_migrate_server":        {"compute_task.migrate_server.error"},
		"conductor_live_migrate_instance": {"compute_task.migrate_server.error"},
		"conductor_rebuild_instance":      {"compute_task.rebuild_server.error"},
		stepPlaced:                        {"instance.create.error", "compute_task.build_instances.error"},
	} {
		e := compute.ActionEvent{Name: step, Result: &result, Details: &why}
		got := Stepped(Cause{}, Formats{Versioned: true}, s, compute.Action{}, e)
		if len(got) != len(want) {
			t.Errorf("%s: %s", step, body(t, got))
			continue
		}
		for i := range want {
			if got[i].EventType != want[i] || got[i].Priority != "ERROR" || !strings.Contains(body(t, got[i:i+1]), `"exception_message":"it broke"`) {
				t.Errorf("%s: %s", step, body(t, got[i:i+1]))
			}
		}
	}
}
