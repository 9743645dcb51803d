package schedule

import (
	"strconv"
	"strings"

	"kilonova/internal/fault"
)

// Request is what a server needs of its host and what its user and the operator
// said about the place.
type Request struct {
	// ServerID is the server to be placed. A host that has it already (a resize
	// in place, say) is not refused by its own anti-affinity.
	ServerID  string
	ProjectID string
	Flavor    Flavor
	Image     Image
	Zone      string // availability zone; "" any

	// Destination, if it is set, is the only place that is considered: a host, a
	// node, or a node of a host. Filters still have their say (microversion 2.74,
	// moves to a given host).
	Destination Place
	// Rebuild asks whether the server may stay where it is with another image:
	// only the filters that look at images are asked, for what the server takes
	// it has already. Set Destination or ForceHosts to where it is.
	Rebuild bool
	// ForceHosts and ForceNodes are an administrator's choice of old (zone:host:
	// node): filters are not asked, but for Rebuild.
	ForceHosts []string
	ForceNodes []string
	// IgnoreHosts are not considered, as the host that is being evacuated.
	IgnoreHosts []string
	// Tried are places where building this server has failed.
	Tried []Place

	Hints Hints
	Group *Group
	// Located says on which host each server is that Hints or Group name. One
	// that is not in it is nowhere.
	Located map[string]string

	PCI []PCIRequest
	// PCIApart has no two devices behind one PCIPool.Root (group_policy=isolate).
	PCIApart bool
	// PackCells prefers the host's fullest NUMA nodes for those of the guest, and not
	// the emptiest.
	PackCells bool

	// Choices bounds how many hosts a result lists, best first; 0: all.
	Choices int
}

// Place is a host and one of its nodes; an empty name is any.
type Place struct{ Host, Node string }

// Flavor is what the server takes.
type Flavor struct {
	Name        string
	VCPUs       int
	MemoryMB    int
	RootGB      int
	EphemeralGB int
	SwapMB      int
	ExtraSpecs  map[string]string
}

// Image is the image it boots from; the zero value when there is none.
type Image struct {
	ID         string
	Properties map[string]string
}

// Hints are what the user asked of the scheduler (os:scheduler_hints).
type Hints struct {
	SameHost      []string // servers
	DifferentHost []string // servers
	// BuildNearHostIP and CIDR ("/24") bound the host's address.
	BuildNearHostIP string
	CIDR            string
	// Query is JsonFilter's expression, as JSON text.
	Query string
}

// Group is the server group that the server is in.
type Group struct {
	ID string
	// Policy is one of the constants below.
	Policy string
	// MaxServerPerHost is the rule of that name for anti-affinity; 0 stands for 1.
	MaxServerPerHost int
	// Members are the group's servers; Request.Located knows their hosts.
	Members []string
}

// The policies of server groups.
const (
	Affinity         = "affinity"
	AntiAffinity     = "anti-affinity"
	SoftAffinity     = "soft-affinity"
	SoftAntiAffinity = "soft-anti-affinity"
)

// PCIRequest asks for devices that have all tags of one of the alternatives.
type PCIRequest struct {
	Alias        string // for the explanation
	Count        int
	Alternatives []map[string]string
	// Policy is how near they are to the guest's NUMA nodes, if it has any: one of
	// the constants below.
	Policy string
	// Class is what Placement was asked for, with these traits; "": it was not.
	Class  string
	Traits []string
}

// AliasSpec is the extra spec that asks for PCI devices: "gpu:2,nic:1".
const AliasSpec = "pci_passthrough:alias"

// maxDevices bounds what one flavor asks for.
const maxDevices = 256

// AskedDevices reads which devices a flavor asks for, by alias: what these are only
// the operator's configuration says. What is no such list is fault.Invalid.
func AskedDevices(f Flavor) ([]PCIRequest, error) {
	text := f.ExtraSpecs[AliasSpec]
	if text == "" {
		return nil, nil
	}
	var all []PCIRequest
	total := 0
	for part := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(part, ":")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if total += n; err != nil || n < 1 || n > maxDevices || total > maxDevices {
			return nil, fault.Invalidf("%s %.64q is no list of name:count with 1 to %d devices.", AliasSpec, text, maxDevices)
		}
		all = append(all, PCIRequest{Alias: strings.TrimSpace(name), Count: n})
	}
	return all, nil
}

// The policies of PCIRequest.
const (
	NearRequired  = "required"  // on one of the guest's nodes
	NearSocket    = "socket"    // on a node of a socket with one of them
	NearLegacy    = "legacy"    // on one of them, or nobody knows where
	NearPreferred = "preferred" // as near as can be
)
