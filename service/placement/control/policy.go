package control

import "maps"

// The names of the rules, upstream's.
const (
	RuleProvidersList       = "placement:resource_providers:list"
	RuleProvidersCreate     = "placement:resource_providers:create"
	RuleProvidersShow       = "placement:resource_providers:show"
	RuleProvidersUpdate     = "placement:resource_providers:update"
	RuleProvidersDelete     = "placement:resource_providers:delete"
	RuleInventoriesList     = "placement:resource_providers:inventories:list"
	RuleInventoriesCreate   = "placement:resource_providers:inventories:create"
	RuleInventoriesShow     = "placement:resource_providers:inventories:show"
	RuleInventoriesUpdate   = "placement:resource_providers:inventories:update"
	RuleInventoriesDelete   = "placement:resource_providers:inventories:delete"
	RuleAggregatesList      = "placement:resource_providers:aggregates:list"
	RuleAggregatesUpdate    = "placement:resource_providers:aggregates:update"
	RuleProviderTraitsList  = "placement:resource_providers:traits:list"
	RuleProviderTraitsSet   = "placement:resource_providers:traits:update"
	RuleProviderTraitsClear = "placement:resource_providers:traits:delete"
	RuleProviderAllocations = "placement:resource_providers:allocations:list"
	RuleProviderUsages      = "placement:resource_providers:usages"
	RuleUsages              = "placement:usages"
	RuleTraitsList          = "placement:traits:list"
	RuleTraitsShow          = "placement:traits:show"
	RuleTraitsUpdate        = "placement:traits:update"
	RuleTraitsDelete        = "placement:traits:delete"
	RuleClassesList         = "placement:resource_classes:list"
	RuleClassesCreate       = "placement:resource_classes:create"
	RuleClassesShow         = "placement:resource_classes:show"
	RuleClassesUpdate       = "placement:resource_classes:update"
	RuleClassesDelete       = "placement:resource_classes:delete"
	RuleAllocationsList     = "placement:allocations:list"
	RuleAllocationsManage   = "placement:allocations:manage"
	RuleAllocationsUpdate   = "placement:allocations:update"
	RuleAllocationsDelete   = "placement:allocations:delete"
	RuleCandidatesList      = "placement:allocation_candidates:list"
	RuleReshape             = "placement:reshaper:reshape"
)

// adminOrService are the rules that have that default.
var adminOrService = []string{
	RuleProvidersList, RuleProvidersCreate, RuleProvidersShow, RuleProvidersUpdate, RuleProvidersDelete,
	RuleInventoriesList, RuleInventoriesCreate, RuleInventoriesShow, RuleInventoriesUpdate, RuleInventoriesDelete,
	RuleAggregatesList, RuleAggregatesUpdate, RuleProviderTraitsList, RuleProviderTraitsSet, RuleProviderTraitsClear,
	RuleProviderAllocations, RuleProviderUsages,
	RuleTraitsList, RuleTraitsShow, RuleTraitsUpdate, RuleTraitsDelete,
	RuleClassesList, RuleClassesCreate, RuleClassesShow, RuleClassesUpdate, RuleClassesDelete,
	RuleAllocationsList, RuleAllocationsManage, RuleAllocationsUpdate, RuleAllocationsDelete, RuleCandidatesList,
}

// rules returns the policy table: upstream's defaults, and the operator's own
// rules instead of some.
func rules(o Options, own map[string]string) map[string]string {
	table := map[string]string{
		"admin_api":                              "role:admin",
		"service_api":                            "role:service",
		"admin_or_service_api":                   "role:admin or role:service",
		"project_reader_api":                     "role:reader and project_id:%(project_id)s",
		"admin_or_project_reader_or_service_api": "role:admin or rule:project_reader_api or role:service",

		RuleUsages:  "rule:admin_or_project_reader_or_service_api",
		RuleReshape: "rule:service_api",
	}
	if !o.EnforceNewDefaults {
		table["service_api"] = "role:service or role:admin"
	}
	for _, name := range adminOrService {
		table[name] = "rule:admin_or_service_api"
	}
	maps.Copy(table, own)
	return table
}

// Rules returns the names of all rules that operations ask for.
func Rules() []string { return append([]string{RuleUsages, RuleReshape}, adminOrService...) }
