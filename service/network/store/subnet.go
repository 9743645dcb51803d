package store

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/network"
)

type subnetRow struct {
	standard
	Name         string                        `db:"name"`
	NetworkID    string                        `db:"network_id"`
	IPVersion    int                           `db:"ip_version"`
	CIDR         string                        `db:"cidr"`
	GatewayIP    string                        `db:"gateway_ip"`
	EnableDHCP   bool                          `db:"enable_dhcp"`
	Pools        db.JSON[[]network.Pool]       `db:"pools"`
	DNS          db.JSON[[]string]             `db:"dns"`
	Routes       db.JSON[[]network.RouteEntry] `db:"routes"`
	RAMode       string                        `db:"ra_mode"`
	AddressMode  string                        `db:"address_mode"`
	ServiceTypes db.JSON[[]string]             `db:"service_types"`
}

var subnetList = &listing{
	resource: "subnet", missing: "SubnetNotFound", table: "subnets", columns: "t.*",
	visible: "t.project_id = ? OR t.network_id IN (SELECT n.id FROM networks AS n WHERE n.project_id = ?)" +
		" OR EXISTS (SELECT 1 FROM rbac_policies AS r WHERE r.object_id = t.network_id AND r.action = 'access_as_shared' AND r.target IN ('*', ?))",
	attrs: standardAttrs(map[string]attr{
		"name": {expr: "t.name"}, "network_id": {expr: "t.network_id"}, "ip_version": {kind: number, expr: "t.ip_version"},
		"cidr": {expr: "t.cidr"}, "gateway_ip": {expr: "t.gateway_ip"}, "enable_dhcp": {kind: boolean, expr: "t.enable_dhcp"},
		"ipv6_ra_mode": {expr: "t.ra_mode"}, "ipv6_address_mode": {expr: "t.address_mode"},
		"subnetpool_id": {where: inSubquery("t.id", "SELECT x.subnet_id FROM pool_subnets AS x WHERE x.pool_id IN ")},
		"shared": {kind: boolean,
			expr: "EXISTS (SELECT 1 FROM rbac_policies AS r WHERE r.object_id = t.network_id AND r.action = 'access_as_shared' AND r.target IN ('*', ?))"},
		"router:external": {kind: boolean,
			expr: "EXISTS (SELECT 1 FROM rbac_policies AS r WHERE r.object_id = t.network_id AND r.action = 'access_as_external')"},
	}),
}

// Subnets lists subnets.
func (s *Store) Subnets(ctx context.Context, q db.Querier, scope Scope, query network.Query) ([]network.Subnet, error) {
	list, err := rows[subnetRow](ctx, q, subnetList, scope, query)
	if err != nil {
		return nil, err
	}
	return subnets(ctx, q, list)
}

// Subnet reads a subnet.
func (s *Store) Subnet(ctx context.Context, q db.Querier, scope Scope, id string) (network.Subnet, error) {
	list, err := one[subnetRow](ctx, q, subnetList, scope, id)
	if err != nil {
		return network.Subnet{}, err
	}
	out, err := subnets(ctx, q, list)
	if err != nil {
		return network.Subnet{}, err
	}
	return out[0], nil
}

// SubnetsOf lists the subnets of networks, in the order in which they were made.
func (s *Store) SubnetsOf(ctx context.Context, q db.Querier, networkIDs ...string) ([]network.Subnet, error) {
	var all []subnetRow
	err := inBatches(networkIDs, func(in string, args []any) error {
		list, err := db.Select[subnetRow](ctx, q, `SELECT * FROM subnets WHERE network_id IN `+in+` ORDER BY created_at, id`, args...)
		all = append(all, list...)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]network.Subnet, len(all))
	for i := range all {
		out[i] = all[i].subnet(nil)
	}
	return out, nil
}

func subnets(ctx context.Context, q db.Querier, list []subnetRow) ([]network.Subnet, error) {
	all := ids(list, func(r *subnetRow) string { return r.ID })
	tags, err := tagsOf(ctx, q, all)
	if err != nil {
		return nil, err
	}
	pools, err := poolsOf(ctx, q, all)
	if err != nil {
		return nil, err
	}
	out := make([]network.Subnet, len(list))
	for i := range list {
		out[i] = list[i].subnet(tags)
		out[i].SubnetPoolID = pointer(pools[list[i].ID])
	}
	return out, nil
}

func (r *subnetRow) subnet(tags map[string][]string) network.Subnet {
	return network.Subnet{Standard: r.standard.standard(tags), Name: r.Name, NetworkID: r.NetworkID, IPVersion: r.IPVersion, CIDR: r.CIDR,
		GatewayIP: pointer(r.GatewayIP), EnableDHCP: r.EnableDHCP, AllocationPools: orEmpty(r.Pools.V), DNS: orEmpty(r.DNS.V),
		HostRoutes: orEmpty(r.Routes.V), RAMode: pointer(r.RAMode), AddressMode: pointer(r.AddressMode), ServiceTypes: orEmpty(r.ServiceTypes.V)}
}

// InsertSubnet writes a new subnet.
func (s *Store) InsertSubnet(ctx context.Context, tx *db.Tx, n network.Subnet) error {
	row := subnetRow{standard: standardRow(n.Standard), Name: n.Name, NetworkID: n.NetworkID, IPVersion: n.IPVersion, CIDR: n.CIDR,
		GatewayIP: text(n.GatewayIP), EnableDHCP: n.EnableDHCP, Pools: db.AsJSON(n.AllocationPools), DNS: db.AsJSON(n.DNS),
		Routes: db.AsJSON(n.HostRoutes), RAMode: text(n.RAMode), AddressMode: text(n.AddressMode), ServiceTypes: db.AsJSON(n.ServiceTypes)}
	if err := db.Insert(ctx, tx, "subnets", row); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO cursors (subnet_id, next_key) VALUES (?, '')`, n.ID); err != nil || n.SubnetPoolID == nil {
		return err
	}
	return db.Insert(ctx, tx, "pool_subnets", poolSubnet{n.ID, *n.SubnetPoolID, n.ProjectID, n.CIDR})
}

// UpdateSubnet writes what can change of a subnet.
func (s *Store) UpdateSubnet(ctx context.Context, tx *db.Tx, n network.Subnet, now time.Time) error {
	return stale(tx.Exec(ctx, `UPDATE subnets SET name = ?, description = ?, gateway_ip = ?, enable_dhcp = ?, pools = ?, dns = ?, routes = ?,
		service_types = ?, ra_mode = ?, address_mode = ?, revision = revision + 1, updated_at = ? WHERE id = ? AND revision = ?`,
		n.Name, n.Description, text(n.GatewayIP), n.EnableDHCP, db.AsJSON(n.AllocationPools), db.AsJSON(n.DNS), db.AsJSON(n.HostRoutes),
		db.AsJSON(n.ServiceTypes), text(n.RAMode), text(n.AddressMode), db.At(now), n.ID, n.Revision))
}

// DeleteSubnet removes a subnet that has no addresses in use.
func (s *Store) DeleteSubnet(ctx context.Context, tx *db.Tx, id string) error {
	for _, q := range []string{`DELETE FROM tags WHERE resource_id = ?`, `DELETE FROM cursors WHERE subnet_id = ?`,
		`DELETE FROM pool_subnets WHERE subnet_id = ?`, `DELETE FROM subnets WHERE id = ?`} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// SubnetUse counts the addresses in use of each subnet.
func (s *Store) SubnetUse(ctx context.Context, q db.Querier) (map[string]int, error) {
	type row struct {
		ID string `db:"subnet_id"`
		N  int    `db:"n"`
	}
	list, err := db.Select[row](ctx, q, `SELECT subnet_id, COUNT(*) AS n FROM fixed_ips GROUP BY subnet_id`)
	use := make(map[string]int, len(list))
	for _, r := range list {
		use[r.ID] = r.N
	}
	return use, err
}
