package control

import "kilonova/service/network"

// Options are what an operator sets, under upstream's names.
type Options struct {
	// BaseMAC has the first three octets of the MAC addresses of ports; a fourth
	// that is not 00 is kept too.
	BaseMAC string `toml:"base_mac"`
	// PhysicalMTU is the MTU of the physical networks, in bytes.
	PhysicalMTU int `toml:"global_physnet_mtu"`
	// TenantTypes lists which types of networks users may get, the first that
	// works is taken.
	TenantTypes []string `toml:"tenant_network_types"`
	// FlatNetworks lists the physical networks that flat networks may be on; "*"
	// is any.
	FlatNetworks []string `toml:"flat_networks"`
	// VLANRanges has elements PHYSICAL:FIRST:LAST, the ids that networks of users
	// get, or PHYSICAL alone, where only administrators name ids.
	VLANRanges []string `toml:"network_vlan_ranges"`
	// DNSDomain is the domain of guests' names.
	DNSDomain string `toml:"dns_domain"`
	// AgentDownTime is after how many seconds without a beat an agent is dead.
	AgentDownTime int `toml:"agent_down_time"`
	// ReportInterval is how often an agent beats, in seconds.
	ReportInterval int `toml:"report_interval"`
	// Failover has the routers and DHCP servers of a dead agent moved to others.
	Failover bool `toml:"allow_automatic_l3agent_failover"`
	// PageLimit bounds a page of a list; 0: no bound.
	PageLimit      int `toml:"pagination_max_limit"`
	MaxNameservers int `toml:"max_dns_nameservers"`
	MaxHostRoutes  int `toml:"max_subnet_host_routes"`
	MaxRoutes      int `toml:"max_routes"`
	MaxPairs       int `toml:"max_allowed_address_pair"`
	MaxFixedIPs    int `toml:"max_fixed_ips_per_port"`
	// Quotas are the limits of projects that have none of their own.
	Quotas QuotaOptions `toml:"quotas"`
}

// QuotaOptions are default limits; -1 is no limit.
type QuotaOptions struct {
	Network           int `toml:"quota_network"`
	Subnet            int `toml:"quota_subnet"`
	Port              int `toml:"quota_port"`
	Router            int `toml:"quota_router"`
	FloatingIP        int `toml:"quota_floatingip"`
	SecurityGroup     int `toml:"quota_security_group"`
	SecurityGroupRule int `toml:"quota_security_group_rule"`
	RBACPolicy        int `toml:"quota_rbac_policy"`
	SubnetPool        int `toml:"quota_subnetpool"`
}

// Defaults returns upstream's defaults, with the network types that one host needs.
func Defaults() Options {
	return Options{
		BaseMAC: "fa:16:3e:00:00:00", PhysicalMTU: 1500, TenantTypes: []string{network.TypeLocal}, FlatNetworks: []string{"*"},
		DNSDomain: "openstacklocal", AgentDownTime: 75, ReportInterval: 30, Failover: true,
		MaxNameservers: 5, MaxHostRoutes: 20, MaxRoutes: 30, MaxPairs: 10, MaxFixedIPs: 32,
		Quotas: QuotaOptions{Network: 100, Subnet: 100, Port: 500, Router: 10, FloatingIP: 50, SecurityGroup: 10,
			SecurityGroupRule: 100, RBACPolicy: 10, SubnetPool: -1},
	}
}

// quotaResources lists what quotas are for, in the order in which they are shown.
var quotaResources = []string{"network", "subnet", "port", "router", "floatingip", "security_group", "security_group_rule", "rbac_policy", "subnetpool"}

func (o QuotaOptions) limits() network.Limits {
	return network.Limits{"network": o.Network, "subnet": o.Subnet, "port": o.Port, "router": o.Router, "floatingip": o.FloatingIP,
		"security_group": o.SecurityGroup, "security_group_rule": o.SecurityGroupRule, "rbac_policy": o.RBACPolicy, "subnetpool": o.SubnetPool}
}
