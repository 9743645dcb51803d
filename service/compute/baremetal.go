package compute

import "context"

// BareNode is a machine that the bare metal service has, as clients from before
// 2.36 see it through compute. What is measured comes as the service's users have
// noted it: "0" where nobody has.
type BareNode struct {
	ID                     string
	ServerID               string // who has it; "" nobody
	State                  string // of its provisioning: "active", "available", …
	CPUs, MemoryMB, DiskGB string
	MACs                   []string // of its ports, where one node was asked for
}

// BareMetal is what compute asks of the bare metal service, as its own user.
type BareMetal interface {
	Nodes(ctx context.Context) ([]BareNode, error)
	// Node returns one by id or name; fault.NotFound if there is none.
	Node(ctx context.Context, id string) (BareNode, error)
}
