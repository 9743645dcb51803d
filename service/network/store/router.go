package store

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/network"
)

type routerRow struct {
	standard
	Name           string                        `db:"name"`
	AdminUp        bool                          `db:"admin_up"`
	Status         string                        `db:"status"`
	GatewayNetwork string                        `db:"gateway_network"`
	GatewayPort    string                        `db:"gateway_port"`
	EnableSNAT     bool                          `db:"enable_snat"`
	Routes         db.JSON[[]network.RouteEntry] `db:"routes"`
	ZoneHints      db.JSON[[]string]             `db:"zone_hints"`
	Host           string                        `db:"host"`
}

// Router is a router with what only this service knows of it.
type Router struct {
	network.Router
	GatewayPort string // the port's id, "" without a gateway
	Host        string // whose agent carries it, "" nobody's
}

var routerList = &listing{
	resource: "router", missing: "RouterNotFound", table: "routers", columns: "t.*", visible: "t.project_id = ?",
	attrs: standardAttrs(map[string]attr{"name": {expr: "t.name"}, "admin_state_up": {kind: boolean, expr: "t.admin_up"}, "status": {expr: "t.status"},
		"distributed": {kind: boolean, expr: "(1 = 0)"}, "ha": {kind: boolean, expr: "(1 = 0)"},
		"external_gateway_info": {where: gatewayFilter}, "flavor_id": {expr: absent}}),
}

// gatewayFilter reads "network_id=…".
func gatewayFilter(values []string) (string, []any, error) {
	for i, v := range values {
		if len(v) > len("network_id=") && v[:len("network_id=")] == "network_id=" {
			values[i] = v[len("network_id="):]
		}
	}
	list, args := db.In(values)
	return "t.gateway_network IN " + list, args, nil
}

// Routers lists routers.
func (s *Store) Routers(ctx context.Context, q db.Querier, scope Scope, query network.Query) ([]Router, error) {
	list, err := rows[routerRow](ctx, q, routerList, scope, query)
	if err != nil {
		return nil, err
	}
	return s.routers(ctx, q, list)
}

// Router reads a router.
func (s *Store) Router(ctx context.Context, q db.Querier, scope Scope, id string) (Router, error) {
	list, err := one[routerRow](ctx, q, routerList, scope, id)
	if err != nil {
		return Router{}, err
	}
	out, err := s.routers(ctx, q, list)
	if err != nil {
		return Router{}, err
	}
	return out[0], nil
}

// RoutersWhere lists the routers that a condition on the table routers (as t)
// names.
func (s *Store) RoutersWhere(ctx context.Context, q db.Querier, cond string, args ...any) ([]Router, error) {
	list, err := db.Select[routerRow](ctx, q, `SELECT t.* FROM routers AS t WHERE `+cond+` ORDER BY t.created_at, t.id`, args...)
	if err != nil {
		return nil, err
	}
	return s.routers(ctx, q, list)
}

func (s *Store) routers(ctx context.Context, q db.Querier, list []routerRow) ([]Router, error) {
	tags, err := tagsOf(ctx, q, ids(list, func(r *routerRow) string { return r.ID }))
	if err != nil {
		return nil, err
	}
	var gateways []string
	for i := range list {
		if list[i].GatewayPort != "" {
			gateways = append(gateways, list[i].GatewayPort)
		}
	}
	addresses, err := addressesOf(ctx, q, gateways)
	if err != nil {
		return nil, err
	}
	zones, err := s.zonesOfHosts(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make([]Router, len(list))
	for i, r := range list {
		out[i] = Router{GatewayPort: r.GatewayPort, Host: r.Host, Router: network.Router{
			Standard: r.standard.standard(tags), Name: r.Name, AdminUp: r.AdminUp, Status: r.Status, Routes: orEmpty(r.Routes.V),
			Zones: []string{}, ZoneHints: orEmpty(r.ZoneHints.V), RouterPlacement: &network.RouterPlacement{}}}
		if zone := zones[r.Host]; zone != "" {
			out[i].Zones = []string{zone}
		}
		if r.GatewayPort != "" {
			out[i].Gateway = &network.GatewayInfo{NetworkID: r.GatewayNetwork, EnableSNAT: r.EnableSNAT, FixedIPs: orEmpty(addresses[r.GatewayPort])}
		}
	}
	return out, nil
}

// InsertRouter writes a new router without a gateway.
func (s *Store) InsertRouter(ctx context.Context, tx *db.Tx, r Router) error {
	return db.Insert(ctx, tx, "routers", routerRow{standard: standardRow(r.Standard), Name: r.Name, AdminUp: r.AdminUp, Status: r.Status,
		EnableSNAT: true, Routes: db.AsJSON(r.Routes), ZoneHints: db.AsJSON(r.ZoneHints), Host: r.Host})
}

// UpdateRouter writes what can change of a router.
func (s *Store) UpdateRouter(ctx context.Context, tx *db.Tx, r Router, now time.Time) error {
	gatewayNetwork, snat := "", true
	if r.Gateway != nil {
		gatewayNetwork, snat = r.Gateway.NetworkID, r.Gateway.EnableSNAT
	}
	return stale(tx.Exec(ctx, `UPDATE routers SET name = ?, description = ?, admin_up = ?, status = ?, gateway_network = ?, gateway_port = ?,
		enable_snat = ?, routes = ?, revision = revision + 1, updated_at = ? WHERE id = ? AND revision = ?`,
		r.Name, r.Description, r.AdminUp, r.Status, gatewayNetwork, r.GatewayPort, snat, db.AsJSON(r.Routes), db.At(now), r.ID, r.Revision))
}

// PlaceRouter notes which host carries a router; it is no change of the router
// itself.
func (s *Store) PlaceRouter(ctx context.Context, tx *db.Tx, id, host string) error {
	_, err := tx.Exec(ctx, `UPDATE routers SET host = ? WHERE id = ?`, host, id)
	return err
}

// DeleteRouter removes a router without interfaces.
func (s *Store) DeleteRouter(ctx context.Context, tx *db.Tx, id string) error {
	for _, q := range []string{`DELETE FROM tags WHERE resource_id = ?`, `DELETE FROM routers WHERE id = ?`} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}
