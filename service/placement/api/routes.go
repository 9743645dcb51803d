package api

import (
	"kilonova/internal/rest"
	"kilonova/service/placement/control"
)

// Rules that are not in the policy table.
const (
	public  = "public"  // nobody needs to be known
	ownRule = "handler" // the handler asks, because the rule has a target
)

// route is one operation.
type route struct {
	method, path, versions string
	rule                   string
	body                   bool // it takes JSON
	answers                bool // it answers with JSON
	handle                 rest.Handler
	doc                    string
}

const (
	provider = "/resource_providers/{uuid}"
	takes    = true
	gives    = true
)

// routes is the table of all operations.
func (a *api) routes() []route {
	return []route{
		{"GET", "/", "", public, false, false, a.root, "show versions"},

		{"GET", "/resource_providers", "", control.RuleProvidersList, false, gives, a.listProviders, "list providers"},
		{"POST", "/resource_providers", "", control.RuleProvidersCreate, takes, false, a.createProvider, "create a provider"},
		{"GET", provider, "", control.RuleProvidersShow, false, gives, a.showProvider, "show a provider"},
		{"PUT", provider, "", control.RuleProvidersUpdate, takes, false, a.updateProvider, "rename or move a provider"},
		{"DELETE", provider, "", control.RuleProvidersDelete, false, false, a.deleteProvider, "delete a provider"},

		{"GET", provider + "/inventories", "", control.RuleInventoriesList, false, gives, a.listInventories, "list inventories"},
		{"POST", provider + "/inventories", "", control.RuleInventoriesCreate, takes, false, a.createInventory, "add an inventory"},
		{"PUT", provider + "/inventories", "", control.RuleInventoriesUpdate, takes, false, a.setInventories, "replace all inventories"},
		{"DELETE", provider + "/inventories", "", control.RuleInventoriesDelete, false, false, a.clearInventories, "delete all inventories (1.5)"},
		{"GET", provider + "/inventories/{class}", "", control.RuleInventoriesShow, false, gives, a.showInventory, "show an inventory"},
		{"PUT", provider + "/inventories/{class}", "", control.RuleInventoriesUpdate, takes, false, a.updateInventory, "replace an inventory"},
		{"DELETE", provider + "/inventories/{class}", "", control.RuleInventoriesDelete, false, false, a.deleteInventory, "delete an inventory"},

		{"GET", provider + "/usages", "", control.RuleProviderUsages, false, gives, a.providerUsages, "show what is used of a provider"},
		{"GET", provider + "/allocations", "", control.RuleProviderAllocations, false, gives, a.providerAllocations, "list who uses a provider"},
		{"GET", provider + "/aggregates", "1.1-", control.RuleAggregatesList, false, gives, a.listAggregates, "list a provider's aggregates"},
		{"PUT", provider + "/aggregates", "1.1-", control.RuleAggregatesUpdate, takes, false, a.setAggregates, "replace a provider's aggregates"},
		{"GET", provider + "/traits", "1.6-", control.RuleProviderTraitsList, false, gives, a.providerTraits, "list a provider's traits"},
		{"PUT", provider + "/traits", "1.6-", control.RuleProviderTraitsSet, takes, false, a.setProviderTraits, "replace a provider's traits"},
		{"DELETE", provider + "/traits", "1.6-", control.RuleProviderTraitsClear, false, false, a.clearProviderTraits, "take all traits from a provider"},

		{"GET", "/traits", "1.6-", control.RuleTraitsList, false, gives, a.listTraits, "list traits"},
		{"GET", "/traits/{name}", "1.6-", control.RuleTraitsShow, false, false, a.showTrait, "see whether a trait exists"},
		{"PUT", "/traits/{name}", "1.6-", control.RuleTraitsUpdate, false, false, a.putTrait, "make a trait"},
		{"DELETE", "/traits/{name}", "1.6-", control.RuleTraitsDelete, false, false, a.deleteTrait, "delete a trait"},

		{"GET", "/resource_classes", "1.2-", control.RuleClassesList, false, gives, a.listClasses, "list resource classes"},
		{"POST", "/resource_classes", "1.2-", control.RuleClassesCreate, takes, false, a.createClass, "make a resource class"},
		{"GET", "/resource_classes/{name}", "1.2-", control.RuleClassesShow, false, gives, a.showClass, "show a resource class"},
		{"PUT", "/resource_classes/{name}", "1.2-1.6", control.RuleClassesUpdate, takes, false, a.renameClass, "rename a resource class"},
		{"PUT", "/resource_classes/{name}", "1.7-", control.RuleClassesUpdate, false, false, a.ensureClass, "make a resource class unless it exists"},
		{"DELETE", "/resource_classes/{name}", "1.2-", control.RuleClassesDelete, false, false, a.deleteClass, "delete a resource class"},

		{"GET", "/allocations/{consumer}", "", control.RuleAllocationsList, false, gives, a.consumerAllocations, "list what a consumer uses"},
		{"PUT", "/allocations/{consumer}", "-1.11", control.RuleAllocationsUpdate, takes, false, a.putAllocationList, "claim resources"},
		{"PUT", "/allocations/{consumer}", "1.12-", control.RuleAllocationsUpdate, takes, false, a.putAllocations, "claim resources"},
		{"DELETE", "/allocations/{consumer}", "", control.RuleAllocationsDelete, false, false, a.deleteAllocations, "give resources back"},
		{"POST", "/allocations", "1.13-", control.RuleAllocationsManage, takes, false, a.postAllocations, "claim for several consumers"},

		{"GET", "/allocation_candidates", "1.10-", control.RuleCandidatesList, false, gives, a.listCandidates, "find where a claim may fit"},
		{"GET", "/usages", "1.9-", ownRule, false, gives, a.totalUsages, "show what a project uses"},
		{"POST", "/reshaper", "1.30-", control.RuleReshape, takes, false, a.reshape, "move inventories and allocations"},
	}
}
