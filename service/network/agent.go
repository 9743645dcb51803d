package network

// Kinds of agents. One process on a host shows as several, so that tools that
// look for upstream's find them.
const (
	AgentL2   = "Linux bridge agent"
	AgentDHCP = "DHCP agent"
	AgentL3   = "L3 agent"
)

// Agent is one role of what runs on a host.
type Agent struct {
	ID             string         `json:"id"`
	Type           string         `json:"agent_type"`
	Binary         string         `json:"binary"`
	Topic          string         `json:"topic"`
	Host           string         `json:"host"`
	Zone           *string        `json:"availability_zone"`
	AdminUp        bool           `json:"admin_state_up"`
	Alive          bool           `json:"alive"`
	Synced         *bool          `json:"resources_synced"`
	CreatedAt      SpacedTime     `json:"created_at"`
	StartedAt      SpacedTime     `json:"started_at"`
	Heartbeat      SpacedTime     `json:"heartbeat_timestamp"`
	Description    *string        `json:"description"`
	Configurations map[string]any `json:"configurations"`
}

// SpacedTime is an instant as agents show it: 2026-11-20 18:45:00.
type SpacedTime struct{ Time }

// MarshalJSON implements json.Marshaler.
func (t SpacedTime) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02 15:04:05"`)), nil
}

// AgentInput is a request to change an agent.
type AgentInput struct {
	AdminUp     Opt[bool]   `json:"admin_state_up" on:"put"`
	Description Opt[string] `json:"description" on:"put" max:"255" null:"ok"`
}

// Zone is an availability zone of networks or routers.
type Zone struct {
	Name     string `json:"name"`
	Resource string `json:"resource"`
	State    string `json:"state"`
}

// Limits of a project, by the names of resources; -1 is no limit.
type Limits map[string]int

// Quotas are the limits of one project that has some of its own.
type Quotas struct {
	Owner
	Limits Limits
}

// Usage is one line of a project's quota details.
type Usage struct {
	Limit    int `json:"limit"`
	Used     int `json:"used"`
	Reserved int `json:"reserved"`
}

// Actions of RBAC policies.
const (
	AccessShared   = "access_as_shared"
	AccessExternal = "access_as_external"
)

// RBACPolicy lets another project use something.
type RBACPolicy struct {
	ID string `json:"id"`
	Owner
	ObjectType string `json:"object_type"`
	ObjectID   string `json:"object_id"`
	Action     string `json:"action"`
	Target     string `json:"target_tenant"` // a project's id, or "*"
}

// RBACPolicyInput is a request to make or change an RBAC policy.
type RBACPolicyInput struct {
	OwnerInput
	ObjectType Opt[string] `json:"object_type" on:"post" need:"yes"`
	ObjectID   Opt[string] `json:"object_id" on:"post" need:"yes"`
	Action     Opt[string] `json:"action" on:"post" need:"yes"`
	Target     Opt[string] `json:"target_tenant" on:"post,put" need:"yes" max:"255"`
}
