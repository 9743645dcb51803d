package notify

import (
	"slices"

	"kilonova/service/compute"
)

// event is one notification of a step: instance.NAME.PHASE in the versioned tree,
// compute.instance.OLD.PHASE in the unversioned one, "" in neither.
type event struct {
	name, old string
	kind      payload
	source    string // "" ByCompute
	single    bool   // has no phases
	both      bool   // begins and ends when it is asked for
	endsOnly  bool   // the old one is told at the end alone, without a phase
}

// payload says which of upstream's payloads an event has.
type payload int

const (
	plain payload = iota
	create
	rebuild
	rescue
	resizePrep
	snapshot
	volume
	volumeSwap
	share
)

// begun are what is told when an action is asked for, by the action's name in the
// server's history. Together with done it is the one table of what is told when: a
// new verb gets its notifications by a row in each.
var begun = map[string][]event{
	"start":                         {{name: "power_on", old: "power_on"}},
	"stop":                          {{name: "power_off", old: "power_off"}},
	"reboot":                        {{name: "reboot", old: "reboot"}},
	"delete":                        {{name: "delete", old: "delete"}, {name: "shutdown", old: "shutdown"}},
	"softDelete":                    {{name: "soft_delete", old: "soft_delete"}},
	"forceDelete":                   {{name: "delete", old: "delete"}, {name: "shutdown", old: "shutdown"}},
	"restore":                       {{name: "restore", old: "restore"}},
	"pause":                         {{name: "pause", old: "pause"}},
	"unpause":                       {{name: "unpause", old: "unpause"}},
	"suspend":                       {{name: "suspend", old: "suspend"}},
	"resume":                        {{name: "resume", old: "resume"}},
	"rescue":                        {{name: "rescue", old: "rescue", kind: rescue}},
	"unrescue":                      {{name: "unrescue", old: "unrescue"}},
	"rebuild":                       {{name: "rebuild_scheduled", old: "rebuild.scheduled", kind: rebuild, source: ByConductor, single: true}, {name: "rebuild", old: "rebuild", kind: rebuild}},
	"evacuate":                      {{name: "evacuate", source: ByAPI, single: true}},
	"resize":                        {{name: "resize_prep", old: "resize.prep", kind: resizePrep}},
	"migrate":                       {{name: "resize_prep", old: "resize.prep", kind: resizePrep}},
	"confirmResize":                 {{name: "resize_confirm", old: "resize.confirm"}},
	"revertResize":                  {{name: "resize_revert", old: "resize.revert"}},
	"live-migration":                {{name: "live_migration_pre", old: "live_migration.pre"}},
	"live_migration_cancel":         {{name: "live_migration_abort", old: "live.migration.abort", both: true}},
	"live_migration_force_complete": {{name: "live_migration_force_complete", old: "live.migration.force.complete", both: true}},
	"shelve":                        {{name: "shelve", old: "shelve"}},
	"shelveOffload":                 {{name: "shelve_offload", old: "shelve_offload"}},
	"unshelve":                      {{name: "unshelve", old: "unshelve"}},
	"createImage":                   {{name: "snapshot", old: "snapshot", kind: snapshot}},
	"createBackup":                  {{name: "snapshot", old: "snapshot", kind: snapshot}},
	"trigger_crash_dump":            {{name: "trigger_crash_dump"}},
	"lock":                          {{name: "lock", source: ByAPI, single: true}},
	"unlock":                        {{name: "unlock", source: ByAPI, single: true}},
	"attach_interface":              {{name: "interface_attach"}},
	"detach_interface":              {{name: "interface_detach"}},
	"attach_volume":                 {{name: "volume_attach", kind: volume}},
	"detach_volume":                 {{name: "volume_detach", kind: volume}},
	"swap_volume":                   {{name: "volume_swap", kind: volumeSwap}},
	"attach_share":                  {{name: "share_attach", kind: share, source: ByAPI}},
	"detach_share":                  {{name: "share_detach", kind: share, source: ByAPI}},
}

// done are what is told when a step of an action has ended, by the step's name in
// the server's history. A step that ended with an error is told as one.
var done = map[string][]event{
	"compute__do_build_and_run_instance":    {{name: "create", old: "create", kind: create}},
	"compute_start_instance":                {{name: "power_on", old: "power_on"}},
	"compute_stop_instance":                 {{name: "power_off", old: "power_off"}},
	"compute_reboot_instance":               {{name: "reboot", old: "reboot"}},
	"compute_terminate_instance":            {{name: "shutdown", old: "shutdown"}, {name: "delete", old: "delete"}},
	"compute_soft_delete_instance":          {{name: "soft_delete", old: "soft_delete"}},
	"compute_restore_instance":              {{name: "restore", old: "restore"}},
	"compute_pause_instance":                {{name: "pause", old: "pause"}},
	"compute_unpause_instance":              {{name: "unpause", old: "unpause"}},
	"compute_suspend_instance":              {{name: "suspend", old: "suspend"}},
	"compute_resume_instance":               {{name: "resume", old: "resume"}},
	"compute_rescue_instance":               {{name: "rescue", old: "rescue", kind: rescue}},
	"compute_unrescue_instance":             {{name: "unrescue", old: "unrescue"}},
	"compute_rebuild_instance":              {{name: "rebuild", old: "rebuild", kind: rebuild}},
	"compute_prep_resize":                   {{name: "resize_prep", old: "resize.prep", kind: resizePrep}},
	"compute_resize_instance":               {{name: "resize", old: "resize"}},
	"compute_finish_resize":                 {{name: "resize_finish", old: "finish_resize"}},
	"compute_confirm_resize":                {{name: "resize_confirm", old: "resize.confirm"}},
	"compute_revert_resize":                 {{name: "resize_revert", old: "resize.revert"}},
	"compute_finish_revert_resize":          {{name: "resize_revert", old: "resize.revert"}},
	"compute_check_can_live_migrate_source": {},
	"compute_pre_live_migration":            {{name: "live_migration_pre", old: "live_migration.pre"}},
	"compute_shelve_instance":               {{name: "shelve", old: "shelve"}},
	"compute_shelve_offload_instance":       {{name: "shelve_offload", old: "shelve_offload"}},
	"compute_unshelve_instance":             {{name: "unshelve", old: "unshelve"}},
	"compute_snapshot_instance":             {{name: "snapshot", old: "snapshot", kind: snapshot}},
	"compute_backup_instance":               {{name: "snapshot", old: "snapshot", kind: snapshot}},
	"compute_trigger_crash_dump":            {{name: "trigger_crash_dump"}},
	"compute_attach_interface":              {{name: "interface_attach"}},
	"compute_detach_interface":              {{name: "interface_detach"}},
	"compute_attach_volume":                 {{name: "volume_attach", old: "volume.attach", kind: volume, endsOnly: true}},
	"compute_detach_volume":                 {{name: "volume_detach", old: "volume.detach", kind: volume, endsOnly: true}},
	"compute_swap_volume":                   {{name: "volume_swap", kind: volumeSwap}},
	"compute_allow_share":                   {{name: "share_attach", kind: share, source: ByAPI}},
	"compute_deny_share":                    {{name: "share_detach", kind: share, source: ByAPI}},
}

// placed is told when a host has been chosen for a new server: there its making
// begins.
var placed = []event{{name: "create", old: "create", kind: create}}

// stepPlaced is the step that chooses, and that fails when no host can be found.
const stepPlaced = "conductor_schedule_and_build_instances"

// Acted words that something has been asked of a server.
func Acted(c Cause, f Formats, s *compute.Server, a compute.Action) []Message {
	events := begun[a.Action]
	if About(a.About)[AboutSoft] != "" {
		events = begun["softDelete"]
	}
	all := c.tell(f, events, "start", s, About(a.About), nil)
	for _, e := range events {
		if e.both {
			all = append(all, c.tell(f, []event{e}, "end", s, About(a.About), nil)...)
		}
	}
	return all
}

// Stepped words that a step of what was asked of a server has ended.
func Stepped(c Cause, f Formats, s *compute.Server, a compute.Action, e compute.ActionEvent) []Message {
	about := About(a.About)
	if e.Result != nil && *e.Result == "Error" {
		events := done[e.Name]
		if e.Name == stepPlaced {
			events = placed
		}
		return append(c.tell(f, events, "error", s, about, &e), c.failed(f, s, e)...)
	}
	if e.Name == stepPlaced {
		return c.tell(f, placed, "start", s, about, nil)
	}
	return append(c.tell(f, done[e.Name], "end", s, about, nil), c.follow(f, s, e, about)...)
}

// Formats says which of the two trees are wanted.
type Formats struct {
	Versioned, Unversioned bool
	Devices                bool // tell block devices, too
	Level                  string
}

func (c Cause) tell(f Formats, events []event, phase string, s *compute.Server, about About, failure *compute.ActionEvent) []Message {
	var all []Message
	for _, e := range events {
		if e.single && phase != "start" {
			continue
		}
		suffix := "." + phase
		if e.single {
			suffix = ""
		}
		at := c
		source := e.source
		if source == "" {
			source = ByCompute
		}
		if s.Host != "" && source == ByCompute {
			at.Host = s.Host
		}
		if f.Unversioned && e.old != "" && (!e.endsOnly || phase == "end") {
			old := "compute.instance." + e.old + suffix
			if e.endsOnly {
				old = "compute.instance." + e.old
			}
			all = append(all, at.unversioned(f, old, s, failure))
		}
		if f.Versioned {
			all = append(all, at.versioned(source, "instance."+e.name+suffix, c.instance(f, e.kind, s, about, failure)))
		}
	}
	return all
}

// Names are all versioned events of servers that the tables know, sorted: what can
// be told at all.
func Names() []string {
	var all []string
	add := func(events []event, phases ...string) {
		for _, e := range events {
			if e.single {
				all = append(all, "instance."+e.name)
				continue
			}
			for _, p := range phases {
				all = append(all, "instance."+e.name+"."+p)
			}
		}
	}
	for _, events := range begun {
		add(events, "start")
		add(slices.DeleteFunc(slices.Clone(events), func(e event) bool { return !e.both }), "end")
	}
	for _, next := range follows {
		for _, n := range next {
			add([]event{n.event}, n.phase)
		}
	}
	for _, events := range done {
		add(events, "end", "error")
	}
	add(placed, "start", "error")
	slices.Sort(all)
	return slices.Compact(all)
}
