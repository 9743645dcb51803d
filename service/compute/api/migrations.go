package api

import (
	"context"
	"slices"
	"strconv"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

func (a *api) moves() []rest.Route {
	return []rest.Route{
		{Method: "POST", Path: "/servers/{id}/action", Action: "resize", Handle: a.resizeServer, Doc: "resize server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "confirmResize", Handle: a.confirmResize, Doc: "confirm resize or migration"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "revertResize", Handle: a.revertResize, Doc: "revert resize or migration"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "migrate", Handle: a.migrateServer, Doc: "migrate server, switched off"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "rebuild", Handle: a.rebuildServer, Doc: "rebuild server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "evacuate", Handle: a.evacuateServer, Doc: "evacuate server from a host that is down"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "os-migrateLive", Handle: a.migrateLive, Doc: "migrate server while it runs"},
		{Method: "GET", Path: "/os-migrations", Handle: a.listMigrations, Doc: "list migrations"},
		{Method: "GET", Path: "/servers/{id}/migrations", Versions: "2.23-", Handle: a.listServerMigrations, Doc: "list live migrations of server under way"},
		{Method: "GET", Path: "/servers/{id}/migrations/{migration}", Versions: "2.23-", Handle: a.showServerMigration, Doc: "show live migration of server under way"},
		{Method: "DELETE", Path: "/servers/{id}/migrations/{migration}", Versions: "2.24-", Handle: a.abortMigration, Doc: "abort live migration"},
		{Method: "POST", Path: "/servers/{id}/migrations/{migration}/action", Action: "force_complete", Versions: "2.22-", Handle: a.completeMigration, Doc: "have live migration complete soon"},
	}
}

func (a *api) resizeServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Resize struct {
			FlavorRef  flavorRef `json:"flavorRef" check:"required"`
			DiskConfig string    `json:"OS-DCF:diskConfig" check:"enum=AUTO|MANUAL"`
		} `json:"resize" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.ResizeServer(ctx, r.Path("id"), string(body.Resize.FlavorRef), body.Resize.DiskConfig)
}

func (a *api) confirmResize(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.control.ConfirmResize(ctx, r.Path("id"))
}

func (a *api) revertResize(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.control.RevertResize(ctx, r.Path("id"))
}

// migrateServer takes a host since 2.56; before, whatever stands there means
// nothing.
func (a *api) migrateServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	host := ""
	if r.Version.AtLeast("2.56") {
		var body struct {
			Migrate rest.Opt[migrateTo] `json:"migrate" check:"null"`
		}
		if err := r.Decode(&body); err != nil {
			return nil, err
		}
		if host = body.Migrate.V.Host.V; host == "" && body.Migrate.V.Host.Set && !body.Migrate.V.Host.Null {
			return nil, fault.Invalidf("Invalid input for field/attribute host. Value: . '' is too short")
		}
	}
	return rest.Accepted(nil), a.control.MigrateServer(ctx, r.Path("id"), host)
}

type migrateTo struct {
	Host rest.Opt[string] `json:"host" check:"null match=hostname len=0..255"`
}

// migrationView is a row of os-migrations.
type migrationView struct {
	ID          int64          `json:"id"`
	UUID        string         `json:"uuid" mv:"2.59-"`
	ServerID    string         `json:"instance_uuid"`
	Status      string         `json:"status"`
	Type        string         `json:"migration_type" mv:"2.23-"`
	OldFlavor   *int64         `json:"old_instance_type_id"`
	NewFlavor   *int64         `json:"new_instance_type_id"`
	SourceHost  *string        `json:"source_compute"`
	SourceNode  *string        `json:"source_node"`
	DestCompute *string        `json:"dest_compute"`
	DestNode    *string        `json:"dest_node"`
	DestHost    *string        `json:"dest_host"`
	CreatedAt   rest.MicroTime `json:"created_at"`
	UpdatedAt   rest.MicroTime `json:"updated_at"`
	UserID      string         `json:"user_id" mv:"2.80-"`
	ProjectID   string         `json:"project_id" mv:"2.80-"`
	Links       []link         `json:"links,omitempty" mv:"2.23-"`
}

func (v *viewer) migration(m *compute.Migration, seen *control.MigrationsSeen) *migrationView {
	number := func(flavor string) *int64 {
		if n, ok := seen.Flavors[flavor]; ok {
			return &n
		}
		return nil
	}
	out := &migrationView{ID: m.Seq, UUID: m.ID, ServerID: m.ServerID, Status: string(m.Status), Type: string(m.Type), OldFlavor: number(m.OldFlavor.ID),
		NewFlavor: number(m.NewFlavor.ID), CreatedAt: rest.MicroTime{Time: m.CreatedAt}, UpdatedAt: rest.MicroTime{Time: m.UpdatedAt}, UserID: m.UserID, ProjectID: m.ProjectID}
	if seen.Hosts {
		out.SourceHost, out.SourceNode, out.DestCompute, out.DestNode, out.DestHost = orNull(m.SourceHost), orNull(m.SourceNode), orNull(m.DestHost), orNull(m.DestNode), orNull(m.DestIP)
	}
	if m.Type == compute.LiveMigration && slices.Contains(compute.LiveInProgress, m.Status) {
		out.Links = v.links("servers/"+m.ServerID+"/migrations", strconv.FormatInt(m.Seq, 10))
	}
	return out
}

// migrationParameters are the query's words by the version that they came with.
var migrationParameters = []struct {
	since string
	names []string
}{
	{"2.1", []string{"hidden", "host", "instance_uuid", "source_compute", "status", "migration_type"}},
	{"2.59", []string{"limit", "marker", "changes-since"}},
	{"2.66", []string{"changes-before"}},
	{"2.80", []string{"user_id", "project_id"}},
}

func (a *api) listMigrations(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, page, err := a.migrationQuery(r)
	if err != nil {
		return nil, err
	}
	paged := r.Version.AtLeast("2.59")
	if q.NewestFirst = paged; paged {
		q.Marker, q.Limit = page.Marker, page.Limit+1
	}
	seen, err := a.control.Migrations(ctx, q)
	if err != nil {
		return nil, err
	}
	all, more := seen.Migrations, false
	if paged && len(all) > page.Limit {
		all, more = all[:page.Limit], true
	}
	v := a.viewer(r)
	return &rest.Response{Items: &rest.Items{Key: "migrations",
		Each: func(yield func(any) error) error {
			for _, m := range all {
				if err := yield(v.migration(m, seen)); err != nil {
					return err
				}
			}
			return nil
		},
		Tail: func() map[string]any {
			if !more {
				return nil
			}
			return map[string]any{"migrations_links": []link{{Rel: "next", Href: r.NextLink("/v2.1/os-migrations", all[len(all)-1].ID)}}}
		}}}, nil
}

func (a *api) migrationQuery(r *rest.Request) (q compute.MigrationQuery, page rest.Page, err error) {
	known := map[string]bool{}
	for _, row := range migrationParameters {
		if r.Version.AtLeast(row.since) {
			for _, name := range row.names {
				known[name] = true
			}
		}
	}
	get := func(name string) string {
		if known[name] {
			return r.Query.Get(name)
		}
		return ""
	}
	if r.Version.AtLeast("2.59") {
		for name := range r.Query {
			if !known[name] {
				return q, page, fault.Invalidf("Invalid input for query parameters. Additional properties are not allowed ('%.64s' was unexpected)", name)
			}
		}
		if r.Query.Get("limit") == "" && r.Query.Has("limit") {
			return q, page, fault.Invalidf("Invalid input for query parameters limit. Value: . '' does not match '^[0-9]*$'")
		}
		if page, err = r.Page(a.most); err != nil {
			return q, page, err
		}
	}
	q = compute.MigrationQuery{ServerID: get("instance_uuid"), Host: get("host"), UserID: get("user_id"), ProjectID: get("project_id")}
	if q.Host == "" {
		q.SourceHost = get("source_compute")
	}
	if t := get("migration_type"); t != "" {
		q.Types = []compute.MigrationType{compute.MigrationType(t)}
	}
	for _, s := range r.Query["status"] {
		q.Statuses = append(q.Statuses, compute.MigrationStatus(s))
	}
	for name, at := range map[string]*time.Time{"changes-since": &q.ChangesSince, "changes-before": &q.ChangesBefore} {
		if text := get(name); text != "" {
			if *at, err = parseTime(name, text); err != nil {
				return q, page, err
			}
		}
	}
	if !q.ChangesSince.IsZero() && !q.ChangesBefore.IsZero() && q.ChangesBefore.Before(q.ChangesSince) {
		return q, page, fault.Invalidf("The value of changes-since must be less than or equal to changes-before.")
	}
	return q, page, nil
}

// serverMigrationView is a live migration under way as part of its server.
type serverMigrationView struct {
	ID              int64          `json:"id"`
	UUID            string         `json:"uuid" mv:"2.59-"`
	ServerID        string         `json:"server_uuid"`
	Status          string         `json:"status"`
	SourceHost      *string        `json:"source_compute"`
	SourceNode      *string        `json:"source_node"`
	DestCompute     *string        `json:"dest_compute"`
	DestNode        *string        `json:"dest_node"`
	DestHost        *string        `json:"dest_host"`
	MemoryTotal     *int64         `json:"memory_total_bytes"`
	MemoryProcessed *int64         `json:"memory_processed_bytes"`
	MemoryRemaining *int64         `json:"memory_remaining_bytes"`
	DiskTotal       *int64         `json:"disk_total_bytes"`
	DiskProcessed   *int64         `json:"disk_processed_bytes"`
	DiskRemaining   *int64         `json:"disk_remaining_bytes"`
	CreatedAt       rest.MicroTime `json:"created_at"`
	UpdatedAt       rest.MicroTime `json:"updated_at"`
	UserID          string         `json:"user_id" mv:"2.80-"`
	ProjectID       string         `json:"project_id" mv:"2.80-"`
}

func viewServerMigration(m *compute.Migration, hosts bool) *serverMigrationView {
	count := func(n int64) *int64 { // the schema knows no zero
		if n <= 0 {
			return nil
		}
		return &n
	}
	t := m.Transfer
	out := &serverMigrationView{ID: m.Seq, UUID: m.ID, ServerID: m.ServerID, Status: string(m.Status), MemoryTotal: count(t.MemoryTotal), MemoryProcessed: count(t.MemoryProcessed),
		MemoryRemaining: count(t.MemoryRemaining), DiskTotal: count(t.DiskTotal), DiskProcessed: count(t.DiskProcessed), DiskRemaining: count(t.DiskRemaining),
		CreatedAt: rest.MicroTime{Time: m.CreatedAt}, UpdatedAt: rest.MicroTime{Time: m.UpdatedAt}, UserID: m.UserID, ProjectID: m.ProjectID}
	if hosts {
		out.SourceHost, out.SourceNode, out.DestCompute, out.DestNode, out.DestHost = orNull(m.SourceHost), orNull(m.SourceNode), orNull(m.DestHost), orNull(m.DestNode), orNull(m.DestIP)
	}
	return out
}

func (a *api) listServerMigrations(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	seen, err := a.control.ServerMigrations(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return &rest.Response{Items: &rest.Items{Key: "migrations", Each: func(yield func(any) error) error {
		for _, m := range seen.Migrations {
			if err := yield(viewServerMigration(m, seen.Hosts)); err != nil {
				return err
			}
		}
		return nil
	}}}, nil
}

func (a *api) showServerMigration(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	number, err := migrationNumber(r)
	if err != nil {
		return nil, err
	}
	m, err := a.control.ServerMigration(ctx, r.Path("id"), number)
	if err != nil {
		return nil, err
	}
	return rest.OK(&struct {
		Migration *serverMigrationView `json:"migration"`
	}{viewServerMigration(m, true)}), nil
}

// migrationNumber reads a migration's number from the path; what is no number
// names no migration.
func migrationNumber(r *rest.Request) (int64, error) {
	n, err := strconv.ParseInt(r.Path("migration"), 10, 64)
	if err != nil {
		return 0, fault.NotFoundf("Migration %.64s not found for instance %s", r.Path("migration"), r.Path("id"))
	}
	return n, nil
}
