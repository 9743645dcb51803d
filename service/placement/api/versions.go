package api

import "kilonova/internal/rest"

// versions are all that there are; the comment says what came with each.
// See https://docs.openstack.org/placement/latest/placement-api-microversion-history.html
var versions = []rest.Version{
	rest.V("1.0"),
	rest.V("1.1"),  // aggregates of providers
	rest.V("1.2"),  // resource classes
	rest.V("1.3"),  // providers by member_of
	rest.V("1.4"),  // providers by resources
	rest.V("1.5"),  // DELETE all inventories
	rest.V("1.6"),  // traits
	rest.V("1.7"),  // PUT of a resource class without a body
	rest.V("1.8"),  // allocations have a project and a user
	rest.V("1.9"),  // GET /usages
	rest.V("1.10"), // GET /allocation_candidates
	rest.V("1.11"), // providers link to their allocations
	rest.V("1.12"), // allocations as an object by provider
	rest.V("1.13"), // POST /allocations
	rest.V("1.14"), // nested providers
	rest.V("1.15"), // Last-Modified and Cache-Control
	rest.V("1.16"), // limit of candidates
	rest.V("1.17"), // candidates by required traits
	rest.V("1.18"), // providers by required traits
	rest.V("1.19"), // generations with aggregates
	rest.V("1.20"), // POST of a provider answers with it
	rest.V("1.21"), // candidates by member_of
	rest.V("1.22"), // forbidden traits
	rest.V("1.23"), // codes of errors
	rest.V("1.24"), // several member_of
	rest.V("1.25"), // numbered groups
	rest.V("1.26"), // all of an inventory may be reserved
	rest.V("1.27"), // summaries with all resource classes
	rest.V("1.28"), // generations of consumers
	rest.V("1.29"), // candidates from nested providers
	rest.V("1.30"), // POST /reshaper
	rest.V("1.31"), // candidates in_tree
	rest.V("1.32"), // forbidden aggregates
	rest.V("1.33"), // groups with names
	rest.V("1.34"), // mappings of groups to providers
	rest.V("1.35"), // root_required
	rest.V("1.36"), // same_subtree
	rest.V("1.37"), // providers can move
	rest.V("1.38"), // types of consumers
	rest.V("1.39"), // any of several traits
}
