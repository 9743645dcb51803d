package network

// Topology is what is laid out for a project that asks for a network and says no
// more: a network with subnets of the default pools, and a router that leads to
// the default external network. See the extension auto-allocated-topology.
type Topology struct {
	ID string `json:"id"` // of the network, or "dry-run=pass"
	Owner
}

// TopologyPossible is the id of a topology that was asked about only.
const TopologyPossible = "dry-run=pass"

// Names of what topologies are made of.
const (
	TopologyNetwork = "auto_allocated_network"
	TopologyRouter  = "auto_allocated_router"
	TopologySubnet  = "auto_allocated_subnet_v" // and the IP version
)
