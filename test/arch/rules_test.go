package arch

import (
	"path"
	"slices"
	"strings"
)

// A rule says what a package may not import.
type rule struct {
	name   string
	reason string
	// breaks reports whether from may not import to. Both are paths below the
	// module ("service/compute/api"); others stand as they are ("net/http").
	breaks func(from, to string) bool
	// deep: through other packages neither.
	deep bool
	// tests: nor in tests.
	tests bool
	// example is an import that breaks the rule.
	example [2]string
}

const noRowsInAPI = "api imports neither store nor internal/db"

var rules = []rule{
	{
		name:   "a service never imports another",
		reason: "neighbours speak REST (internal/peer), so that each can run elsewhere or be upstream's; a shared type would be a second contract",
		deep:   true, tests: true,
		breaks: func(from, to string) bool {
			a, b := serviceOf(from), serviceOf(to)
			return a != "" && b != "" && a != b
		},
		example: [2]string{"service/compute/remote", "service/network"},
	},
	{
		name:   "what runs on a host imports neither control nor store nor a database",
		reason: "agents and drivers ask control over the bus and have no database: all they need comes with each call, and control can be replaced without them",
		deep:   true,
		breaks: func(from, to string) bool {
			return (isRoom(from, "agent") || inDrivers(from)) &&
				(isRoom(to, "control") || isRoom(to, "store") || to == "internal/db" || to == "internal/task" || to == "database/sql")
		},
		example: [2]string{"service/compute/agent", "service/compute/store"},
	},
	{
		name:   "a driver never imports another",
		reason: "each can be left out or replaced; what two of them need is the contract above them",
		deep:   true, tests: true,
		breaks: func(from, to string) bool {
			a, b := driverOf(from), driverOf(to)
			return a != "" && b != "" && a != b
		},
		example: [2]string{"service/network/dataplane/linuxbridge", "service/network/dataplane/fake"},
	},
	{
		name:   "a driver knows its contract and its vocabulary, not the service above it",
		reason: "a driver is given everything by its caller; what it asks itself is a dependency that its law (hypervisortest and the like) does not show",
		breaks: func(from, to string) bool {
			if driverOf(from) == "" || serviceOf(to) == "" {
				return false
			}
			contract := path.Dir(driverOf(from))
			return to != "service/"+serviceOf(from) && to != contract && !strings.HasPrefix(to, driverOf(from))
		},
		example: [2]string{"service/compute/hypervisor/libvirt", "service/compute/metadata"},
	},
	{
		name:   "a vocabulary imports the standard library, internal/fault and internal/bus only",
		reason: "every room of a service imports it: what it imports, everybody does, and it shall do no I/O",
		breaks: func(from, to string) bool {
			return isVocabulary(from) && !isStandard(to) && to != "internal/fault" && to != "internal/bus"
		},
		example: [2]string{"service/image", "internal/db"},
	},
	{
		name:   "only the agent and the drivers import the drivers' contract",
		reason: "control and api speak of servers, networks and images, and not of how a host makes them real",
		breaks: func(from, to string) bool {
			host := isRoom(to, "hypervisor") || isRoom(to, "dataplane") // what carries image data has no agent above it
			return host && serviceOf(from) != "" && !isRoom(from, "agent") && !inDrivers(from)
		},
		example: [2]string{"service/network/control", "service/network/dataplane"},
	},
	{
		name:   noRowsInAPI,
		reason: "who writes or reads rows beside control has passed by policy, transactions and tasks",
		breaks: func(from, to string) bool {
			return isRoom(from, "api") && (isRoom(to, "store") || to == "internal/db" || to == "database/sql")
		},
		example: [2]string{"service/identity/api", "service/identity/store"},
	},
	{
		name:   "nothing in a service imports its api",
		reason: "HTTP is one way in; use cases must not know it",
		breaks: func(from, to string) bool {
			return serviceOf(from) != "" && isRoom(to, "api") && !isRoom(from, "api")
		},
		example: [2]string{"service/compute/control", "service/compute/api"},
	},
	{
		name:   "store imports no room but the vocabulary",
		reason: "rows are kept, not decided upon",
		breaks: func(from, to string) bool {
			return isRoom(from, "store") && serviceOf(to) != "" && !isVocabulary(to)
		},
		example: [2]string{"service/network/store", "service/network/control"},
	},
	{
		name:   "schedule imports the standard library, internal/fault, CEL and the equally pure hardware only",
		reason: "it is pure: candidates in, hosts and explanations out, so that it can be tested and measured at ten thousand hosts without any of them",
		breaks: func(from, to string) bool {
			return isRoom(from, "schedule") && !isStandard(to) && to != "internal/fault" && to != "service/compute/hardware" && !strings.HasPrefix(to, "cel.dev/cel-go/")
		},
		example: [2]string{"service/compute/schedule", "service/compute/store"},
	},
	{
		name:   "internal knows no service",
		reason: "it is what all of them stand on",
		deep:   true, tests: true,
		breaks: func(from, to string) bool {
			return strings.HasPrefix(from, "internal/") && strings.HasPrefix(to, "service/")
		},
		example: [2]string{"internal/rest", "service/compute"},
	},
	{
		name:   "only cmd and test import stack",
		reason: "stack puts the program together; what it puts together does not know it",
		tests:  true,
		breaks: func(from, to string) bool {
			return to == "stack" && !strings.HasPrefix(from, "cmd/") && !strings.HasPrefix(from, "test/")
		},
		example: [2]string{"service/compute/control", "stack"},
	},
	{
		name:   "cmd imports no service",
		reason: "it parses flags and calls stack; what else it knew, a test that starts stack would miss",
		breaks: func(from, to string) bool {
			return strings.HasPrefix(from, "cmd/") && serviceOf(to) != ""
		},
		example: [2]string{"cmd/kilonova", "service/compute/control"},
	},
}

// contracts are the packages above drivers, by their last element.
var contracts = []string{"hypervisor", "dataplane", "blob", "backend", "device"}

// elements cuts a path below the module.
func elements(p string) []string { return strings.Split(p, "/") }

// serviceOf returns "compute" for a package of that service, "" elsewhere.
func serviceOf(p string) string {
	if e := elements(p); len(e) >= 2 && e[0] == "service" {
		return e[1]
	}
	return ""
}

func isVocabulary(p string) bool { return serviceOf(p) != "" && len(elements(p)) == 2 }

// isRoom reports whether p is the room of that name of some service, or below it.
func isRoom(p, name string) bool {
	e := elements(p)
	return serviceOf(p) != "" && len(e) >= 3 && e[2] == name
}

// inDrivers reports whether p is a drivers' contract or below it.
func inDrivers(p string) bool {
	e := elements(p)
	return serviceOf(p) != "" && len(e) >= 3 && slices.Contains(contracts, e[2])
}

// driverOf returns the driver that p is or belongs to, "" for anything else: the
// contract itself, and the law that stands beside the drivers.
func driverOf(p string) string {
	e := elements(p)
	if !inDrivers(p) || len(e) < 4 || e[3] == e[2]+"test" {
		return ""
	}
	return strings.Join(e[:4], "/")
}

// isStandard reports whether p is of the standard library.
func isStandard(p string) bool {
	first := elements(p)[0]
	return !strings.Contains(first, ".") && !slices.Contains([]string{"cmd", "stack", "service", "internal", "test"}, first)
}
