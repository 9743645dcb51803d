package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// Usage is what a project (and, with a user, that user in it) has in use.
type Usage struct {
	Servers  int `db:"servers"`
	VCPUs    int `db:"vcpus"`
	MemoryMB int `db:"memory_mb"`
}

// Usage returns what the existing servers of a project amount to.
func (s *Store) Usage(ctx context.Context, q db.Querier, projectID string) (Usage, error) {
	return db.Get[Usage](ctx, q, `SELECT COALESCE(SUM(servers), 0) AS servers, COALESCE(SUM(vcpus), 0) AS vcpus, COALESCE(SUM(memory_mb), 0) AS memory_mb
		FROM project_counts WHERE project_id = ?`, projectID)
}

// UserUsage is Usage of one user within a project.
func (s *Store) UserUsage(ctx context.Context, q db.Querier, projectID, userID string) (Usage, error) {
	u, err := db.Get[Usage](ctx, q, `SELECT servers, vcpus, memory_mb FROM project_counts WHERE project_id = ? AND user_id = ?`, projectID, userID)
	if errors.Is(err, db.ErrNoRow) {
		err = nil
	}
	return u, err
}

// HostLoad is what the servers of a host amount to.
type HostLoad struct {
	Host     string `db:"host"`
	Servers  int    `db:"servers"`
	VCPUs    int    `db:"vcpus"`
	MemoryMB int    `db:"memory_mb"`
	Busy     int    `db:"busy"` // servers with something under way
}

// HostLoads returns the loads of the hosts that have servers.
func (s *Store) HostLoads(ctx context.Context, q db.Querier) (map[string]HostLoad, error) {
	all := map[string]HostLoad{}
	for row, err := range db.Each[HostLoad](ctx, q, `SELECT host, servers, vcpus, memory_mb FROM host_counts WHERE servers > 0`) {
		if err != nil {
			return nil, err
		}
		all[row.Host] = *row
	}
	busy, err := s.BusyByHost(ctx, q)
	for host, n := range busy {
		if load, ok := all[host]; ok {
			load.Busy = n
			all[host] = load
		}
	}
	return all, err
}

// HostLoad returns the load of one host.
func (s *Store) HostLoad(ctx context.Context, q db.Querier, host string) (HostLoad, error) {
	load, err := db.Get[HostLoad](ctx, q, `SELECT host, servers, vcpus, memory_mb FROM host_counts WHERE host = ?`, host)
	if errors.Is(err, db.ErrNoRow) {
		return HostLoad{Host: host}, nil
	}
	if err == nil {
		load.Busy, err = db.Get[int](ctx, q, `SELECT COUNT(*) FROM servers WHERE host = ? AND deleted_at IS NULL AND task_state > ''`, host)
	}
	return load, err
}

// countedRow is what of a server is counted, and where.
type countedRow struct {
	ProjectID string        `db:"project_id"`
	UserID    string        `db:"user_id"`
	State     compute.State `db:"vm_state"`
	Host      string        `db:"host"`
	VCPUs     int           `db:"vcpus"`
	MemoryMB  int           `db:"memory_mb"`
	DeletedAt db.Time       `db:"deleted_at"`
}

// counted returns what is counted of a server, which stays so until tx changes it;
// nil if p changes none of it, or there is no such server.
func (s *Store) counted(ctx context.Context, tx *db.Tx, id string, p *ServerPatch) (*countedRow, error) {
	if p.State == nil && p.Host == nil && p.Reserved == nil && p.DeletedAt == nil {
		return nil, nil
	}
	row, err := db.Get[countedRow](ctx, tx, `SELECT project_id, user_id, vm_state, host, vcpus, memory_mb, deleted_at FROM servers WHERE id = ?`+tx.ForUpdate(), id)
	if errors.Is(err, db.ErrNoRow) {
		return nil, nil
	}
	return &row, err
}

// tally is by how much a transaction changes the counts.
type tally struct {
	projects map[projectUser]Usage
	hosts    map[string]Usage
}

type projectUser struct{ project, user string }

// tally returns that of tx, which is written when tx ends: the rows that many
// transactions change are locked for a moment, and in one order.
func (s *Store) tally(ctx context.Context, tx *db.Tx) *tally {
	return db.Keep(tx, func(t *tally) error { return t.write(ctx, tx) })
}

// count adds a server's row, or with -1 takes it away.
func (t *tally) count(r *countedRow, sign int) {
	if !r.DeletedAt.IsZero() {
		return
	}
	if t.projects == nil {
		t.projects, t.hosts = map[projectUser]Usage{}, map[string]Usage{}
	}
	if r.State != compute.SoftDeleted {
		key := projectUser{r.ProjectID, r.UserID}
		t.projects[key] = t.projects[key].plus(r, sign)
	}
	if r.Host != "" {
		t.hosts[r.Host] = t.hosts[r.Host].plus(r, sign)
	}
}

func (u Usage) plus(r *countedRow, sign int) Usage {
	return Usage{u.Servers + sign, u.VCPUs + sign*r.VCPUs, u.MemoryMB + sign*r.MemoryMB}
}

// add counts a new server.
func (t *tally) add(r *serverRow) {
	t.count(&countedRow{r.ProjectID, r.UserID, r.State, r.Host, r.VCPUs, r.MemoryMB, r.DeletedAt}, 1)
}

// change counts what a patch does to a server.
func (t *tally) change(was *countedRow, p *ServerPatch) {
	is := *was
	if p.State != nil {
		is.State = *p.State
	}
	if p.Host != nil {
		is.Host = *p.Host
	}
	if p.Reserved != nil {
		is.VCPUs, is.MemoryMB = p.Reserved.VCPUs, p.Reserved.MemoryMB
	}
	if p.DeletedAt != nil {
		is.DeletedAt = db.At(*p.DeletedAt)
	}
	t.count(was, -1)
	t.count(&is, 1)
}

func (t *tally) write(ctx context.Context, tx *db.Tx) error {
	byName := func(a, b projectUser) int {
		return cmp.Or(cmp.Compare(a.project, b.project), cmp.Compare(a.user, b.user))
	}
	for _, key := range slices.SortedFunc(maps.Keys(t.projects), byName) {
		if err := projectCounts.add(ctx, tx, t.projects[key], key.project, key.user); err != nil {
			return err
		}
	}
	for _, host := range slices.Sorted(maps.Keys(t.hosts)) {
		if err := hostCounts.add(ctx, tx, t.hosts[host], host); err != nil {
			return err
		}
	}
	return nil
}

// counts is a table of counts, and what it counts.
type counts struct {
	table   string
	keys    []string // its columns, which servers have, too
	counted string   // which servers count
}

var (
	projectCounts = counts{"project_counts", []string{"project_id", "user_id"}, `deleted_at IS NULL AND vm_state <> 'soft-delete'`}
	hostCounts    = counts{"host_counts", []string{"host"}, `deleted_at IS NULL AND host <> ''`}
)

func (c *counts) is() string { return strings.Join(c.keys, ` = ? AND `) + ` = ?` }

// add adds to one row.
func (c *counts) add(ctx context.Context, tx *db.Tx, u Usage, key ...any) error {
	if u == (Usage{}) {
		return nil
	}
	n, err := tx.Exec(ctx, `UPDATE `+c.table+` SET servers = servers + ?, vcpus = vcpus + ?, memory_mb = memory_mb + ? WHERE `+c.is(),
		append([]any{u.Servers, u.VCPUs, u.MemoryMB}, key...)...)
	if err != nil || n == 1 {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO `+c.table+` (servers, vcpus, memory_mb, `+strings.Join(c.keys, ", ")+`) VALUES (?, ?, ?`+strings.Repeat(", ?", len(c.keys))+`)`,
		append([]any{u.Servers, u.VCPUs, u.MemoryMB}, key...)...)
	return db.Raced(err)
}
