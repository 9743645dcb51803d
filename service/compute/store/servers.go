package store

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type serverRow struct {
	Seq          int64                             `db:"seq"`
	ID           string                            `db:"id"`
	DisplayName  string                            `db:"display_name"`
	Description  *string                           `db:"description"`
	Hostname     string                            `db:"hostname"`
	ProjectID    string                            `db:"project_id"`
	UserID       string                            `db:"user_id"`
	State        compute.State                     `db:"vm_state"`
	Task         compute.Task                      `db:"task_state"`
	Power        compute.Power                     `db:"power_state"`
	Flavor       db.Shared[compute.Flavor]         `db:"flavor"`
	FlavorID     string                            `db:"flavor_id"`
	VCPUs        int                               `db:"vcpus"`
	MemoryMB     int                               `db:"memory_mb"`
	ImageID      string                            `db:"image_id"`
	ImageMeta    db.Shared[compute.ImageMeta]      `db:"image_meta"`
	KeyName      string                            `db:"key_name"`
	KeyData      string                            `db:"key_data"`
	UserData     string                            `db:"user_data"`
	AdminPass    string                            `db:"admin_pass"`
	Files        db.JSON[[]compute.InjectedFile]   `db:"files"`
	Metadata     db.JSON[map[string]string]        `db:"metadata"`
	Tags         db.JSON[[]string]                 `db:"tags"`
	ConfigDrive  bool                              `db:"config_drive"`
	DiskConfig   string                            `db:"disk_config"`
	AccessIPv4   string                            `db:"access_ip_v4"`
	AccessIPv6   string                            `db:"access_ip_v6"`
	Locked       bool                              `db:"locked"`
	LockedReason string                            `db:"locked_reason"`
	LockedBy     string                            `db:"locked_by"`
	System       db.JSON[compute.System]           `db:"system_metadata"`
	Zone         string                            `db:"availability_zone"`
	Host         string                            `db:"host"`
	Node         string                            `db:"node"`
	Reservation  string                            `db:"reservation_id"`
	LaunchIndex  int                               `db:"launch_index"`
	RootDevice   string                            `db:"root_device"`
	Progress     int                               `db:"progress"`
	Wanted       db.JSON[[]compute.NetworkRequest] `db:"wanted_networks"`
	Groups       db.JSON[[]string]                 `db:"security_groups"`
	Hints        db.JSON[map[string]any]           `db:"hints"`
	Networks     interfaces                        `db:"networks"`
	Devices      db.JSON[[]compute.BlockDevice]    `db:"devices"`
	Fault        db.JSON[*compute.ServerFault]     `db:"fault"`
	CreatedAt    db.Time                           `db:"created_at"`
	UpdatedAt    db.Time                           `db:"updated_at"`
	LaunchedAt   db.Time                           `db:"launched_at"`
	TerminatedAt db.Time                           `db:"terminated_at"`
	DeletedAt    db.Time                           `db:"deleted_at"`
}

// newServerRow is serverRow without the number, which the database gives.
type newServerRow struct {
	serverRow
	Seq int64 `db:"-"`
}

func (r *serverRow) server() *compute.Server {
	return &compute.Server{Seq: r.Seq, ID: r.ID, DisplayName: r.DisplayName, Description: r.Description, Hostname: r.Hostname,
		ProjectID: r.ProjectID, UserID: r.UserID, State: r.State, Task: r.Task, Power: r.Power, Flavor: r.Flavor.V, ImageID: r.ImageID,
		ImageMeta: r.ImageMeta.V, KeyName: r.KeyName, KeyData: r.KeyData, UserData: r.UserData, AdminPass: r.AdminPass, Files: r.Files.V,
		Metadata: r.Metadata.V, Tags: r.Tags.V, ConfigDrive: r.ConfigDrive, DiskConfig: r.DiskConfig, AccessIPv4: r.AccessIPv4,
		AccessIPv6: r.AccessIPv6, Locked: r.Locked, LockedReason: r.LockedReason, LockedBy: r.LockedBy, System: r.System.V, AvailabilityZone: r.Zone, Host: r.Host, Node: r.Node,
		ReservationID: r.Reservation, LaunchIndex: r.LaunchIndex, RootDevice: r.RootDevice, Progress: r.Progress, Wanted: r.Wanted.V,
		SecurityGroups: r.Groups.V, Hints: r.Hints.V, Networks: r.Networks, Devices: r.Devices.V, Fault: r.Fault.V, CreatedAt: r.CreatedAt.Time,
		UpdatedAt: r.UpdatedAt.Time, LaunchedAt: r.LaunchedAt.Time, TerminatedAt: r.TerminatedAt.Time, DeletedAt: r.DeletedAt.Time}
}

// InsertServers writes new servers.
func (s *Store) InsertServers(ctx context.Context, tx *db.Tx, servers ...*compute.Server) error {
	rows := make([]newServerRow, len(servers))
	for i, v := range servers {
		rows[i].serverRow = serverRow{ID: v.ID, DisplayName: v.DisplayName, Description: v.Description, Hostname: v.Hostname,
			ProjectID: v.ProjectID, UserID: v.UserID, State: v.State, Task: v.Task, Power: v.Power, Flavor: db.AsShared(v.Flavor),
			FlavorID: v.Flavor.ID, VCPUs: v.Flavor.VCPUs, MemoryMB: v.Flavor.MemoryMB, ImageID: v.ImageID, ImageMeta: db.AsShared(v.ImageMeta), KeyName: v.KeyName,
			KeyData: v.KeyData, UserData: v.UserData, AdminPass: v.AdminPass, Files: db.AsJSON(v.Files), Metadata: db.AsJSON(v.Metadata), Tags: db.AsJSON(v.Tags),
			ConfigDrive: v.ConfigDrive, DiskConfig: v.DiskConfig, AccessIPv4: v.AccessIPv4, AccessIPv6: v.AccessIPv6, Locked: v.Locked,
			LockedReason: v.LockedReason, LockedBy: v.LockedBy, System: db.AsJSON(v.System), Zone: v.AvailabilityZone, Host: v.Host, Node: v.Node, Reservation: v.ReservationID,
			LaunchIndex: v.LaunchIndex, RootDevice: v.RootDevice, Progress: v.Progress, Wanted: db.AsJSON(v.Wanted), Groups: db.AsJSON(v.SecurityGroups),
			Hints: db.AsJSON(v.Hints), Networks: interfaces(v.Networks), Devices: db.AsJSON(v.Devices), Fault: db.AsJSON(v.Fault), CreatedAt: db.At(v.CreatedAt), UpdatedAt: db.At(v.UpdatedAt),
			LaunchedAt: db.At(v.LaunchedAt), TerminatedAt: db.At(v.TerminatedAt), DeletedAt: db.At(v.DeletedAt)}
	}
	for i := range rows {
		s.tally(ctx, tx).add(&rows[i].serverRow)
	}
	return db.Insert(ctx, tx, "servers", rows...)
}

// Server returns a server, also a deleted one; fault.NotFound if there never was.
func (s *Store) Server(ctx context.Context, q db.Querier, id string) (*compute.Server, error) {
	row, err := db.Get[serverRow](ctx, q, `SELECT * FROM servers WHERE id = ?`, id)
	if errors.Is(err, db.ErrNoRow) {
		return nil, fault.NotFoundf("Instance %s could not be found.", id)
	}
	if err != nil {
		return nil, err
	}
	return row.server(), nil
}

// StateOf returns what a server is and what is being done with it, also of a
// deleted one; fault.NotFound if there never was.
func (s *Store) StateOf(ctx context.Context, q db.Querier, id string) (compute.State, compute.Task, error) {
	type states struct {
		State compute.State `db:"vm_state"`
		Task  compute.Task  `db:"task_state"`
	}
	row, err := db.Get[states](ctx, q, `SELECT vm_state, task_state FROM servers WHERE id = ?`, id)
	if errors.Is(err, db.ErrNoRow) {
		return "", "", fault.NotFoundf("Instance %s could not be found.", id)
	}
	return row.State, row.Task, err
}

// ServerPatch changes some of a server's columns; nil leaves one as it is.
type ServerPatch struct {
	State        *compute.State
	Task         *compute.Task
	Power        *compute.Power
	Host, Node   *string
	Zone         *string
	DisplayName  *string
	Description  **string
	Hostname     *string
	AccessIPv4   *string
	AccessIPv6   *string
	DiskConfig   *string
	AdminPass    *string
	Files        *[]compute.InjectedFile
	Metadata     *map[string]string
	Networks     *[]compute.Interface
	Wanted       *[]compute.NetworkRequest
	Devices      *[]compute.BlockDevice
	Fault        **compute.ServerFault
	Progress     *int
	LaunchedAt   *time.Time
	TerminatedAt *time.Time
	DeletedAt    *time.Time
	Locked       *bool
	LockedBy     *string
	LockedReason *string
	Tags         *[]string
	System       *compute.System
	ImageID      *string
	ImageMeta    *compute.ImageMeta
	KeyName      *string
	KeyData      *string
	UserData     *string
	// Flavor changes what the server uses; Reserved, at the same time or alone,
	// what of it counts for its project's quota.
	Flavor   *compute.Flavor
	Reserved *compute.Reserved
}

// Expect is what a server must be for a patch to be made: a compare-and-swap.
// Empty fields expect nothing.
type Expect struct {
	States   []compute.State
	Tasks    []compute.Task
	Host     *string
	Existing bool // not deleted
}

// columns are what a patch sets: SQL, and its arguments. touch is the new time of
// change; zero leaves it.
func (p *ServerPatch) columns(touch time.Time) (set []string, args []any) {
	add := func(column string, value any) { set, args = append(set, column+" = ?"), append(args, value) }
	if p.State != nil {
		add("vm_state", string(*p.State))
	}
	if p.Task != nil {
		add("task_state", string(*p.Task))
	}
	if p.Power != nil {
		add("power_state", int(*p.Power))
	}
	for _, text := range []struct { // in one order: the same patch is the same statement
		column string
		v      *string
	}{{"host", p.Host}, {"node", p.Node}, {"availability_zone", p.Zone}, {"display_name", p.DisplayName}, {"hostname", p.Hostname},
		{"access_ip_v4", p.AccessIPv4}, {"access_ip_v6", p.AccessIPv6}, {"disk_config", p.DiskConfig}, {"admin_pass", p.AdminPass},
		{"locked_reason", p.LockedReason}, {"locked_by", p.LockedBy}, {"image_id", p.ImageID}, {"key_name", p.KeyName}, {"key_data", p.KeyData},
		{"user_data", p.UserData}} {
		if text.v != nil {
			add(text.column, *text.v)
		}
	}
	if p.Description != nil {
		add("description", *p.Description)
	}
	if p.ImageMeta != nil {
		add("image_meta", db.AsShared(*p.ImageMeta))
	}
	if p.Flavor != nil {
		add("flavor", db.AsShared(*p.Flavor))
		add("flavor_id", p.Flavor.ID)
	}
	if p.Reserved != nil {
		add("vcpus", p.Reserved.VCPUs)
		add("memory_mb", p.Reserved.MemoryMB)
	}
	if p.Metadata != nil {
		add("metadata", db.AsJSON(*p.Metadata))
	}
	if p.Tags != nil {
		add("tags", db.AsJSON(*p.Tags))
	}
	if p.System != nil {
		add("system_metadata", db.AsJSON(*p.System))
	}
	if p.Files != nil {
		add("files", db.AsJSON(*p.Files))
	}
	if p.Wanted != nil {
		add("wanted_networks", db.AsJSON(*p.Wanted))
	}
	if p.Devices != nil {
		add("devices", db.AsJSON(*p.Devices))
	}
	if p.Networks != nil {
		add("networks", db.AsJSON(*p.Networks))
	}
	if p.Fault != nil {
		add("fault", db.AsJSON(*p.Fault))
	}
	if p.Progress != nil {
		add("progress", *p.Progress)
	}
	if p.Locked != nil {
		add("locked", *p.Locked)
	}
	for _, at := range []struct {
		column string
		v      *time.Time
	}{{"launched_at", p.LaunchedAt}, {"terminated_at", p.TerminatedAt}, {"deleted_at", p.DeletedAt}} {
		if at.v != nil {
			add(at.column, db.At(*at.v))
		}
	}
	if !touch.IsZero() {
		add("updated_at", db.At(touch))
	}
	return set, args
}

// UpdateServer makes a patch and reports whether it was made: false when the
// server was not as expected. touch is the new time of change; zero leaves it.
func (s *Store) UpdateServer(ctx context.Context, tx *db.Tx, id string, p ServerPatch, e Expect, touch time.Time) (bool, error) {
	set, args := p.columns(touch)
	if len(set) == 0 {
		return true, nil
	}
	query := `UPDATE servers SET ` + strings.Join(set, ", ") + ` WHERE id = ?`
	args = append(args, id)
	if len(e.States) > 0 {
		in, values := db.In(e.States)
		query, args = query+` AND vm_state IN `+in, append(args, texts(values)...)
	}
	if len(e.Tasks) > 0 {
		in, values := db.In(e.Tasks)
		query, args = query+` AND task_state IN `+in, append(args, texts(values)...)
	}
	if e.Host != nil {
		query, args = query+` AND host = ?`, append(args, *e.Host)
	}
	if e.Existing {
		query += ` AND deleted_at IS NULL`
	}
	var before *compute.Server
	if s.Watcher != nil && p.watched() {
		var err error
		if before, err = s.Server(ctx, tx, id); fault.Is(err, fault.NotFound) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	made, err := s.countAndUpdate(ctx, tx, id, &p, query, args)
	if err != nil || !made {
		return false, err
	}
	if p.DeletedAt != nil || p.Host != nil && *p.Host == "" {
		if err := s.DropHold(ctx, tx, id, ""); err != nil { // one that is nowhere holds nothing
			return false, err
		}
	}
	if p.Task != nil && *p.Task == compute.NoTask {
		s.arrived(ctx, tx, id)
	}
	if before == nil {
		return true, nil
	}
	after, err := s.Server(ctx, tx, id)
	if err != nil {
		return false, err
	}
	return true, s.Watcher.Changed(ctx, tx, before, after)
}

// countAndUpdate runs the query of a patch and counts what it does to a server, and
// reports whether it did anything.
func (s *Store) countAndUpdate(ctx context.Context, tx *db.Tx, id string, p *ServerPatch, query string, args []any) (bool, error) {
	if p.State != nil && *p.State != compute.SoftDeleted && p.Host == nil && p.Reserved == nil && p.DeletedAt == nil {
		// Between all other states nothing changes that is counted.
		if n, err := tx.Exec(ctx, query+` AND vm_state <> 'soft-delete'`, args...); err != nil || n == 1 {
			return n == 1, err
		}
	}
	was, err := s.counted(ctx, tx, id, p)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(ctx, query, args...)
	if err == nil && n == 1 && was != nil {
		s.tally(ctx, tx).change(was, p)
	}
	return n == 1, err
}

// texts turns values of string types into strings, which every driver takes.
func texts(values []any) []any {
	for i, v := range values {
		switch v := v.(type) {
		case compute.State:
			values[i] = string(v)
		case compute.Task:
			values[i] = string(v)
		}
	}
	return values
}

// ServersOn returns the servers that a host has, without the deleted ones.
func (s *Store) ServersOn(ctx context.Context, q db.Querier, host string) ([]*compute.Server, error) {
	return collect(db.Each[serverRow](ctx, q, `SELECT * FROM servers WHERE host = ? AND deleted_at IS NULL ORDER BY seq`, host))
}

type deletedServer struct {
	ID       string                       `db:"id"`
	Networks db.JSON[[]compute.Interface] `db:"networks"`
}

// DeletedAmong returns which of the ids are known to be deleted, with the ports
// that they had.
func (s *Store) DeletedAmong(ctx context.Context, q db.Querier, ids []string) (map[string][]compute.Interface, error) {
	in, args := db.In(ids)
	deleted := map[string][]compute.Interface{}
	for row, err := range db.Each[deletedServer](ctx, q, `SELECT id, networks FROM servers WHERE deleted_at IS NOT NULL AND id IN `+in, args...) {
		if err != nil {
			return nil, err
		}
		deleted[row.ID] = row.Networks.V
	}
	return deleted, nil
}

// Elsewhere returns which of the ids exist on other hosts than host, with the
// ports that they have. Servers with something under way may be on two hosts,
// and those that have changed since the guests were looked at are not judged.
func (s *Store) Elsewhere(ctx context.Context, q db.Querier, host string, ids []string, looked time.Time) (map[string][]compute.Interface, error) {
	in, args := db.In(ids)
	elsewhere := map[string][]compute.Interface{}
	for row, err := range db.Each[deletedServer](ctx, q, `SELECT id, networks FROM servers WHERE deleted_at IS NULL AND host <> ? AND (host <> '' OR vm_state = 'shelved_offloaded')
		AND task_state = '' AND updated_at <= ? AND id IN `+in, append([]any{host, db.At(looked)}, args...)...) {
		if err != nil {
			return nil, err
		}
		elsewhere[row.ID] = row.Networks.V
	}
	return elsewhere, nil
}

type located struct {
	ID   string `db:"id"`
	Host string `db:"host"`
}

// HostsOf says on which hosts servers are; those on none are absent.
func (s *Store) HostsOf(ctx context.Context, q db.Querier, ids []string) (map[string]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, args := db.In(ids)
	hosts := map[string]string{}
	for row, err := range db.Each[located](ctx, q, `SELECT id, host FROM servers WHERE deleted_at IS NULL AND host <> '' AND id IN `+in, args...) {
		if err != nil {
			return nil, err
		}
		hosts[row.ID] = row.Host
	}
	return hosts, nil
}

func collect(rows iter.Seq2[*serverRow, error]) ([]*compute.Server, error) {
	var all []*compute.Server
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, row.server())
	}
	return all, nil
}
