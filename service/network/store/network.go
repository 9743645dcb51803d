package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/service/network"
)

type networkRow struct {
	standard
	Name         string            `db:"name"`
	AdminUp      bool              `db:"admin_up"`
	Status       string            `db:"status"`
	MTU          int               `db:"mtu"`
	PortSecurity bool              `db:"port_security"`
	ZoneHints    db.JSON[[]string] `db:"zone_hints"`
	DNSDomain    string            `db:"dns_domain"`
	Type         string            `db:"type"`
	Physical     string            `db:"physical"`
	Segmentation int               `db:"segmentation"`
	Segment      *string           `db:"segment"`
	QoSPolicy    string            `db:"qos_policy"`
	DefaultFor   *string           `db:"default_for"`
}

// defaultExternal marks the external network that is the default one.
const defaultExternal = "external"

func defaultFor(n network.Network) *string {
	if n.External && n.IsDefault != nil && *n.IsDefault {
		return new(defaultExternal)
	}
	return nil
}

type networkRead struct {
	networkRow
	Shared   bool `db:"shared"`
	External bool `db:"external"`
}

// granted is true for a network on which an action is granted to everybody or to
// the caller's project.
func granted(action string) string {
	return `EXISTS (SELECT 1 FROM rbac_policies AS r WHERE r.object_id = t.id AND r.action = '` + action + `' AND r.target IN ('*', ?))`
}

const mayUseNetwork = `EXISTS (SELECT 1 FROM rbac_policies AS r WHERE r.object_id = t.id AND r.target IN ('*', ?))`

var networkList = &listing{
	resource: "network", missing: "NetworkNotFound", table: "networks",
	columns: "t.*, " + granted(network.AccessShared) + " AS shared, " + granted(network.AccessExternal) + " AS external",
	visible: "t.project_id = ? OR " + mayUseNetwork,
	attrs: standardAttrs(map[string]attr{
		"name": {expr: "t.name"}, "admin_state_up": {kind: boolean, expr: "t.admin_up"}, "status": {expr: "t.status"},
		"mtu": {kind: number, expr: "t.mtu"}, "port_security_enabled": {kind: boolean, expr: "t.port_security"},
		"shared":                    {kind: boolean, expr: granted(network.AccessShared)},
		"router:external":           {kind: boolean, expr: granted(network.AccessExternal)},
		"dns_domain":                {expr: "t.dns_domain"},
		"qos_policy_id":             {expr: "t.qos_policy"},
		"is_default":                {kind: boolean, expr: "(t.default_for IS NOT NULL)"},
		"provider:network_type":     {expr: "t.type"},
		"provider:physical_network": {expr: "t.physical"},
		"provider:segmentation_id":  {kind: number, expr: "t.segmentation"},
		"subnets":                   {where: inSubquery("t.id", "SELECT s.network_id FROM subnets AS s WHERE s.id IN ")},
	}),
}

// inSubquery makes the condition that expr is in what a subquery finds for the
// values.
func inSubquery(expr, sub string) func([]string) (string, []any, error) {
	return func(values []string) (string, []any, error) {
		list, args := db.In(values)
		return expr + " IN (" + sub + list + ")", args, nil
	}
}

// Networks lists networks.
func (s *Store) Networks(ctx context.Context, q db.Querier, scope Scope, query network.Query) ([]network.Network, error) {
	list, err := rows[networkRead](ctx, q, networkList, scope, query)
	if err != nil {
		return nil, err
	}
	return s.networks(ctx, q, list)
}

// Network reads a network.
func (s *Store) Network(ctx context.Context, q db.Querier, scope Scope, id string) (network.Network, error) {
	list, err := one[networkRead](ctx, q, networkList, scope, id)
	if err != nil {
		return network.Network{}, err
	}
	out, err := s.networks(ctx, q, list)
	if err != nil {
		return network.Network{}, err
	}
	return out[0], nil
}

func (s *Store) networks(ctx context.Context, q db.Querier, list []networkRead) ([]network.Network, error) {
	all := ids(list, func(r *networkRead) string { return r.ID })
	tags, err := tagsOf(ctx, q, all)
	if err != nil {
		return nil, err
	}
	type child struct {
		ID        string `db:"id"`
		NetworkID string `db:"network_id"`
	}
	subnets := map[string][]string{}
	err = inBatches(all, func(list string, args []any) error {
		for c, err := range db.Each[child](ctx, q, `SELECT id, network_id FROM subnets WHERE network_id IN `+list+` ORDER BY created_at, id`, args...) {
			if err != nil {
				return err
			}
			subnets[c.NetworkID] = append(subnets[c.NetworkID], c.ID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	zones := map[string][]string{}
	err = inBatches(all, func(list string, args []any) error {
		for z, err := range db.Each[child](ctx, q, `SELECT DISTINCT a.zone AS id, b.network_id AS network_id FROM dhcp_bindings AS b
			JOIN agents AS a ON a.host = b.host WHERE b.network_id IN `+list, args...) {
			if err != nil {
				return err
			}
			if z.ID != "" && !slices.Contains(zones[z.NetworkID], z.ID) {
				zones[z.NetworkID] = append(zones[z.NetworkID], z.ID)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]network.Network, len(list))
	for i := range list {
		r := &list[i]
		out[i] = network.Network{Standard: r.standard.standard(tags), Name: r.Name, AdminUp: r.AdminUp, Status: r.Status,
			MTU: r.MTU, Shared: r.Shared, External: r.External, PortSecurity: r.PortSecurity, DNSDomain: r.DNSDomain,
			Subnets: orEmpty(subnets[r.ID]), Zones: orEmpty(zones[r.ID]), ZoneHints: orEmpty(r.ZoneHints.V),
			QoSPolicy: pointer(r.QoSPolicy), NetworkPlacement: &network.NetworkPlacement{Type: r.Type, Physical: pointer(r.Physical)}}
		if r.Segmentation != 0 {
			out[i].Segmentation = &r.Segmentation
		}
		if r.External {
			out[i].IsDefault = new(r.DefaultFor != nil)
		}
	}
	return out, nil
}

// InsertNetwork writes a new network. Segments that another network has already
// are a unique-key error.
func (s *Store) InsertNetwork(ctx context.Context, tx *db.Tx, n network.Network) error {
	row := networkRow{standard: standardRow(n.Standard), Name: n.Name, AdminUp: n.AdminUp, Status: n.Status, MTU: n.MTU,
		PortSecurity: n.PortSecurity, ZoneHints: db.AsJSON(n.ZoneHints), DNSDomain: n.DNSDomain,
		Type: n.Type, Physical: text(n.Physical), QoSPolicy: text(n.QoSPolicy), DefaultFor: defaultFor(n)}
	if n.Segmentation != nil {
		row.Segmentation = *n.Segmentation
	}
	switch n.Type {
	case network.TypeFlat:
		row.Segment = new(n.Type + ":" + row.Physical)
	case network.TypeVLAN:
		row.Segment = new(fmt.Sprintf("%s:%s:%d", n.Type, row.Physical, row.Segmentation))
	}
	return db.Insert(ctx, tx, "networks", row)
}

// UpdateNetwork writes what can change of a network.
func (s *Store) UpdateNetwork(ctx context.Context, tx *db.Tx, n network.Network, now time.Time) error {
	return stale(tx.Exec(ctx, `UPDATE networks SET name = ?, description = ?, admin_up = ?, mtu = ?, port_security = ?, dns_domain = ?, qos_policy = ?, default_for = ?,
		revision = revision + 1, updated_at = ? WHERE id = ? AND revision = ?`,
		n.Name, n.Description, n.AdminUp, n.MTU, n.PortSecurity, n.DNSDomain, text(n.QoSPolicy), defaultFor(n), db.At(now), n.ID, n.Revision))
}

// DeleteNetwork removes a network without ports, with its subnets.
func (s *Store) DeleteNetwork(ctx context.Context, tx *db.Tx, id string) error {
	for _, q := range []string{
		`DELETE FROM tags WHERE resource_id IN (SELECT id FROM subnets WHERE network_id = ?)`,
		`DELETE FROM cursors WHERE subnet_id IN (SELECT id FROM subnets WHERE network_id = ?)`,
		`DELETE FROM pool_subnets WHERE subnet_id IN (SELECT id FROM subnets WHERE network_id = ?)`,
		`DELETE FROM subnets WHERE network_id = ?`,
		`DELETE FROM dhcp_bindings WHERE network_id = ?`,
		`DELETE FROM rbac_policies WHERE object_id = ?`,
		`DELETE FROM topologies WHERE network_id = ?`,
		`DELETE FROM tags WHERE resource_id = ?`,
		`DELETE FROM networks WHERE id = ?`,
	} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}
