package store

import (
	"context"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
)

type portRow struct {
	standard
	Name         string                        `db:"name"`
	NetworkID    string                        `db:"network_id"`
	MAC          string                        `db:"mac"`
	AdminUp      bool                          `db:"admin_up"`
	Status       string                        `db:"status"`
	DeviceID     string                        `db:"device_id"`
	DeviceOwner  string                        `db:"device_owner"`
	Pairs        db.JSON[[]network.Pair]       `db:"pairs"`
	DHCPOptions  db.JSON[[]network.DHCPOption] `db:"dhcp_options"`
	PortSecurity bool                          `db:"port_security"`
	DNSName      string                        `db:"dns_name"`
	VNICType     string                        `db:"vnic_type"`
	Host         string                        `db:"host"`
	VIFType      string                        `db:"vif_type"`
	Profile      db.JSON[map[string]any]       `db:"profile"`
	QoSPolicy    string                        `db:"qos_policy"`
}

// portRead is a port with what it has of its network.
type portRead struct {
	portRow
	NetworkQoS string `db:"network_qos"`
	Physical   string `db:"physical"`
}

// portColumns are what portRead reads.
const portColumns = "t.*, (SELECT n.qos_policy FROM networks AS n WHERE n.id = t.network_id) AS network_qos, " +
	"(SELECT n.physical FROM networks AS n WHERE n.id = t.network_id) AS physical"

var portList = &listing{
	resource: "port", missing: "PortNotFound", table: "ports", columns: portColumns,
	visible: "t.project_id = ? OR t.network_id IN (SELECT n.id FROM networks AS n WHERE n.project_id = ?)",
	attrs: standardAttrs(map[string]attr{
		"name": {expr: "t.name"}, "network_id": {expr: "t.network_id"}, "mac_address": {expr: "t.mac"},
		"admin_state_up": {kind: boolean, expr: "t.admin_up"}, "status": {expr: "t.status"}, "device_id": {expr: "t.device_id"},
		"device_owner": {expr: "t.device_owner"}, "port_security_enabled": {kind: boolean, expr: "t.port_security"},
		"dns_name": {expr: "t.dns_name"}, "binding:vnic_type": {expr: "t.vnic_type"}, "binding:host_id": {expr: "t.host"},
		"binding:vif_type": {expr: "t.vif_type"}, "qos_policy_id": {expr: "t.qos_policy"},
		"fixed_ips":       {where: fixedIPFilter},
		"security_groups": {where: inSubquery("t.id", "SELECT x.port_id FROM port_groups AS x WHERE x.group_id IN ")},
	}),
}

// fixedIPFilter reads "ip_address=10.0.0.3", "subnet_id=…" and
// "ip_address_substr=10.0." and wants one address that fits all kinds.
func fixedIPFilter(values []string) (string, []any, error) {
	byKind := map[string][]string{}
	for _, v := range values {
		kind, value, ok := strings.Cut(v, "=")
		if !ok {
			return "", nil, fault.Invalidf("Invalid input for fixed_ips. Reason: '%.64s' is not of the form key=value.", v).WithCode("HTTPBadRequest")
		}
		byKind[kind] = append(byKind[kind], value)
	}
	cond := "EXISTS (SELECT 1 FROM fixed_ips AS f WHERE f.port_id = t.id"
	var args []any
	for _, kind := range []string{"ip_address", "subnet_id", "ip_address_substr"} {
		values := byKind[kind]
		delete(byKind, kind)
		if len(values) == 0 {
			continue
		}
		if kind == "ip_address_substr" {
			var options []string
			for _, v := range values {
				like, more := likeContains("f.ip", v)
				options, args = append(options, like), append(args, more...)
			}
			cond += " AND (" + strings.Join(options, " OR ") + ")"
			continue
		}
		list, more := db.In(values)
		cond += " AND f." + map[string]string{"ip_address": "ip", "subnet_id": "subnet_id"}[kind] + " IN " + list
		args = append(args, more...)
	}
	for kind := range byKind {
		return "", nil, fault.Invalidf("Invalid input for fixed_ips. Reason: '%.64s' is no part of a fixed IP.", kind).WithCode("HTTPBadRequest")
	}
	return cond + ")", args, nil
}

// Ports lists ports.
func (s *Store) Ports(ctx context.Context, q db.Querier, scope Scope, query network.Query) ([]network.Port, error) {
	list, err := rows[portRead](ctx, q, portList, scope, query)
	if err != nil {
		return nil, err
	}
	return ports(ctx, q, list)
}

// Port reads a port.
func (s *Store) Port(ctx context.Context, q db.Querier, scope Scope, id string) (network.Port, error) {
	list, err := one[portRead](ctx, q, portList, scope, id)
	if err != nil {
		return network.Port{}, err
	}
	out, err := ports(ctx, q, list)
	if err != nil {
		return network.Port{}, err
	}
	return out[0], nil
}

// PortsWhere lists the ports that a condition on the table ports (as t) names.
func (s *Store) PortsWhere(ctx context.Context, q db.Querier, cond string, args ...any) ([]network.Port, error) {
	list, err := db.Select[portRead](ctx, q, `SELECT `+portColumns+` FROM ports AS t WHERE `+cond+` ORDER BY t.created_at, t.id`, args...)
	if err != nil {
		return nil, err
	}
	return ports(ctx, q, list)
}

// PortsByID reads ports without order; those that are not there are left out.
func (s *Store) PortsByID(ctx context.Context, q db.Querier, portIDs []string) ([]network.Port, error) {
	var all []network.Port
	err := inBatches(portIDs, func(list string, args []any) error {
		found, err := s.PortsWhere(ctx, q, `t.id IN `+list, args...)
		all = append(all, found...)
		return err
	})
	return all, err
}

func ports(ctx context.Context, q db.Querier, list []portRead) ([]network.Port, error) {
	all := ids(list, func(r *portRead) string { return r.ID })
	tags, err := tagsOf(ctx, q, all)
	if err != nil {
		return nil, err
	}
	addresses, err := addressesOf(ctx, q, all)
	if err != nil {
		return nil, err
	}
	type member struct {
		PortID  string `db:"port_id"`
		GroupID string `db:"group_id"`
	}
	groups := map[string][]string{}
	err = inBatches(all, func(list string, args []any) error {
		for m, err := range db.Each[member](ctx, q, `SELECT port_id, group_id FROM port_groups WHERE port_id IN `+list+` ORDER BY port_id, group_id`, args...) {
			if err != nil {
				return err
			}
			groups[m.PortID] = append(groups[m.PortID], m.GroupID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	requests, err := requestsOf(ctx, q, list)
	if err != nil {
		return nil, err
	}
	out := make([]network.Port, len(list))
	for i := range list {
		r := &list[i]
		out[i] = network.Port{Standard: r.standard.standard(tags), Name: r.Name, NetworkID: r.NetworkID, MAC: r.MAC, AdminUp: r.AdminUp,
			Status: r.Status, DeviceID: r.DeviceID, DeviceOwner: r.DeviceOwner, FixedIPs: orEmpty(addresses[r.ID]), Pairs: orEmpty(r.Pairs.V),
			DHCPOptions: orEmpty(r.DHCPOptions.V), SecurityGroups: orEmpty(groups[r.ID]), PortSecurity: r.PortSecurity, DNSName: r.DNSName,
			DNSAssignment: []network.DNSAssignment{}, VNICType: r.VNICType, QoSPolicy: pointer(r.QoSPolicy), NetworkQoS: pointer(r.NetworkQoS),
			Binding: &network.Binding{Host: r.Host, VIFType: r.VIFType, VIFDetails: VIFDetails(r.VIFType), Profile: r.Profile.V, Request: requests[r.ID]}}
		if out[i].Profile == nil {
			out[i].Profile = map[string]any{}
		}
	}
	return out, nil
}

// VIFDetails says to compute what this service does at the port.
func VIFDetails(vifType string) map[string]any {
	if vifType != network.VIFBridge {
		return map[string]any{}
	}
	return map[string]any{"port_filter": true, "connectivity": "l2"}
}

func rowOfPort(p network.Port) portRow {
	return portRow{standard: standardRow(p.Standard), Name: p.Name, NetworkID: p.NetworkID, MAC: p.MAC, AdminUp: p.AdminUp, Status: p.Status,
		DeviceID: p.DeviceID, DeviceOwner: p.DeviceOwner, Pairs: db.AsJSON(p.Pairs), DHCPOptions: db.AsJSON(p.DHCPOptions),
		PortSecurity: p.PortSecurity, DNSName: p.DNSName, VNICType: p.VNICType, Host: p.Host, VIFType: p.VIFType, Profile: db.AsJSON(p.Profile), QoSPolicy: text(p.QoSPolicy)}
}

// InsertPort writes a new port with its addresses and groups. A MAC address that
// the network has already, or an address that the subnet has, is a unique-key error.
func (s *Store) InsertPort(ctx context.Context, tx *db.Tx, p network.Port) error {
	if err := db.Insert(ctx, tx, "ports", rowOfPort(p)); err != nil {
		return err
	}
	if err := s.SetAddresses(ctx, tx, p.ID, p.NetworkID, p.FixedIPs); err != nil {
		return err
	}
	return s.setPortGroups(ctx, tx, p.ID, p.Host, p.SecurityGroups)
}

// UpdatePort writes what can change of a port; addresses and groups only where
// told.
func (s *Store) UpdatePort(ctx context.Context, tx *db.Tx, p network.Port, addresses, groups bool, now time.Time) error {
	err := stale(tx.Exec(ctx, `UPDATE ports SET name = ?, description = ?, mac = ?, admin_up = ?, status = ?, device_id = ?, device_owner = ?,
		pairs = ?, dhcp_options = ?, port_security = ?, dns_name = ?, vnic_type = ?, host = ?, vif_type = ?, profile = ?, qos_policy = ?,
		revision = revision + 1, updated_at = ? WHERE id = ? AND revision = ?`,
		p.Name, p.Description, p.MAC, p.AdminUp, p.Status, p.DeviceID, p.DeviceOwner, db.AsJSON(p.Pairs), db.AsJSON(p.DHCPOptions),
		p.PortSecurity, p.DNSName, p.VNICType, p.Host, p.VIFType, db.AsJSON(p.Profile), text(p.QoSPolicy), db.At(now), p.ID, p.Revision))
	if err == nil && addresses {
		err = s.SetAddresses(ctx, tx, p.ID, p.NetworkID, p.FixedIPs)
	}
	if err == nil && groups {
		err = s.setPortGroups(ctx, tx, p.ID, p.Host, p.SecurityGroups)
	}
	return err
}

func (s *Store) setPortGroups(ctx context.Context, tx *db.Tx, portID, host string, groupIDs []string) error {
	for _, table := range []string{"port_groups", "bound_groups"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE port_id = ?`, portID); err != nil {
			return err
		}
	}
	type member struct {
		PortID  string `db:"port_id"`
		GroupID string `db:"group_id"`
	}
	type bound struct {
		Host string `db:"host"`
		member
	}
	members, hosts := make([]member, len(groupIDs)), make([]bound, len(groupIDs))
	for i, g := range groupIDs {
		members[i] = member{portID, g}
		hosts[i] = bound{host, members[i]}
	}
	if err := db.Insert(ctx, tx, "port_groups", members...); err != nil || host == "" {
		return err
	}
	return db.Insert(ctx, tx, "bound_groups", hosts...)
}

// HostsOfGroups lists the hosts with an agent on which a port has one of the
// groups; with speaking, a group whose rules speak of one of them.
func (s *Store) HostsOfGroups(ctx context.Context, q db.Querier, groupIDs []string, speaking bool) ([]string, error) {
	list, args := db.In(groupIDs)
	groups := list
	if speaking {
		groups = `(SELECT r.group_id FROM security_group_rules AS r WHERE r.remote_group IN ` + list + `)`
	}
	return db.Select[string](ctx, q, `SELECT a.host FROM agents AS a WHERE a.type = '`+network.AgentL2+`'
		AND EXISTS (SELECT 1 FROM bound_groups AS b WHERE b.host = a.host AND b.group_id IN `+groups+`)`, args...)
}

// SetPortStatus writes a port's status if it has another one, and reports
// whether it had.
func (s *Store) SetPortStatus(ctx context.Context, tx *db.Tx, id, status string, now time.Time) (bool, error) {
	n, err := tx.Exec(ctx, `UPDATE ports SET status = ?, revision = revision + 1, updated_at = ? WHERE id = ? AND status <> ?`,
		status, db.At(now), id, status)
	return n > 0, err
}

// DeletePort removes a port with its addresses.
func (s *Store) DeletePort(ctx context.Context, tx *db.Tx, id string) error {
	for _, q := range []string{`DELETE FROM fixed_ips WHERE port_id = ?`, `DELETE FROM port_groups WHERE port_id = ?`,
		`DELETE FROM bound_groups WHERE port_id = ?`, `DELETE FROM tags WHERE resource_id = ?`, `DELETE FROM dhcp_bindings WHERE port_id = ?`,
		`DELETE FROM port_bindings WHERE port_id = ?`, `DELETE FROM ports WHERE id = ?`} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// MACTaken reports whether a port of the network has the MAC address.
func (s *Store) MACTaken(ctx context.Context, q db.Querier, networkID, mac string) (bool, error) {
	n, err := db.Get[int](ctx, q, `SELECT COUNT(*) FROM ports WHERE network_id = ? AND mac = ?`, networkID, mac)
	return n > 0, err
}
