package store

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type hostRow struct {
	Seq            int64                      `db:"seq"`
	ID             string                     `db:"id"`
	Binary         string                     `db:"binary_name"`
	Name           string                     `db:"name"`
	NodeID         string                     `db:"node_id"`
	Disabled       bool                       `db:"disabled"`
	DisabledReason string                     `db:"disabled_reason"`
	ForcedDown     bool                       `db:"forced_down"`
	LastSeen       db.Time                    `db:"last_seen"`
	CreatedAt      db.Time                    `db:"created_at"`
	UpdatedAt      db.Time                    `db:"updated_at"`
	Resources      db.JSON[compute.Resources] `db:"resources"`
	Traits         db.JSON[[]string]          `db:"traits"`
	Methods        db.JSON[[]string]          `db:"methods"`
	Published      string                     `db:"published"`
}

type newHostRow struct {
	hostRow
	Seq int64 `db:"-"`
}

func (r *hostRow) host() *compute.Host {
	return &compute.Host{Seq: r.Seq, ID: r.ID, Binary: r.Binary, Name: r.Name, NodeID: r.NodeID, Disabled: r.Disabled, DisabledReason: r.DisabledReason,
		ForcedDown: r.ForcedDown, LastSeen: r.LastSeen.Time, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time, Resources: r.Resources.V,
		Traits: r.Traits.V, Methods: r.Methods.V, Published: r.Published}
}

// InsertHost writes a host that was not known.
func (s *Store) InsertHost(ctx context.Context, tx *db.Tx, h *compute.Host) error {
	return db.Insert(ctx, tx, "hosts", newHostRow{hostRow: hostRow{ID: h.ID, Binary: h.Binary, Name: h.Name, NodeID: h.NodeID, Disabled: h.Disabled,
		DisabledReason: h.DisabledReason, ForcedDown: h.ForcedDown, LastSeen: db.At(h.LastSeen), CreatedAt: db.At(h.CreatedAt), UpdatedAt: db.At(h.UpdatedAt),
		Resources: db.AsJSON(h.Resources), Traits: db.AsJSON(h.Traits), Methods: db.AsJSON(h.Methods), Published: h.Published}})
}

// Host returns a host by its binary and name; fault.NotFound if there is none.
func (s *Store) Host(ctx context.Context, q db.Querier, binary, name string) (*compute.Host, error) {
	return s.hostWhere(ctx, q, fault.NotFoundf("Compute host %s could not be found.", name), `binary_name = ? AND name = ?`, binary, name)
}

// HostByID returns a host by its service id.
func (s *Store) HostByID(ctx context.Context, q db.Querier, id string) (*compute.Host, error) {
	return s.hostWhere(ctx, q, fault.NotFoundf("Service %s could not be found.", id), `id = ?`, id)
}

func (s *Store) hostWhere(ctx context.Context, q db.Querier, missing error, where string, args ...any) (*compute.Host, error) {
	row, err := db.Get[hostRow](ctx, q, `SELECT * FROM hosts WHERE `+where, args...)
	if errors.Is(err, db.ErrNoRow) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	return row.host(), nil
}

// Hosts returns all hosts of a binary, "" of all, in the order of their arrival.
func (s *Store) Hosts(ctx context.Context, q db.Querier, binary string) ([]*compute.Host, error) {
	return s.hosts(ctx, q, `*`, binary)
}

// BareHosts is Hosts without what the hosts said of themselves: Resources, Traits,
// Methods and Published, which are nearly all that there is to read.
func (s *Store) BareHosts(ctx context.Context, q db.Querier, binary string) ([]*compute.Host, error) {
	return s.hosts(ctx, q, `seq, id, binary_name, name, node_id, disabled, disabled_reason, forced_down, last_seen, created_at, updated_at`, binary)
}

func (s *Store) hosts(ctx context.Context, q db.Querier, columns, binary string) ([]*compute.Host, error) {
	query, args := `SELECT `+columns+` FROM hosts`, []any(nil)
	if binary != "" {
		query, args = query+` WHERE binary_name = ?`, []any{binary}
	}
	var all []*compute.Host
	for row, err := range db.Each[hostRow](ctx, q, query+` ORDER BY seq`, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, row.host())
	}
	return all, nil
}

// SeeHost notes that a host has been heard of.
func (s *Store) SeeHost(ctx context.Context, tx *db.Tx, seq int64, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE hosts SET last_seen = ? WHERE seq = ?`, db.At(now), seq)
	return err
}

// UpdateHost writes what a host said of itself, and what an operator said of it.
func (s *Store) UpdateHost(ctx context.Context, tx *db.Tx, h *compute.Host) error {
	_, err := tx.Exec(ctx, `UPDATE hosts SET disabled = ?, disabled_reason = ?, forced_down = ?, last_seen = ?, updated_at = ?, resources = ?,
		traits = ?, methods = ?, published = ? WHERE seq = ?`, h.Disabled, h.DisabledReason, h.ForcedDown, db.At(h.LastSeen), db.At(h.UpdatedAt),
		db.AsJSON(h.Resources), db.AsJSON(h.Traits), db.AsJSON(h.Methods), h.Published, h.Seq)
	return err
}

// SetPublished notes what Placement has been told of a host.
func (s *Store) SetPublished(ctx context.Context, tx *db.Tx, seq int64, text string) error {
	_, err := tx.Exec(ctx, `UPDATE hosts SET published = ? WHERE seq = ?`, text, seq)
	return err
}

// DeleteHost forgets a host.
func (s *Store) DeleteHost(ctx context.Context, tx *db.Tx, seq int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM hosts WHERE seq = ?`, seq)
	return err
}

type flavorOnHost struct {
	Host   string                    `db:"host"`
	Flavor db.Shared[compute.Flavor] `db:"flavor"`
}

// FlavorsByHost counts the existing servers of each host by the name of their
// flavor.
func (s *Store) FlavorsByHost(ctx context.Context, q db.Querier) (map[string]map[string]int, error) {
	all := map[string]map[string]int{}
	for row, err := range db.Each[flavorOnHost](ctx, q, `SELECT host, flavor FROM servers WHERE deleted_at IS NULL AND host <> ''`) {
		if err != nil {
			return nil, err
		}
		if all[row.Host] == nil {
			all[row.Host] = map[string]int{}
		}
		all[row.Host][row.Flavor.V.Name]++
	}
	return all, nil
}

type imageOnHost struct {
	Host string                       `db:"host"`
	Meta db.Shared[compute.ImageMeta] `db:"image_meta"`
}

// ImagePropertiesByHost counts the existing servers of each host by each property
// of their images, name and value.
func (s *Store) ImagePropertiesByHost(ctx context.Context, q db.Querier) (map[string]map[[2]string]int, error) {
	all := map[string]map[[2]string]int{}
	for row, err := range db.Each[imageOnHost](ctx, q, `SELECT host, image_meta FROM servers WHERE deleted_at IS NULL AND host <> ''`) {
		if err != nil {
			return nil, err
		}
		if all[row.Host] == nil {
			all[row.Host] = map[[2]string]int{}
		}
		for name, value := range row.Meta.V.Properties {
			all[row.Host][[2]string{name, value}]++
		}
	}
	return all, nil
}
