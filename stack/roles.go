package stack

import (
	"fmt"
	"slices"
	"strings"
)

// Role is a part of the cloud that can run in a process of its own.
type Role string

// The roles.
const (
	Identity     Role = "identity"
	Placement    Role = "placement"
	Image        Role = "image"
	Network      Role = "network"   // API and control; one process at least
	Compute      Role = "compute"   // API
	Conductor    Role = "conductor" // compute's durable work and its scheduler
	Metadata     Role = "metadata"  // what guests read
	Console      Role = "console"   // what shows guests' consoles to people
	ObjectStore  Role = "object-store"
	NetworkAgent Role = "network-agent"
	ComputeAgent Role = "compute-agent"
)

type starter struct {
	role  Role
	start func(*Stack) error
}

// starters lists the roles in the order in which they start.
var starters = []starter{
	{Identity, (*Stack).startIdentity},
	{Placement, (*Stack).startPlacement},
	{ObjectStore, (*Stack).startObjectStore},
	{Image, (*Stack).startImage},
	{Network, (*Stack).startNetwork},
	{Compute, (*Stack).startCompute},
	{Conductor, (*Stack).startConductor},
	{Metadata, (*Stack).startMetadata},
	{Console, (*Stack).startConsole},
	{NetworkAgent, (*Stack).startNetworkAgents},
	{ComputeAgent, (*Stack).startComputeAgents},
}

// parseRoles reads "all" or a list with commas. "scheduler" is a name that
// operators look for: deciding is part of the conductor.
func parseRoles(text string) ([]Role, error) {
	var list []Role
	for name := range strings.SplitSeq(text, ",") {
		switch name = strings.TrimSpace(name); name {
		case "":
			continue
		case "all":
			for _, r := range starters {
				list = append(list, r.role)
			}
			continue
		case "scheduler":
			name = string(Conductor)
		}
		if !slices.ContainsFunc(starters, func(s starter) bool { return s.role == Role(name) }) {
			return nil, fmt.Errorf("roles: there is no role %q", name)
		}
		list = append(list, Role(name))
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("roles: none is named; \"all\" is all of them")
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
