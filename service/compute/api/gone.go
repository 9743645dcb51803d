package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
)

// removed are operations of what compute once did: nova-network, cells, cloudpipe
// and other parts of before. Old clients are told that they are gone for good,
// which "not found" would not say.
var removed = []struct{ method, path, action, versions string }{
	{"GET", "/os-agents", "", ""},
	{"POST", "/os-agents", "", ""},
	{"PUT", "/os-agents/{id}", "", ""},
	{"DELETE", "/os-agents/{id}", "", ""},
	{"POST", "/os-cells", "", ""},
	{"GET", "/os-cells", "", ""},
	{"GET", "/os-cells/capacities", "", ""},
	{"GET", "/os-cells/detail", "", ""},
	{"GET", "/os-cells/info", "", ""},
	{"POST", "/os-cells/sync_instances", "", ""},
	{"GET", "/os-cells/{id}", "", ""},
	{"PUT", "/os-cells/{id}", "", ""},
	{"DELETE", "/os-cells/{id}", "", ""},
	{"GET", "/os-cells/{id}/capacities", "", ""},
	{"POST", "/os-certificates", "", ""},
	{"GET", "/os-certificates/{id}", "", ""},
	{"GET", "/os-cloudpipe", "", ""},
	{"POST", "/os-cloudpipe", "", ""},
	{"PUT", "/os-cloudpipe/{id}", "", ""},
	{"GET", "/os-fixed-ips/{id}", "", ""},
	{"POST", "/os-fixed-ips/{id}/action", "reserve", ""},
	{"POST", "/os-fixed-ips/{id}/action", "unreserve", ""},
	{"GET", "/os-floating-ip-dns", "", ""},
	{"PUT", "/os-floating-ip-dns/{id}", "", ""},
	{"DELETE", "/os-floating-ip-dns/{id}", "", ""},
	{"GET", "/os-floating-ip-dns/{domain}/entries/{id}", "", ""},
	{"PUT", "/os-floating-ip-dns/{domain}/entries/{id}", "", ""},
	{"DELETE", "/os-floating-ip-dns/{domain}/entries/{id}", "", ""},
	{"GET", "/os-floating-ips-bulk", "", ""},
	{"POST", "/os-floating-ips-bulk", "", ""},
	{"GET", "/os-floating-ips-bulk/{id}", "", ""},
	{"PUT", "/os-floating-ips-bulk/{id}", "", ""},
	{"GET", "/os-fping", "", ""},
	{"GET", "/os-fping/{id}", "", ""},
	{"POST", "/os-networks", "", ""},
	{"POST", "/os-networks/add", "", ""},
	{"DELETE", "/os-networks/{id}", "", ""},
	{"POST", "/os-networks/{id}/action", "disassociate", ""},
	{"POST", "/os-networks/{id}/action", "disassociate_host", ""},
	{"POST", "/os-networks/{id}/action", "disassociate_project", ""},
	{"POST", "/os-networks/{id}/action", "associate_host", ""},
	{"GET", "/os-security-group-default-rules", "", ""},
	{"POST", "/os-security-group-default-rules", "", ""},
	{"GET", "/os-security-group-default-rules/{id}", "", ""},
	{"DELETE", "/os-security-group-default-rules/{id}", "", ""},
	{"POST", "/os-tenant-networks", "", ""},
	{"DELETE", "/os-tenant-networks/{id}", "", ""},
	{"POST", "/servers/{id}/action", "resetNetwork", ""},
	{"POST", "/servers/{id}/action", "os-getRDPConsole", "2.1-2.5"},
	{"GET", "/servers/{id}/consoles", "", ""},
	{"POST", "/servers/{id}/consoles", "", ""},
	{"GET", "/servers/{id}/consoles/{console}", "", ""},
	{"DELETE", "/servers/{id}/consoles/{console}", "", ""},
	{"GET", "/servers/{id}/os-virtual-interfaces", "", ""},
}

func (a *api) gone() []rest.Route {
	var routes []rest.Route
	for _, o := range removed {
		routes = append(routes, rest.Route{Method: o.method, Path: o.path, Action: o.action, Versions: o.versions, Handle: isGone, Doc: "removed upstream: answers 410"})
	}
	return routes
}

func isGone(context.Context, *rest.Request) (*rest.Response, error) {
	return nil, fault.New(fault.Gone, "This resource is no longer available. No forwarding address is given.")
}
