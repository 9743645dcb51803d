package network

// Kinds of QoS rules. What they promise is counted in Placement, so that no host
// is given more servers than its wires carry; hosts do not shape traffic by them.
const (
	MinimumBandwidth  = "minimum_bandwidth"
	MinimumPacketRate = "minimum_packet_rate"
)

// Directions of QoS rules, as the guest sees them.
const (
	Ingress      = "ingress"
	Egress       = "egress"
	AnyDirection = "any"
)

// QoSPolicy is a set of rules that networks and ports may have.
type QoSPolicy struct {
	Standard
	Name    string    `json:"name"`
	Shared  bool      `json:"shared"`     // with all projects
	Default bool      `json:"is_default"` // of its project's new networks
	Rules   []QoSRule `json:"rules"`
}

// QoSPolicyInput is a request to make or change a QoS policy.
type QoSPolicyInput struct {
	OwnerInput
	Name        Opt[string] `json:"name" on:"post,put" need:"yes" max:"255"`
	Description Opt[string] `json:"description" on:"post,put" max:"255"`
	Shared      Opt[bool]   `json:"shared" on:"post,put" default:"false"`
	Default     Opt[bool]   `json:"is_default" on:"post,put" default:"false"`
}

// QoSRule is one promise of a policy, as the policy shows it: Kbps of bandwidth or
// thousands of packets a second.
type QoSRule struct {
	ID        string `json:"id"`
	PolicyID  string `json:"qos_policy_id"`
	Kind      string `json:"type"`
	Direction string `json:"direction"`
	Kbps      *int   `json:"min_kbps,omitempty"`
	Kpps      *int   `json:"min_kpps,omitempty"`
}

// Amount is what the rule promises.
func (r *QoSRule) Amount() int {
	switch {
	case r.Kbps != nil:
		return *r.Kbps
	case r.Kpps != nil:
		return *r.Kpps
	}
	return 0
}

// QoSRuleInput is a request to make or change a rule: Kbps or Kpps by its kind.
type QoSRuleInput struct {
	OwnerInput
	Direction Opt[string] `json:"direction" on:"post,put"`
	Kbps      Opt[int]    `json:"min_kbps" on:"post,put"`
	Kpps      Opt[int]    `json:"min_kpps" on:"post,put"`
}

// QoSRuleType is a kind of rules and who makes it true.
type QoSRuleType struct {
	Type    string          `json:"type"`
	Drivers []QoSRuleDriver `json:"drivers"`
}

// QoSRuleDriver is what one dataplane takes of a kind of rules.
type QoSRuleDriver struct {
	Name       string             `json:"name"`
	Parameters []QoSRuleParameter `json:"supported_parameters"`
}

// QoSRuleParameter is a member of a rule with the values that it may have.
type QoSRuleParameter struct {
	Name   string `json:"parameter_name"`
	Type   string `json:"parameter_type"` // "range" or "choices"
	Values any    `json:"parameter_values"`
}

// ResourceRequest is what a port takes of its host in Placement.
type ResourceRequest struct {
	Groups      []RequestGroup `json:"request_groups"`
	SameSubtree []string       `json:"same_subtree"`
}

// RequestGroup is what one provider is asked for.
type RequestGroup struct {
	ID        string         `json:"id"`
	Required  []string       `json:"required"`
	Resources map[string]int `json:"resources"`
}
