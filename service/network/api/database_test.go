package api

import (
	"os"
	"strings"
	"testing"

	"kilonova/internal/db"
)

// database is where newCloud keeps its tables; "" is a SQLite file of its own.
var database string

// TestOnOtherDatabases runs the tests of this package again, on each database
// that KILONOVA_TEST_DATABASES lists by its URL.
func TestOnOtherDatabases(t *testing.T) {
	urls := strings.Fields(os.Getenv("KILONOVA_TEST_DATABASES"))
	if len(urls) == 0 {
		t.Skip("KILONOVA_TEST_DATABASES lists no databases besides SQLite.")
	}
	tests := map[string]func(*testing.T){
		"NetworkLife": TestNetworkLife, "BadInput": TestBadInputLeavesNothing, "PortAddresses": TestPortAddresses, "AutomaticIPv6": TestAutomaticIPv6,
		"ExactAddresses": TestAddressesAreExactUnderConcurrency, "StrictQuota": TestQuotaIsStrictUnderConcurrency, "Binding": TestBindingIsForAdministrators,
		"PortAttributes": TestPortAttributes, "ProviderNetworks": TestProviderNetworks, "Routers": TestRouters, "FloatingIPs": TestFloatingIPs,
		"DefaultGroup": TestDefaultGroup, "Rules": TestRules, "Quotas": TestQuotas, "Sharing": TestSharing, "Lists": TestListsAreFilteredAndSorted,
		"Pages": TestPages, "Tags": TestTags, "Availability": TestAvailability, "Agents": TestAgents, "AgentNetwork": TestAgentIsGivenANetwork, "SubnetPools": TestSubnetPools,
	}
	for _, url := range urls {
		scheme, _, _ := strings.Cut(url, "://")
		for name, test := range tests {
			t.Run(scheme+"/"+name, func(t *testing.T) {
				database = url
				defer func() { database = "" }()
				test(t)
			})
		}
	}
}

// empty removes all rows, children first.
func empty(t testing.TB, d *db.DB) {
	t.Helper()
	for _, table := range []string{"tags", "tasks", "quotas", "quota_locks", "revisions", "dhcp_bindings", "agents", "floating_ips", "routers", "bound_groups",
		"port_groups", "security_group_rules", "security_groups", "fixed_ips", "ports", "cursors", "pool_subnets", "subnets", "subnet_pools", "rbac_policies", "networks"} {
		if _, err := d.Exec(t.Context(), `DELETE FROM `+table); err != nil {
			t.Fatal(err)
		}
	}
}
