package store

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
)

type qosRow struct {
	standard
	Name      string  `db:"name"`
	Shared    bool    `db:"shared"`
	DefaultOf *string `db:"default_of"`
}

type qosRuleRow struct {
	ID        string `db:"id"`
	PolicyID  string `db:"policy_id"`
	Kind      string `db:"kind"`
	Direction string `db:"direction"`
	Amount    int    `db:"amount"`
}

var qosList = &listing{
	resource: "QoS policy", missing: "QosPolicyNotFound", table: "qos_policies", columns: "t.*", visible: "t.project_id = ? OR t.shared",
	attrs: standardAttrs(map[string]attr{"name": {expr: "t.name"}, "shared": {kind: boolean, expr: "t.shared"},
		"is_default": {kind: boolean, expr: "(t.default_of IS NOT NULL)"}}),
}

// QoSPolicies lists QoS policies with their rules.
func (s *Store) QoSPolicies(ctx context.Context, q db.Querier, scope Scope, query network.Query) ([]network.QoSPolicy, error) {
	list, err := rows[qosRow](ctx, q, qosList, scope, query)
	if err != nil {
		return nil, err
	}
	return qosPolicies(ctx, q, list)
}

// QoSPolicy reads a QoS policy with its rules.
func (s *Store) QoSPolicy(ctx context.Context, q db.Querier, scope Scope, id string) (network.QoSPolicy, error) {
	list, err := one[qosRow](ctx, q, qosList, scope, id)
	if err != nil {
		return network.QoSPolicy{}, err
	}
	out, err := qosPolicies(ctx, q, list)
	if err != nil {
		return network.QoSPolicy{}, err
	}
	return out[0], nil
}

func qosPolicies(ctx context.Context, q db.Querier, list []qosRow) ([]network.QoSPolicy, error) {
	all := ids(list, func(r *qosRow) string { return r.ID })
	tags, err := tagsOf(ctx, q, all)
	if err != nil {
		return nil, err
	}
	rules, err := qosRules(ctx, q, all)
	if err != nil {
		return nil, err
	}
	out := make([]network.QoSPolicy, len(list))
	for i, r := range list {
		out[i] = network.QoSPolicy{Standard: r.standard.standard(tags), Name: r.Name, Shared: r.Shared, Default: r.DefaultOf != nil, Rules: orEmpty(rules[r.ID])}
	}
	return out, nil
}

// qosRules returns the rules of policies, by policy.
func qosRules(ctx context.Context, q db.Querier, policyIDs []string) (map[string][]network.QoSRule, error) {
	rules := map[string][]network.QoSRule{}
	err := inBatches(policyIDs, func(list string, args []any) error {
		for r, err := range db.Each[qosRuleRow](ctx, q, `SELECT * FROM qos_rules WHERE policy_id IN `+list+` ORDER BY kind, direction`, args...) {
			if err != nil {
				return err
			}
			rules[r.PolicyID] = append(rules[r.PolicyID], r.rule())
		}
		return nil
	})
	return rules, err
}

func (r qosRuleRow) rule() network.QoSRule {
	rule := network.QoSRule{ID: r.ID, PolicyID: r.PolicyID, Kind: r.Kind, Direction: r.Direction}
	if r.Kind == network.MinimumBandwidth {
		rule.Kbps = &r.Amount
	} else {
		rule.Kpps = &r.Amount
	}
	return rule
}

// PolicyOfRule returns the policy that a rule of a kind is in; fault.NotFound.
func (s *Store) PolicyOfRule(ctx context.Context, q db.Querier, kind, id string) (string, error) {
	policy, err := db.Get[string](ctx, q, `SELECT policy_id FROM qos_rules WHERE id = ? AND kind = ?`, id, kind)
	if errors.Is(err, db.ErrNoRow) {
		err = fault.NotFoundf("QoS rule %.64s could not be found.", id).WithCode("QosRuleNotFound")
	}
	return policy, err
}

// DefaultQoSPolicy returns the policy that a project's new networks have; "": none.
func (s *Store) DefaultQoSPolicy(ctx context.Context, q db.Querier, projectID string) (string, error) {
	id, err := db.Get[string](ctx, q, `SELECT id FROM qos_policies WHERE default_of = ?`, projectID)
	if errors.Is(err, db.ErrNoRow) {
		return "", nil
	}
	return id, err
}

// InsertQoSPolicy writes a new policy without rules.
func (s *Store) InsertQoSPolicy(ctx context.Context, tx *db.Tx, p network.QoSPolicy) error {
	row := qosRow{standard: standardRow(p.Standard), Name: p.Name, Shared: p.Shared}
	if p.Default {
		row.DefaultOf = &p.ProjectID
	}
	return db.Insert(ctx, tx, "qos_policies", row)
}

// UpdateQoSPolicy writes what can change of a policy itself.
func (s *Store) UpdateQoSPolicy(ctx context.Context, tx *db.Tx, p network.QoSPolicy, now time.Time) error {
	var defaultOf *string
	if p.Default {
		defaultOf = &p.ProjectID
	}
	return stale(tx.Exec(ctx, `UPDATE qos_policies SET name = ?, description = ?, shared = ?, default_of = ?, revision = revision + 1, updated_at = ?
		WHERE id = ? AND revision = ?`, p.Name, p.Description, p.Shared, defaultOf, db.At(now), p.ID, p.Revision))
}

// DeleteQoSPolicy removes a policy with its rules.
func (s *Store) DeleteQoSPolicy(ctx context.Context, tx *db.Tx, id string) error {
	for _, q := range []string{`DELETE FROM qos_rules WHERE policy_id = ?`, `DELETE FROM tags WHERE resource_id = ?`, `DELETE FROM qos_policies WHERE id = ?`} {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// PutQoSRule writes a rule, new or changed. A second one of its kind and direction
// is a unique-key error.
func (s *Store) PutQoSRule(ctx context.Context, tx *db.Tx, r network.QoSRule) error {
	n, err := tx.Exec(ctx, `UPDATE qos_rules SET direction = ?, amount = ? WHERE id = ?`, r.Direction, r.Amount(), r.ID)
	if err != nil || n > 0 {
		return err
	}
	return db.Insert(ctx, tx, "qos_rules", qosRuleRow{r.ID, r.PolicyID, r.Kind, r.Direction, r.Amount()})
}

// DeleteQoSRule removes a rule.
func (s *Store) DeleteQoSRule(ctx context.Context, tx *db.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM qos_rules WHERE id = ?`, id)
	return err
}

// QoSPolicyUser names a network or else a port that has the policy; "" for none.
func (s *Store) QoSPolicyUser(ctx context.Context, q db.Querier, id string) (kind, user string, err error) {
	for _, x := range []struct{ kind, table string }{{"network", "networks"}, {"port", "ports"}} {
		user, err = db.Get[string](ctx, q, `SELECT MIN(id) FROM `+x.table+` WHERE qos_policy = ? HAVING COUNT(*) > 0`, id)
		if !errors.Is(err, db.ErrNoRow) {
			return x.kind, user, err
		}
	}
	return "", "", nil
}

// PortsWithQoS lists the ports for which a policy holds, their own or their
// network's.
func (s *Store) PortsWithQoS(ctx context.Context, q db.Querier, policyID string) ([]network.Port, error) {
	return s.PortsWhere(ctx, q, `t.qos_policy = ? OR t.qos_policy = '' AND t.network_id IN (SELECT n.id FROM networks AS n WHERE n.qos_policy = ?)`, policyID, policyID)
}
