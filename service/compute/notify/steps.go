package notify

import (
	"kilonova/service/compute"
)

// told is an event in one of its phases.
type told struct {
	event event
	phase string
}

// follows are what is told, besides what has ended, when a step has gone well: the
// beginning of the next one, in upstream's order.
var follows = map[string][]told{
	"compute_prep_resize":        {{event{name: "resize", old: "resize"}, "start"}},
	"compute_resize_instance":    {{event{name: "resize_finish", old: "finish_resize"}, "start"}},
	"compute_live_migration":     {{event{name: "live_migration_post", old: "live_migration._post"}, "start"}, {event{name: "live_migration_post_dest", old: "live_migration.post.dest"}, "start"}},
	"conductor_rebuild_instance": {{event{name: "rebuild", old: "rebuild", kind: rebuild}, "start"}},
	"compute_post_live_migration_at_destination": {{event{name: "live_migration_post_dest", old: "live_migration.post.dest"}, "end"},
		{event{name: "live_migration_post", old: "live_migration._post"}, "end"}},
	"compute_rollback_live_migration_at_destination": {{event{name: "live_migration_rollback", old: "live_migration._rollback"}, "start"},
		{event{name: "live_migration_rollback_dest", old: "live_migration.rollback.dest"}, "start"},
		{event{name: "live_migration_rollback_dest", old: "live_migration.rollback.dest"}, "end"},
		{event{name: "live_migration_rollback", old: "live_migration._rollback"}, "end"}},
}

// tasksOf are the conductor's steps whose failure has a notification of its own.
var tasksOf = map[string]string{stepPlaced: "build_instances", "conductor_migrate_server": "migrate_server", "conductor_live_migrate_instance": "migrate_server",
	"conductor_rebuild_instance": "rebuild_server"}

// follow words what begins with the end of a step.
func (c Cause) follow(f Formats, s *compute.Server, e compute.ActionEvent, about About) []Message {
	var all []Message
	for _, next := range follows[e.Name] {
		all = append(all, c.tell(f, []event{next.event}, next.phase, s, about, nil)...)
	}
	return all
}

// failed words what is told of a failure beside the event that ended so: of the
// conductor's tasks, and of every one on a host.
func (c Cause) failed(f Formats, s *compute.Server, e compute.ActionEvent) []Message {
	if !f.Versioned {
		return nil
	}
	at := c
	if s.Host != "" {
		at.Host = s.Host
	}
	if task, ok := tasksOf[e.Name]; ok {
		return []Message{c.taskFailed(task, s, e)}
	}
	return []Message{at.exception(ByCompute, e)}
}

// exception is compute.exception: something could not be done.
func (c Cause) exception(source string, e compute.ActionEvent) Message {
	m := c.versioned(source, "compute.exception", *faultOf(&e))
	m.Priority = "ERROR"
	return m
}

// Decided words that a host was looked for, and with found that there is one.
func Decided(c Cause, s *compute.Server, found bool) []Message {
	spec := requestSpec(s)
	all := []Message{c.versioned(ByScheduler, "scheduler.select_destinations.start", spec)}
	if found {
		all = append(all, c.versioned(ByScheduler, "scheduler.select_destinations.end", spec))
	}
	return all
}

// shares are a server's shared file systems.
func shares(s *compute.Server) []object {
	list := []object{}
	for _, x := range s.Shares {
		list = append(list, objectOf("SharePayload", "1.0", struct {
			ID       string              `json:"share_mapping_uuid"`
			ShareID  string              `json:"share_id"`
			Status   compute.ShareStatus `json:"status"`
			Tag      string              `json:"tag"`
			Location string              `json:"export_location"`
		}{x.ID, x.ShareID, x.Status, x.Tag, x.ExportLocation}))
	}
	return list
}
