package api

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/rest"
	"kilonova/service/network"
	"kilonova/service/network/control"
)

// Options are what the composition root gives.
type Options struct {
	Validator auth.Validator
	Log       *slog.Logger
	Now       func() time.Time
	AuthURL   func() string
	Observe   func(service, route string, status int, took time.Duration)
}

// api holds what the handlers need.
type api struct{ control *control.Control }

// maxBody bounds a request, in bytes: bulk requests may be long.
const maxBody = 1 << 20

// New returns the service: the Networking API v2.0 below /v2.0.
func New(c *control.Control, o Options) *rest.Service {
	a := &api{c}
	return &rest.Service{Name: "network", Routes: a.routes(), Envelope: rest.NetworkEnvelope, Validator: o.Validator,
		AuthURL: o.AuthURL, MaxBody: maxBody, Lenient: true, Log: o.Log, Now: o.Now, Observe: o.Observe}
}

// routes is the table of all operations.
func (a *api) routes() []rest.Route {
	c := a.control
	return slices.Concat(
		[]rest.Route{
			{Method: "GET", Path: "/", Public: true, Handle: a.listVersions, Doc: "List the versions of the API"},
			{Method: "GET", Path: "/v2.0", Handle: a.showVersion, Doc: "List the resources of v2.0"},
			{Method: "GET", Path: "/v2.0/extensions", Handle: a.listExtensions, Doc: "List the extensions"},
			{Method: "GET", Path: "/v2.0/extensions/{id}", Handle: a.showExtension, Doc: "Show an extension"},
		},
		collection[network.Network, network.NetworkInput]{path: "networks", one: "network", many: "networks",
			id: func(n *network.Network) string { return n.ID }, list: c.Networks, show: c.Network,
			create: c.CreateNetworks, update: c.UpdateNetwork, remove: c.DeleteNetwork}.routes(),
		collection[network.Subnet, network.SubnetInput]{path: "subnets", one: "subnet", many: "subnets",
			id: func(s *network.Subnet) string { return s.ID }, list: c.Subnets, show: c.Subnet,
			create: c.CreateSubnets, update: c.UpdateSubnet, remove: c.DeleteSubnet}.routes(),
		collection[network.SubnetPool, network.SubnetPoolInput]{path: "subnetpools", one: "subnetpool", many: "subnetpools",
			id: func(p *network.SubnetPool) string { return p.ID }, list: c.SubnetPools, show: c.SubnetPool,
			create: single(c.CreateSubnetPool), update: c.UpdateSubnetPool, remove: c.DeleteSubnetPool}.routes(),
		collection[network.Port, network.PortInput]{path: "ports", one: "port", many: "ports",
			id: func(p *network.Port) string { return p.ID }, list: c.Ports, show: c.Port,
			create: c.CreatePorts, update: c.UpdatePort, remove: c.DeletePort}.routes(),
		collection[network.SecurityGroup, network.SecurityGroupInput]{path: "security-groups", one: "security_group", many: "security_groups",
			id: func(g *network.SecurityGroup) string { return g.ID }, list: c.SecurityGroups, show: c.SecurityGroup,
			create: c.CreateSecurityGroups, update: c.UpdateSecurityGroup, remove: c.DeleteSecurityGroup}.routes(),
		collection[network.Rule, network.RuleInput]{path: "security-group-rules", one: "security_group_rule", many: "security_group_rules",
			id: func(r *network.Rule) string { return r.ID }, list: c.Rules, show: c.Rule,
			create: c.CreateRules, remove: c.DeleteRule}.routes(),
		collection[network.Router, network.RouterInput]{path: "routers", one: "router", many: "routers",
			id: func(r *network.Router) string { return r.ID }, list: c.Routers, show: c.Router,
			create: single(c.CreateRouter), update: c.UpdateRouter, remove: c.DeleteRouter}.routes(),
		collection[network.FloatingIP, network.FloatingIPInput]{path: "floatingips", one: "floatingip", many: "floatingips",
			id: func(f *network.FloatingIP) string { return f.ID }, list: c.FloatingIPs, show: c.FloatingIP,
			create: single(c.CreateFloatingIP), update: c.UpdateFloatingIP, remove: c.DeleteFloatingIP}.routes(),
		collection[network.RBACPolicy, network.RBACPolicyInput]{path: "rbac-policies", one: "rbac_policy", many: "rbac_policies",
			id: func(p *network.RBACPolicy) string { return p.ID }, list: c.RBACPolicies, show: c.RBACPolicy,
			create: single(c.CreateRBACPolicy), update: unmatched(c.UpdateRBACPolicy), remove: unmatchedRemove(c.DeleteRBACPolicy)}.routes(),
		collection[network.Agent, network.AgentInput]{path: "agents", one: "agent", many: "agents",
			id: func(g *network.Agent) string { return g.ID }, list: c.Agents, show: c.Agent,
			update: unmatched(c.UpdateAgent), remove: unmatchedRemove(c.DeleteAgent)}.routes(),
		collection[network.QoSPolicy, network.QoSPolicyInput]{path: "qos/policies", one: "policy", many: "policies",
			id: func(p *network.QoSPolicy) string { return p.ID }, list: c.QoSPolicies, show: c.QoSPolicy,
			create: single(c.CreateQoSPolicy), update: c.UpdateQoSPolicy, remove: c.DeleteQoSPolicy}.routes(),
		a.qosRoutes(), a.topologyRoutes(), a.bindingRoutes(), a.routerRoutes(), a.agentRoutes(), a.quotaRoutes(), a.tagRoutes(),
		[]rest.Route{
			{Method: "GET", Path: "/v2.0/availability_zones", Handle: a.listZones, Doc: "List the availability zones"},
			{Method: "GET", Path: "/v2.0/service-providers", Handle: a.listProviders, Doc: "List the service providers"},
			{Method: "GET", Path: "/v2.0/network-ip-availabilities", Handle: a.listAvailability, Doc: "Count the addresses of networks"},
			{Method: "GET", Path: "/v2.0/network-ip-availabilities/{id}", Handle: a.showAvailability, Doc: "Count the addresses of a network"},
		},
	)
}

func (a *api) routerRoutes() []rest.Route {
	const router = "/v2.0/routers/{id}"
	return []rest.Route{
		{Method: http.MethodPut, Path: router + "/add_router_interface", Handle: a.addInterface, Doc: "Join a router to a subnet"},
		{Method: http.MethodPut, Path: router + "/remove_router_interface", Handle: a.removeInterface, Doc: "Take a router off a subnet"},
		{Method: http.MethodPut, Path: router + "/add_extraroutes", Handle: a.addRoutes, Doc: "Add routes to a router"},
		{Method: http.MethodPut, Path: router + "/remove_extraroutes", Handle: a.removeRoutes, Doc: "Remove routes of a router"},
	}
}
