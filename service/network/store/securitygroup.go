package store

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/service/network"
)

type groupRow struct {
	standard
	Name      string  `db:"name"`
	Stateful  bool    `db:"stateful"`
	DefaultOf *string `db:"default_of"`
}

type ruleRow struct {
	standard
	GroupID      string `db:"group_id"`
	Direction    string `db:"direction"`
	EtherType    string `db:"ethertype"`
	Protocol     string `db:"protocol"`
	PortMin      *int   `db:"port_min"`
	PortMax      *int   `db:"port_max"`
	RemotePrefix string `db:"remote_prefix"`
	RemoteGroup  string `db:"remote_group"`
}

var groupList = &listing{
	resource: "security group", missing: "SecurityGroupNotFound", table: "security_groups", columns: "t.*", visible: "t.project_id = ?",
	attrs: standardAttrs(map[string]attr{"name": {expr: "t.name"}, "stateful": {kind: boolean, expr: "t.stateful"},
		"shared": {kind: boolean, expr: "(1 = 0)"}}),
}

var ruleList = &listing{
	resource: "security group rule", missing: "SecurityGroupRuleNotFound", table: "security_group_rules", columns: "t.*",
	visible: "t.project_id = ? OR t.group_id IN (SELECT g.id FROM security_groups AS g WHERE g.project_id = ?)",
	attrs: standardAttrs(map[string]attr{
		"security_group_id": {expr: "t.group_id"}, "direction": {expr: "t.direction"}, "ethertype": {expr: "t.ethertype"},
		"protocol": {expr: "t.protocol"}, "port_range_min": {kind: number, expr: "t.port_min"}, "port_range_max": {kind: number, expr: "t.port_max"},
		"remote_ip_prefix": {expr: "t.remote_prefix"}, "remote_group_id": {expr: "t.remote_group"},
	}),
}

// Groups lists security groups with their rules.
func (s *Store) Groups(ctx context.Context, q db.Querier, scope Scope, query network.Query) ([]network.SecurityGroup, error) {
	list, err := rows[groupRow](ctx, q, groupList, scope, query)
	if err != nil {
		return nil, err
	}
	return s.groups(ctx, q, list)
}

// Group reads a security group with its rules.
func (s *Store) Group(ctx context.Context, q db.Querier, scope Scope, id string) (network.SecurityGroup, error) {
	list, err := one[groupRow](ctx, q, groupList, scope, id)
	if err != nil {
		return network.SecurityGroup{}, err
	}
	out, err := s.groups(ctx, q, list)
	if err != nil {
		return network.SecurityGroup{}, err
	}
	return out[0], nil
}

func (s *Store) groups(ctx context.Context, q db.Querier, list []groupRow) ([]network.SecurityGroup, error) {
	all := ids(list, func(r *groupRow) string { return r.ID })
	tags, err := tagsOf(ctx, q, all)
	if err != nil {
		return nil, err
	}
	rules, err := s.RulesOf(ctx, q, all)
	if err != nil {
		return nil, err
	}
	byGroup := map[string][]network.Rule{}
	for _, r := range rules {
		byGroup[r.GroupID] = append(byGroup[r.GroupID], r)
	}
	out := make([]network.SecurityGroup, len(list))
	for i, r := range list {
		out[i] = network.SecurityGroup{Standard: r.standard.standard(tags), Name: r.Name, Stateful: r.Stateful,
			Rules: orEmpty(byGroup[r.ID]), Default: r.DefaultOf != nil}
	}
	return out, nil
}

// DefaultGroupID returns the default group of a project; "" if there is none yet.
func (s *Store) DefaultGroupID(ctx context.Context, q db.Querier, projectID string) (string, error) {
	id, err := db.Get[string](ctx, q, `SELECT id FROM security_groups WHERE default_of = ?`, projectID)
	if errors.Is(err, db.ErrNoRow) {
		return "", nil
	}
	return id, err
}

// GroupsIn returns those of the ids that are groups which the project may use.
func (s *Store) GroupsIn(ctx context.Context, q db.Querier, projectID string, groupIDs []string) (map[string]bool, error) {
	found := map[string]bool{}
	err := inBatches(groupIDs, func(list string, args []any) error {
		have, err := db.Select[string](ctx, q, `SELECT id FROM security_groups WHERE id IN `+list+` AND project_id = ?`, append(args, projectID)...)
		for _, id := range have {
			found[id] = true
		}
		return err
	})
	return found, err
}

// InsertGroup writes a new group with its rules. A second default group of a
// project is a unique-key error.
func (s *Store) InsertGroup(ctx context.Context, tx *db.Tx, g network.SecurityGroup) error {
	row := groupRow{standard: standardRow(g.Standard), Name: g.Name, Stateful: g.Stateful}
	if g.Default {
		row.DefaultOf = &g.ProjectID
	}
	if err := db.Insert(ctx, tx, "security_groups", row); err != nil {
		return err
	}
	return s.InsertRules(ctx, tx, g.Rules)
}

// UpdateGroup writes what can change of a group.
func (s *Store) UpdateGroup(ctx context.Context, tx *db.Tx, g network.SecurityGroup, now time.Time) error {
	return stale(tx.Exec(ctx, `UPDATE security_groups SET name = ?, description = ?, stateful = ?, revision = revision + 1, updated_at = ?
		WHERE id = ? AND revision = ?`, g.Name, g.Description, g.Stateful, db.At(now), g.ID, g.Revision))
}

// DeleteGroup removes a group that no port has, with its rules.
func (s *Store) DeleteGroup(ctx context.Context, tx *db.Tx, id string) error {
	for _, q := range []string{`DELETE FROM security_group_rules WHERE group_id = ?`, `DELETE FROM security_group_rules WHERE remote_group = ?`,
		`DELETE FROM tags WHERE resource_id = ?`, `DELETE FROM security_groups WHERE id = ?`} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// GroupInUse reports whether a port has the group.
func (s *Store) GroupInUse(ctx context.Context, q db.Querier, id string) (bool, error) {
	n, err := db.Get[int](ctx, q, `SELECT COUNT(*) FROM port_groups WHERE group_id = ?`, id)
	return n > 0, err
}

// Rules lists rules.
func (s *Store) Rules(ctx context.Context, q db.Querier, scope Scope, query network.Query) ([]network.Rule, error) {
	list, err := rows[ruleRow](ctx, q, ruleList, scope, query)
	if err != nil {
		return nil, err
	}
	return rulesOf(list), nil
}

// Rule reads a rule.
func (s *Store) Rule(ctx context.Context, q db.Querier, scope Scope, id string) (network.Rule, error) {
	list, err := one[ruleRow](ctx, q, ruleList, scope, id)
	if err != nil {
		return network.Rule{}, err
	}
	return rulesOf(list)[0], nil
}

// RulesOf lists the rules of groups.
func (s *Store) RulesOf(ctx context.Context, q db.Querier, groupIDs []string) ([]network.Rule, error) {
	var all []ruleRow
	err := inBatches(groupIDs, func(in string, args []any) error {
		list, err := db.Select[ruleRow](ctx, q, `SELECT * FROM security_group_rules WHERE group_id IN `+in+` ORDER BY created_at, id`, args...)
		all = append(all, list...)
		return err
	})
	return rulesOf(all), err
}

func rulesOf(list []ruleRow) []network.Rule {
	out := make([]network.Rule, len(list))
	for i, r := range list {
		out[i] = network.Rule{Standard: r.standard.standard(nil), GroupID: r.GroupID, Direction: r.Direction, EtherType: r.EtherType,
			Protocol: pointer(r.Protocol), PortMin: r.PortMin, PortMax: r.PortMax, RemotePrefix: pointer(r.RemotePrefix),
			RemoteGroup: pointer(r.RemoteGroup), NormalizedCIDR: pointer(r.RemotePrefix)}
	}
	return out
}

// InsertRules writes new rules.
func (s *Store) InsertRules(ctx context.Context, tx *db.Tx, rules []network.Rule) error {
	list := make([]ruleRow, len(rules))
	for i, r := range rules {
		list[i] = ruleRow{standard: standardRow(r.Standard), GroupID: r.GroupID, Direction: r.Direction, EtherType: r.EtherType,
			Protocol: text(r.Protocol), PortMin: r.PortMin, PortMax: r.PortMax, RemotePrefix: text(r.RemotePrefix), RemoteGroup: text(r.RemoteGroup)}
	}
	return db.Insert(ctx, tx, "security_group_rules", list...)
}

// DeleteRule removes a rule.
func (s *Store) DeleteRule(ctx context.Context, tx *db.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM security_group_rules WHERE id = ?`, id)
	return err
}

// GroupAddresses lists the fixed IPs of the ports that have the groups.
func (s *Store) GroupAddresses(ctx context.Context, q db.Querier, groupIDs []string) (map[string][]string, error) {
	type row struct {
		GroupID string `db:"group_id"`
		IP      string `db:"ip"`
	}
	addresses := map[string][]string{}
	err := inBatches(groupIDs, func(list string, args []any) error {
		for r, err := range db.Each[row](ctx, q, `SELECT g.group_id, f.ip FROM port_groups AS g JOIN fixed_ips AS f ON f.port_id = g.port_id
			WHERE g.group_id IN `+list+` ORDER BY f.addr_key`, args...) {
			if err != nil {
				return err
			}
			addresses[r.GroupID] = append(addresses[r.GroupID], r.IP)
		}
		return nil
	})
	return addresses, err
}
