package store

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
)

// AgentRow is an agent as it is kept.
type AgentRow struct {
	ID          string                  `db:"id"`
	Type        string                  `db:"type"`
	Host        string                  `db:"host"`
	Zone        string                  `db:"zone"`
	AdminUp     bool                    `db:"admin_up"`
	Description string                  `db:"description"`
	CreatedAt   db.Time                 `db:"created_at"`
	StartedAt   db.Time                 `db:"started_at"`
	Heartbeat   db.Time                 `db:"heartbeat"`
	Physical    db.JSON[[]string]       `db:"physical"`
	Counts      db.JSON[map[string]int] `db:"counts"`
	// Published is what Placement was told of the host, and when.
	Published   db.JSON[[]network.Provider] `db:"published"`
	PublishedAt db.Time                     `db:"published_at"`
}

var agentList = &listing{
	resource: "agent", missing: "AgentNotFound", table: "agents", columns: "t.*", visible: "1 = 1 OR t.id = ?",
	attrs: map[string]attr{"id": {expr: "t.id"}, "agent_type": {expr: "t.type"}, "host": {expr: "t.host"}, "availability_zone": {expr: "t.zone"},
		"admin_state_up": {kind: boolean, expr: "t.admin_up"}, "description": {expr: "t.description"},
		"binary": {expr: "CASE t.type WHEN 'DHCP agent' THEN 'neutron-dhcp-agent' WHEN 'L3 agent' THEN 'neutron-l3-agent' ELSE 'neutron-linuxbridge-agent' END"}},
}

// Agents lists agents.
func (s *Store) Agents(ctx context.Context, q db.Querier, query network.Query) ([]AgentRow, error) {
	return rows[AgentRow](ctx, q, agentList, Everything, query)
}

// Agent reads an agent.
func (s *Store) Agent(ctx context.Context, q db.Querier, id string) (AgentRow, error) {
	list, err := one[AgentRow](ctx, q, agentList, Everything, id)
	if err != nil {
		return AgentRow{}, err
	}
	return list[0], nil
}

// AgentsWhere lists the agents that a condition on the table agents (as t) names.
func (s *Store) AgentsWhere(ctx context.Context, q db.Querier, cond string, args ...any) ([]AgentRow, error) {
	return db.Select[AgentRow](ctx, q, `SELECT t.* FROM agents AS t WHERE `+cond+` ORDER BY t.host, t.type`, args...)
}

// BeatAgent notes a sign of life, and the agent itself when it is new.
func (s *Store) BeatAgent(ctx context.Context, tx *db.Tx, a AgentRow) (isNew bool, err error) {
	n, err := tx.Exec(ctx, `UPDATE agents SET zone = ?, started_at = ?, heartbeat = ?, physical = ?, counts = ? WHERE host = ? AND type = ?`,
		a.Zone, a.StartedAt, a.Heartbeat, a.Physical, a.Counts, a.Host, a.Type)
	if err != nil || n > 0 {
		return false, err
	}
	return true, db.Raced(db.Insert(ctx, tx, "agents", a))
}

// NotePublished writes what Placement was told of an agent's host.
func (s *Store) NotePublished(ctx context.Context, tx *db.Tx, id string, providers []network.Provider, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE agents SET published = ?, published_at = ? WHERE id = ?`, db.AsJSON(providers), db.At(now), id)
	return err
}

// UpdateAgent writes what an administrator may change of an agent.
func (s *Store) UpdateAgent(ctx context.Context, tx *db.Tx, id string, adminUp bool, description string) error {
	_, err := tx.Exec(ctx, `UPDATE agents SET admin_up = ?, description = ? WHERE id = ?`, adminUp, description, id)
	return err
}

// DeleteAgent forgets an agent.
func (s *Store) DeleteAgent(ctx context.Context, tx *db.Tx, id string) error {
	n, err := tx.Exec(ctx, `DELETE FROM agents WHERE id = ?`, id)
	if err == nil && n == 0 {
		return fault.NotFoundf("Agent %.64s could not be found.", id).WithCode("AgentNotFound")
	}
	return err
}

func (s *Store) zonesOfHosts(ctx context.Context, q db.Querier) (map[string]string, error) {
	type row struct {
		Host string `db:"host"`
		Zone string `db:"zone"`
	}
	list, err := db.Select[row](ctx, q, `SELECT host, zone FROM agents WHERE type = ?`, network.AgentL3)
	zones := make(map[string]string, len(list))
	for _, r := range list {
		zones[r.Host] = r.Zone
	}
	return zones, err
}

// DHCPBinding says which host serves DHCP for a network, from which port.
type DHCPBinding struct {
	NetworkID string `db:"network_id"`
	Host      string `db:"host"`
	PortID    string `db:"port_id"`
}

// DHCPBindings lists the bindings that a condition on dhcp_bindings (as t) names.
func (s *Store) DHCPBindings(ctx context.Context, q db.Querier, cond string, args ...any) ([]DHCPBinding, error) {
	return db.Select[DHCPBinding](ctx, q, `SELECT t.* FROM dhcp_bindings AS t WHERE `+cond+` ORDER BY t.network_id`, args...)
}

// BindDHCP notes which host serves DHCP for a network.
func (s *Store) BindDHCP(ctx context.Context, tx *db.Tx, b DHCPBinding) error {
	if err := s.UnbindDHCP(ctx, tx, b.NetworkID); err != nil {
		return err
	}
	return db.Raced(db.Insert(ctx, tx, "dhcp_bindings", b))
}

// UnbindDHCP has no host serve DHCP for a network.
func (s *Store) UnbindDHCP(ctx context.Context, tx *db.Tx, networkID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM dhcp_bindings WHERE network_id = ?`, networkID)
	return err
}

// UnservedNetworks lists networks with a subnet that wants DHCP and no host that
// serves it.
func (s *Store) UnservedNetworks(ctx context.Context, q db.Querier) ([]string, error) {
	return db.Select[string](ctx, q, `SELECT DISTINCT s.network_id FROM subnets AS s WHERE s.enable_dhcp = ?
		AND NOT EXISTS (SELECT 1 FROM dhcp_bindings AS b WHERE b.network_id = s.network_id) ORDER BY s.network_id`, true)
}

// Load counts what each host carries: column is "host" of the table.
func (s *Store) Load(ctx context.Context, q db.Querier, table string) (map[string]int, error) {
	type row struct {
		Host string `db:"host"`
		N    int    `db:"n"`
	}
	list, err := db.Select[row](ctx, q, `SELECT host, COUNT(*) AS n FROM `+table+` GROUP BY host`)
	load := make(map[string]int, len(list))
	for _, r := range list {
		load[r.Host] = r.N
	}
	return load, err
}

// Revision returns the revision of a host's state; 0 before its first change.
func (s *Store) Revision(ctx context.Context, q db.Querier, host string) (int64, error) {
	n, err := db.Get[int64](ctx, q, `SELECT revision FROM revisions WHERE host = ?`, host)
	if errors.Is(err, db.ErrNoRow) {
		return 0, nil
	}
	return n, err
}

// Bump gives a host's state a new revision. It never repeats one, also when the
// database was set back, since it is at least the time in microseconds.
func (s *Store) Bump(ctx context.Context, tx *db.Tx, host string, now time.Time) (int64, error) {
	at := now.UnixMicro()
	n, err := tx.Exec(ctx, `UPDATE revisions SET revision = CASE WHEN revision >= ? THEN revision + 1 ELSE ? END WHERE host = ?`, at, at, host)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		_, err := tx.Exec(ctx, `INSERT INTO revisions (host, revision) VALUES (?, ?)`, host, at)
		return at, db.Raced(err)
	}
	return s.Revision(ctx, tx, host)
}
