package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
)

func (a *api) listVersions(_ context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.OK(map[string]any{"versions": []any{map[string]any{"id": "v2.0", "status": "CURRENT",
		"links": []link{{"self", r.Link("/v2.0/")}}}}}), nil
}

func (a *api) showVersion(_ context.Context, r *rest.Request) (*rest.Response, error) {
	var resources []any
	for _, res := range [][2]string{{"network", "networks"}, {"subnet", "subnets"}, {"port", "ports"}} {
		resources = append(resources, map[string]any{"name": res[0], "collection": res[1], "links": []link{{"self", r.Link("/v2.0/" + res[1])}}})
	}
	return rest.OK(map[string]any{"resources": resources}), nil
}

// extension is one row of what this service does beyond the core of the API.
type extension struct {
	Alias       string   `json:"alias"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Updated     string   `json:"updated"`
	Links       []string `json:"links"`
}

// extensions lists what is really there; clients look here before they use it.
var extensions = []extension{
	{Alias: "agent", Name: "agent", Description: "The agents and their state."},
	{Alias: "allowed-address-pairs", Name: "Allowed Address Pairs", Description: "Further addresses that a port may send from."},
	{Alias: "auto-allocated-topology", Name: "Auto Allocated Topology Services", Description: "A network with a router for projects that ask for no more."},
	{Alias: "availability_zone", Name: "Availability Zone", Description: "The zones of agents."},
	{Alias: "binding", Name: "Port Binding", Description: "Which host a port is on and how it is wired."},
	{Alias: "binding-extended", Name: "Port Bindings Extended", Description: "The bindings of a port, of which one is in use."},
	{Alias: "dhcp_agent_scheduler", Name: "DHCP Agent Scheduler", Description: "Which agent serves DHCP for a network."},
	{Alias: "dns-integration", Name: "DNS Integration", Description: "Names of ports, networks and floating IPs."},
	{Alias: "empty-string-filtering", Name: "Empty String Filtering Extension", Description: "Filters by the empty string."},
	{Alias: "ext-gw-mode", Name: "Neutron L3 Configurable external gateway mode", Description: "Gateways with and without source NAT."},
	{Alias: "external-net", Name: "Neutron external network", Description: "Networks that lead outside."},
	{Alias: "extra_dhcp_opt", Name: "Neutron Extra DHCP options", Description: "DHCP options of single ports."},
	{Alias: "extraroute", Name: "Neutron Extra Route", Description: "Static routes of routers."},
	{Alias: "extraroute-atomic", Name: "Atomically add/remove extra routes", Description: "Routes added and removed one by one."},
	{Alias: "filter-validation", Name: "Filter parameters validation", Description: "Filters that do not exist are refused."},
	{Alias: "fip-port-details", Name: "Floating IP Port Details Extension", Description: "The port of a floating IP is shown with it."},
	{Alias: "ip-substring-filtering", Name: "IP address substring filtering", Description: "Ports are found by parts of their addresses."},
	{Alias: "l3_agent_scheduler", Name: "L3 Agent Scheduler", Description: "Which agent carries a router."},
	{Alias: "net-mtu", Name: "Network MTU", Description: "The MTU of networks is shown."},
	{Alias: "net-mtu-writable", Name: "Network MTU (writable)", Description: "The MTU of networks can be set."},
	{Alias: "network-ip-availability", Name: "Network IP Availability", Description: "How many addresses there are and are used."},
	{Alias: "network_availability_zone", Name: "Network Availability Zone", Description: "Zones of networks."},
	{Alias: "pagination", Name: "Pagination support", Description: "Lists come in pages."},
	{Alias: "port-security", Name: "Port Security", Description: "Filtering can be switched off."},
	{Alias: "project-id", Name: "project_id field enabled", Description: "Owners are named project_id, too."},
	{Alias: "port-resource-request", Name: "Port Resource Request", Description: "What a port takes of its host in Placement."},
	{Alias: "port-resource-request-groups", Name: "Port Resource Request Groups", Description: "The same in several groups."},
	{Alias: "provider", Name: "Provider Network", Description: "What networks are made of."},
	{Alias: "qos", Name: "Quality of Service", Description: "Policies of minimum bandwidth and packet rates, counted in Placement."},
	{Alias: "qos-bw-minimum-ingress", Name: "Ingress direction for QoS minimum bandwidth rule", Description: "Minimum bandwidth for both directions."},
	{Alias: "qos-default", Name: "QoS default policy", Description: "One policy of a project is that of its new networks."},
	{Alias: "qos-port-network-policy", Name: "QoS port network policy", Description: "Ports show the policy of their network."},
	{Alias: "qos-pps-minimum", Name: "QoS minimum packet rate rule", Description: "Rules of minimum packet rates."},
	{Alias: "qos-pps-minimum-rule-alias", Name: "QoS minimum packet rate rule alias", Description: "These rules by their ids alone."},
	{Alias: "qos-rule-type-details", Name: "Details of QoS rule types", Description: "Who makes a type of rules true."},
	{Alias: "qos-rule-type-filter", Name: "QoS rule type filter", Description: "Types of rules that all or any drivers have."},
	{Alias: "qos-rules-alias", Name: "QoS rules alias", Description: "Rules by their ids alone."},
	{Alias: "quotas", Name: "Quota management support", Description: "Limits of projects."},
	{Alias: "quota_details", Name: "Quota details management support", Description: "What projects use of their limits."},
	{Alias: "quota-check-limit", Name: "Quota engine limit check", Description: "A limit below what is used can be refused."},
	{Alias: "rbac-policies", Name: "RBAC Policies", Description: "Networks are shared with single projects."},
	{Alias: "revision-if-match", Name: "If-Match constraints based on revision_number", Description: "Changes of what has changed meanwhile are refused."},
	{Alias: "router", Name: "Neutron L3 Router", Description: "Routers and floating IPs."},
	{Alias: "router_availability_zone", Name: "Router Availability Zone", Description: "Zones of routers."},
	{Alias: "security-group", Name: "security-group", Description: "Filter rules of ports."},
	{Alias: "security-groups-normalized-cidr", Name: "Normalized CIDR field for security group rules", Description: "Remote prefixes as they are understood."},
	{Alias: "service-type", Name: "Neutron Service Type Management", Description: "The service providers."},
	{Alias: "sorting", Name: "Sorting support", Description: "Lists are sorted."},
	{Alias: "standard-attr-description", Name: "standard-attr-description", Description: "Resources have descriptions."},
	{Alias: "standard-attr-revisions", Name: "Resource revision numbers", Description: "Resources count their changes."},
	{Alias: "standard-attr-tag", Name: "Tag support for resources with standard attribute", Description: "Resources have tags."},
	{Alias: "standard-attr-timestamp", Name: "Resource timestamps", Description: "When resources were made and changed."},
	{Alias: "default-subnetpools", Name: "Default Subnetpools", Description: "One subnet pool of each IP version is the default."},
	{Alias: "subnet_allocation", Name: "Subnet Allocation", Description: "Subnets are cut from pools."},
	{Alias: "subnet-service-types", Name: "Subnet service types", Description: "Subnets for certain device owners only."},
}

// extensionsSince is when the list above was last looked through.
const extensionsSince = "2026-11-20T00:00:00-00:00"

func (e extension) view() extension {
	e.Updated, e.Links = extensionsSince, []string{}
	return e
}

func (a *api) listExtensions(context.Context, *rest.Request) (*rest.Response, error) {
	out := make([]extension, len(extensions))
	for i, e := range extensions {
		out[i] = e.view()
	}
	return rest.OK(map[string]any{"extensions": out}), nil
}

func (a *api) showExtension(_ context.Context, r *rest.Request) (*rest.Response, error) {
	for _, e := range extensions {
		if e.Alias == r.Path("id") {
			return rest.OK(map[string]any{"extension": e.view()}), nil
		}
	}
	return nil, fault.NotFoundf("Extension with alias %.64s does not exist", r.Path("id")).WithCode("ExtensionNotFound")
}
