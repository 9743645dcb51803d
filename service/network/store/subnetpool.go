package store

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/network"
)

type poolRow struct {
	standard
	Name          string            `db:"name"`
	Prefixes      db.JSON[[]string] `db:"prefixes"`
	IPVersion     int               `db:"ip_version"`
	MinPrefix     int               `db:"min_prefix"`
	DefaultPrefix int               `db:"default_prefix"`
	MaxPrefix     int               `db:"max_prefix"`
	DefaultQuota  *int              `db:"default_quota"`
	Shared        bool              `db:"shared"`
	IsDefault     bool              `db:"is_default"`
}

type poolSubnet struct {
	SubnetID  string `db:"subnet_id"`
	PoolID    string `db:"pool_id"`
	ProjectID string `db:"project_id"`
	CIDR      string `db:"cidr"`
}

var poolList = &listing{
	resource: "subnet pool", missing: "SubnetPoolNotFound", table: "subnet_pools", columns: "t.*", visible: "t.project_id = ? OR t.shared",
	attrs: standardAttrs(map[string]attr{"name": {expr: "t.name"}, "ip_version": {kind: number, expr: "t.ip_version"},
		"shared": {kind: boolean, expr: "t.shared"}, "is_default": {kind: boolean, expr: "t.is_default"},
		"default_prefixlen": {kind: number, expr: "t.default_prefix"}, "min_prefixlen": {kind: number, expr: "t.min_prefix"},
		"max_prefixlen": {kind: number, expr: "t.max_prefix"}, "address_scope_id": {expr: absent}}),
}

// SubnetPools lists subnet pools.
func (s *Store) SubnetPools(ctx context.Context, q db.Querier, scope Scope, query network.Query) ([]network.SubnetPool, error) {
	list, err := rows[poolRow](ctx, q, poolList, scope, query)
	if err != nil {
		return nil, err
	}
	return subnetPools(ctx, q, list)
}

// SubnetPool reads a subnet pool.
func (s *Store) SubnetPool(ctx context.Context, q db.Querier, scope Scope, id string) (network.SubnetPool, error) {
	list, err := one[poolRow](ctx, q, poolList, scope, id)
	if err != nil {
		return network.SubnetPool{}, err
	}
	out, err := subnetPools(ctx, q, list)
	if err != nil {
		return network.SubnetPool{}, err
	}
	return out[0], nil
}

func subnetPools(ctx context.Context, q db.Querier, list []poolRow) ([]network.SubnetPool, error) {
	tags, err := tagsOf(ctx, q, ids(list, func(r *poolRow) string { return r.ID }))
	out := make([]network.SubnetPool, len(list))
	for i, r := range list {
		out[i] = network.SubnetPool{Standard: r.standard.standard(tags), Name: r.Name, Prefixes: orEmpty(r.Prefixes.V), IPVersion: r.IPVersion,
			MinPrefix: network.Digits(r.MinPrefix), DefaultPrefix: network.Digits(r.DefaultPrefix), MaxPrefix: network.Digits(r.MaxPrefix),
			DefaultQuota: r.DefaultQuota, Shared: r.Shared, IsDefault: r.IsDefault}
	}
	return out, err
}

// InsertSubnetPool writes a new subnet pool.
func (s *Store) InsertSubnetPool(ctx context.Context, tx *db.Tx, p network.SubnetPool) error {
	return db.Insert(ctx, tx, "subnet_pools", poolRow{standard: standardRow(p.Standard), Name: p.Name, Prefixes: db.AsJSON(p.Prefixes),
		IPVersion: p.IPVersion, MinPrefix: int(p.MinPrefix), DefaultPrefix: int(p.DefaultPrefix), MaxPrefix: int(p.MaxPrefix),
		DefaultQuota: p.DefaultQuota, Shared: p.Shared, IsDefault: p.IsDefault})
}

// UpdateSubnetPool writes what can change of a subnet pool.
func (s *Store) UpdateSubnetPool(ctx context.Context, tx *db.Tx, p network.SubnetPool, now time.Time) error {
	return stale(tx.Exec(ctx, `UPDATE subnet_pools SET name = ?, description = ?, prefixes = ?, min_prefix = ?, default_prefix = ?, max_prefix = ?,
		default_quota = ?, is_default = ?, revision = revision + 1, updated_at = ? WHERE id = ? AND revision = ?`,
		p.Name, p.Description, db.AsJSON(p.Prefixes), int(p.MinPrefix), int(p.DefaultPrefix), int(p.MaxPrefix), p.DefaultQuota, p.IsDefault,
		db.At(now), p.ID, p.Revision))
}

// DeleteSubnetPool removes a subnet pool from which nothing is cut.
func (s *Store) DeleteSubnetPool(ctx context.Context, tx *db.Tx, id string) error {
	for _, q := range []string{`DELETE FROM tags WHERE resource_id = ?`, `DELETE FROM subnet_pools WHERE id = ?`} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// PoolCut is a prefix that was cut from a pool, and for whom.
type PoolCut struct {
	CIDR      string `db:"cidr"`
	ProjectID string `db:"project_id"`
}

// LockPool has the transaction wait for others that cut from the same pool, and
// lists what is cut.
func (s *Store) LockPool(ctx context.Context, tx *db.Tx, id string) ([]PoolCut, error) {
	if err := s.Lock(ctx, tx, "subnet_pools", id); err != nil {
		return nil, err
	}
	return db.Select[PoolCut](ctx, tx, `SELECT cidr, project_id FROM pool_subnets WHERE pool_id = ?`, id)
}

// poolsOf says from which pools subnets are cut.
func poolsOf(ctx context.Context, q db.Querier, subnetIDs []string) (map[string]string, error) {
	pools := map[string]string{}
	err := inBatches(subnetIDs, func(list string, args []any) error {
		for r, err := range db.Each[poolSubnet](ctx, q, `SELECT * FROM pool_subnets WHERE subnet_id IN `+list, args...) {
			if err != nil {
				return err
			}
			pools[r.SubnetID] = r.PoolID
		}
		return nil
	})
	return pools, err
}
