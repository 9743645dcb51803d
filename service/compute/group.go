package compute

import "time"

// ServerGroup is a set of servers with a policy about the hosts that they share
// or do not share.
type ServerGroup struct {
	Seq       int64
	ID        string // UUID
	Name      string
	ProjectID string
	UserID    string
	Policy    string // one of GroupPolicies
	// MaxPerHost is the rule max_server_per_host of anti-affinity; 0: not given,
	// which means 1.
	MaxPerHost int
	Members    []string // its existing servers, in the order of their coming
	CreatedAt  time.Time
}

// The policies of server groups.
const (
	Affinity         = "affinity"
	AntiAffinity     = "anti-affinity"
	SoftAffinity     = "soft-affinity"
	SoftAntiAffinity = "soft-anti-affinity"
)

// Strict reports whether the policy is one that is never broken.
func (g *ServerGroup) Strict() bool { return g.Policy == Affinity || g.Policy == AntiAffinity }
