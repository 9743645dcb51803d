package store

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/network"
)

type floatingRow struct {
	standard
	NetworkID    string  `db:"network_id"`
	Floating     string  `db:"floating_ip"`
	FloatingPort string  `db:"floating_port"`
	PortID       *string `db:"port_id"`
	Fixed        *string `db:"fixed_ip"`
	RouterID     string  `db:"router_id"`
	Status       string  `db:"status"`
	DNSName      string  `db:"dns_name"`
	DNSDomain    string  `db:"dns_domain"`
}

// FloatingIP is a floating IP with the port that holds its address.
type FloatingIP struct {
	network.FloatingIP
	FloatingPort string
}

var floatingList = &listing{
	resource: "floating IP", missing: "FloatingIPNotFound", table: "floating_ips", columns: "t.*", visible: "t.project_id = ?",
	attrs: standardAttrs(map[string]attr{"floating_network_id": {expr: "t.network_id"}, "floating_ip_address": {expr: "t.floating_ip"},
		"port_id": {expr: "COALESCE(t.port_id, '')"}, "fixed_ip_address": {expr: "COALESCE(t.fixed_ip, '')"}, "router_id": {expr: "t.router_id"},
		"status": {expr: "t.status"}, "dns_name": {expr: "t.dns_name"}, "dns_domain": {expr: "t.dns_domain"}}),
}

// FloatingIPs lists floating IPs.
func (s *Store) FloatingIPs(ctx context.Context, q db.Querier, scope Scope, query network.Query) ([]FloatingIP, error) {
	list, err := rows[floatingRow](ctx, q, floatingList, scope, query)
	if err != nil {
		return nil, err
	}
	return floatingIPs(ctx, q, list)
}

// FloatingIP reads a floating IP.
func (s *Store) FloatingIP(ctx context.Context, q db.Querier, scope Scope, id string) (FloatingIP, error) {
	list, err := one[floatingRow](ctx, q, floatingList, scope, id)
	if err != nil {
		return FloatingIP{}, err
	}
	out, err := floatingIPs(ctx, q, list)
	if err != nil {
		return FloatingIP{}, err
	}
	return out[0], nil
}

// FloatingIPsWhere lists the floating IPs that a condition on the table
// floating_ips (as t) names.
func (s *Store) FloatingIPsWhere(ctx context.Context, q db.Querier, cond string, args ...any) ([]FloatingIP, error) {
	list, err := db.Select[floatingRow](ctx, q, `SELECT t.* FROM floating_ips AS t WHERE `+cond+` ORDER BY t.created_at, t.id`, args...)
	if err != nil {
		return nil, err
	}
	return floatingIPs(ctx, q, list)
}

func floatingIPs(ctx context.Context, q db.Querier, list []floatingRow) ([]FloatingIP, error) {
	tags, err := tagsOf(ctx, q, ids(list, func(r *floatingRow) string { return r.ID }))
	if err != nil {
		return nil, err
	}
	var portIDs []string
	for i := range list {
		if list[i].PortID != nil {
			portIDs = append(portIDs, *list[i].PortID)
		}
	}
	details := map[string]*network.PortDetails{}
	err = inBatches(portIDs, func(in string, args []any) error {
		for p, err := range db.Each[portRow](ctx, q, `SELECT * FROM ports WHERE id IN `+in, args...) {
			if err != nil {
				return err
			}
			details[p.ID] = &network.PortDetails{Name: p.Name, NetworkID: p.NetworkID, MAC: p.MAC, AdminUp: p.AdminUp, Status: p.Status,
				DeviceID: p.DeviceID, DeviceOwner: p.DeviceOwner}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]FloatingIP, len(list))
	for i, r := range list {
		out[i] = FloatingIP{FloatingPort: r.FloatingPort, FloatingIP: network.FloatingIP{
			Standard: r.standard.standard(tags), NetworkID: r.NetworkID, Floating: r.Floating, PortID: r.PortID, Fixed: r.Fixed,
			RouterID: pointer(r.RouterID), Status: r.Status, DNSName: r.DNSName, DNSDomain: r.DNSDomain}}
		if r.PortID != nil {
			out[i].PortDetails = details[*r.PortID]
		}
	}
	return out, nil
}

// InsertFloatingIP writes a new floating IP. A second one for the same fixed IP
// is a unique-key error.
func (s *Store) InsertFloatingIP(ctx context.Context, tx *db.Tx, f FloatingIP) error {
	return db.Insert(ctx, tx, "floating_ips", floatingRow{standard: standardRow(f.Standard), NetworkID: f.NetworkID, Floating: f.Floating,
		FloatingPort: f.FloatingPort, PortID: f.PortID, Fixed: f.Fixed, RouterID: text(f.RouterID), Status: f.Status, DNSName: f.DNSName,
		DNSDomain: f.DNSDomain})
}

// UpdateFloatingIP writes what can change of a floating IP.
func (s *Store) UpdateFloatingIP(ctx context.Context, tx *db.Tx, f FloatingIP, now time.Time) error {
	return stale(tx.Exec(ctx, `UPDATE floating_ips SET description = ?, port_id = ?, fixed_ip = ?, router_id = ?, status = ?,
		revision = revision + 1, updated_at = ? WHERE id = ? AND revision = ?`,
		f.Description, f.PortID, f.Fixed, text(f.RouterID), f.Status, db.At(now), f.ID, f.Revision))
}

// ActivateFloatingIPs marks those of a router that are mapped as working.
func (s *Store) ActivateFloatingIPs(ctx context.Context, tx *db.Tx, routerID string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE floating_ips SET status = 'ACTIVE', revision = revision + 1, updated_at = ?
		WHERE router_id = ? AND port_id IS NOT NULL AND status <> 'ACTIVE'`, db.At(now), routerID)
	return err
}

// DeleteFloatingIP removes a floating IP; its port stays.
func (s *Store) DeleteFloatingIP(ctx context.Context, tx *db.Tx, id string) error {
	for _, q := range []string{`DELETE FROM tags WHERE resource_id = ?`, `DELETE FROM floating_ips WHERE id = ?`} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}
