package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/service/compute"
)

type planStep struct {
	ID     int    `db:"id"`
	Parent int    `db:"parent"`
	Unused int    `db:"notused"`
	Detail string `db:"detail"`
}

// What is read often must not read all servers, however many there are: SQLite
// says how it would find each answer.
func TestHotReadsUseIndexes(t *testing.T) {
	ctx, d := t.Context(), dbtest.SQLite(t)
	s, err := New(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	all := fill(t, s, 20)
	exists, gone, hour := false, true, epoch.Add(time.Hour)
	id, host := all[0].ID, "h"
	type asked struct {
		query string
		args  []any
	}
	var seen []asked
	d.Trace = func(query string, args []any) { seen = append(seen, asked{query, args}) }
	list := func(q compute.ServerQuery) func() error {
		return func() error {
			q.Extent = compute.Visible
			for _, err := range s.Servers(ctx, d, q) {
				return err
			}
			return nil
		}
	}
	one := func(_ any, err error) error { return err }
	reads := map[string]func() error{
		"one server":                     func() error { return one(s.Server(ctx, d, id)) },
		"a project's page":               list(compute.ServerQuery{ProjectID: "p1", Deleted: &exists, Shown: true, Limit: 1000}),
		"a project's next page":          list(compute.ServerQuery{ProjectID: "p1", Deleted: &exists, Shown: true, Marker: id, Limit: 1000}),
		"a page of all":                  list(compute.ServerQuery{Deleted: &exists, Shown: true, Limit: 1000}),
		"the next page of all":           list(compute.ServerQuery{Deleted: &exists, Shown: true, Marker: id, Limit: 1000}),
		"deleted servers":                list(compute.ServerQuery{Deleted: &gone, Limit: 1000}),
		"all servers in error":           list(compute.ServerQuery{Deleted: &exists, Shown: true, States: []compute.State{compute.Error}, Limit: 1000}),
		"a project's servers in error":   list(compute.ServerQuery{ProjectID: "p1", Deleted: &exists, Shown: true, States: []compute.State{compute.Error}, Limit: 1000}),
		"a host's servers":               list(compute.ServerQuery{Host: host, Deleted: &exists, Shown: true, Limit: 1000}),
		"what changed lately":            list(compute.ServerQuery{ChangesSince: hour, Limit: 1000}),
		"what changed in a project":      list(compute.ServerQuery{ProjectID: "p1", ChangesSince: hour, Limit: 1000}),
		"a reservation":                  list(compute.ServerQuery{ProjectID: "p1", Reservation: "r-1", Deleted: &exists, Shown: true, Limit: 1000}),
		"servers to be reclaimed":        list(compute.ServerQuery{States: []compute.State{compute.SoftDeleted}, Tasks: []compute.Task{compute.NoTask}, Deleted: &exists}),
		"servers left on their way":      func() error { return one(s.Unsettled(ctx, d, hour, 10)) },
		"what a report is compared with": func() error { return one(s.ServersOn(ctx, d, host)) },
		"strangers of a report":          func() error { return one(s.DeletedAmong(ctx, d, []string{id})) },
		"guests elsewhere":               func() error { return one(s.Elsewhere(ctx, d, host, []string{id}, hour)) },
		"hosts of some":                  func() error { return one(s.HostsOf(ctx, d, []string{id})) },
		"a project's use":                func() error { return one(s.Usage(ctx, d, "p1")) },
		"a user's use":                   func() error { return one(s.UserUsage(ctx, d, "p1", "u")) },
		"loads of all hosts":             func() error { return one(s.HostLoads(ctx, d)) },
		"load of a host":                 func() error { return one(s.HostLoad(ctx, d, host)) },
		"holds":                          func() error { return one(s.Holds(ctx, d)) },
		"holds on a host":                func() error { return one(s.Holds(ctx, d, host)) },
		"holds on some hosts":            func() error { return one(s.Holds(ctx, d, host, "another", "third")) },
		"places of a group":              func() error { return one(s.PlacesOf(ctx, d, "g")) },
		"moves to confirm": func() error {
			return one(s.Migrations(ctx, d, compute.MigrationQuery{Statuses: []compute.MigrationStatus{compute.MigrationFinished}, ChangesBefore: hour}))
		},
		"moves from a host": func() error {
			return one(s.Migrations(ctx, d, compute.MigrationQuery{SourceHost: host, Statuses: compute.OpenMigrations}))
		},
		"moves of a host": func() error {
			return one(s.Migrations(ctx, d, compute.MigrationQuery{Host: host, Statuses: compute.OpenMigrations}))
		},
		"moves of a server": func() error {
			return one(s.Migrations(ctx, d, compute.MigrationQuery{ServerID: id, Statuses: compute.OpenMigrations}))
		},
		"a page of what a project used": func() error { return one(s.UsedBetween(ctx, d, epoch, hour, "p1", id, 100)) },
		"what a host was used for":      func() error { return one(s.UsedOnHost(ctx, d, host, epoch, hour, 1, 100)) },
		"why a server is where it is":   func() error { return one(s.Placements(ctx, d, id, 10)) },
		"a server's history":            func() error { return one(s.Actions(ctx, d, id)) },
	}
	// Of these the index must find what is asked for, not only its project.
	finds := map[string]string{"a project's next page": "created_at<", "the next page of all": "created_at<", "all servers in error": "vm_state=?",
		"servers left on their way": "task_state>", "what changed lately": "updated_at>", "moves to confirm": "status=?", "deleted servers": "deleted_at>",
		"a page of what a project used": "id>", "what a host was used for": "host=?",
		"a host's servers": "host=?", "what changed in a project": "updated_at>", "what a report is compared with": "host=?"}
	for name, read := range reads {
		seen = nil
		if err := read(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		asks := seen
		if len(asks) == 0 {
			t.Errorf("%s asks nothing", name)
		}
		found := false
		for _, a := range asks {
			var plan []string
			for step, err := range db.Each[planStep](ctx, d, "EXPLAIN QUERY PLAN "+a.query, a.args...) {
				if err != nil {
					t.Fatal(name, err)
				}
				plan = append(plan, step.Detail)
			}
			found = found || strings.Contains(fmt.Sprint(plan), finds[name])
			for _, step := range plan {
				for _, table := range []string{"servers", "s", "migrations", "host_holds", "h", "actions", "action_events", "placements", "project_counts"} {
					if strings.HasPrefix(step+" ", "SCAN "+table+" ") {
						t.Errorf("%s reads all of a table: %s\n%s\n%s", name, step, a.query, fmt.Sprint(plan))
					}
				}
			}
		}
		if !found {
			t.Errorf("%s is not found by %q", name, finds[name])
		}
	}
}
