package control

import "kilonova/internal/auth"

// Who may do what by default, in upstream's words: administrators everything,
// members of a project change what is theirs, readers see it. The owner of a
// network may do more to the ports on it than a tenant of it.
const (
	adminOnly       = "rule:admin_only"
	adminOrService  = "rule:admin_only or rule:service_api"
	manager         = "rule:admin_only or rule:project_manager"
	member          = "rule:admin_only or rule:project_member"
	reader          = "rule:admin_only or rule:project_reader"
	memberOrService = "rule:admin_only or rule:service_api or rule:project_member"
	readerOrService = "rule:admin_only or rule:service_api or rule:project_reader"
	netOwner        = "rule:admin_only or rule:service_api or rule:network_owner"
	netOwnerShared  = "rule:admin_only or rule:service_api or rule:network_owner or rule:shared"
	anybody         = "rule:regular_user"
)

var policy = auth.MustPolicy(rules)

// rules is the table, by upstream's names and with upstream's defaults
// (conf/policies of Neutron 2023.2 and later). A rule RESOURCE:ATTRIBUTE is
// checked when a request gives the attribute, see enforce.
var rules = map[string]string{
	"context_is_admin":  "role:admin",
	"admin_only":        "rule:context_is_admin",
	"service_api":       "role:service",
	"context_is_advsvc": "role:advsvc",
	"regular_user":      "",
	"project_manager":   "role:manager and project_id:%(project_id)s",
	"project_member":    "role:member and project_id:%(project_id)s",
	"project_reader":    "(role:reader or role:member) and project_id:%(project_id)s",
	"network_owner":     "role:member and project_id:%(network:project_id)s",
	"shared":            "'True':%(network:shared)s",

	"create_network":                           member,
	"create_network:shared":                    adminOnly,
	"create_network:router:external":           adminOnly,
	"create_network:port_security_enabled":     member,
	"create_network:provider:network_type":     adminOnly,
	"create_network:provider:physical_network": adminOnly,
	"create_network:provider:segmentation_id":  adminOnly,
	"create_network:is_default":                adminOnly,
	"get_network":                              readerOrService,
	"get_network:provider:network_type":        adminOnly,
	"update_network":                           member,
	"update_network:shared":                    adminOnly,
	"update_network:router:external":           adminOnly,
	"update_network:provider:network_type":     adminOnly,
	"update_network:provider:physical_network": adminOnly,
	"update_network:provider:segmentation_id":  adminOnly,
	"update_network:port_security_enabled":     member,
	"update_network:is_default":                adminOnly,
	"delete_network":                           member,
	"get_network_ip_availability":              adminOnly,

	"create_subnet":               netOwner,
	"create_subnet:service_types": adminOnly,
	"get_subnet":                  readerOrService,
	"update_subnet":               "rule:admin_only or rule:project_member or rule:network_owner",
	"update_subnet:service_types": adminOnly,
	"delete_subnet":               "rule:admin_only or rule:project_member or rule:network_owner",

	"get_auto_allocated_topology":    reader,
	"delete_auto_allocated_topology": member,

	"create_subnetpool":            member,
	"create_subnetpool:shared":     adminOnly,
	"create_subnetpool:is_default": adminOnly,
	"get_subnetpool":               reader,
	"update_subnetpool":            member,
	"update_subnetpool:is_default": adminOnly,
	"delete_subnetpool":            member,

	"create_port":                       memberOrService,
	"create_port:device_id":             memberOrService,
	"create_port:device_owner":          netOwner,
	"create_port:mac_address":           netOwner,
	"create_port:fixed_ips":             netOwnerShared,
	"create_port:fixed_ips:ip_address":  netOwner,
	"create_port:fixed_ips:subnet_id":   netOwnerShared,
	"create_port:port_security_enabled": netOwner,
	"create_port:binding:host_id":       adminOrService,
	"create_port:binding:profile":       adminOrService,
	"create_port:binding:vnic_type":     memberOrService,
	"create_port:allowed_address_pairs": netOwner,
	"get_port":                          "rule:admin_only or rule:service_api or rule:network_owner or rule:project_reader",
	"get_port:binding:host_id":          adminOrService,
	"update_port":                       memberOrService + " or rule:context_is_advsvc",
	"update_port:device_id":             memberOrService,
	"update_port:device_owner":          netOwner,
	"update_port:mac_address":           adminOrService,
	"update_port:fixed_ips":             netOwnerShared,
	"update_port:fixed_ips:ip_address":  netOwner,
	"update_port:fixed_ips:subnet_id":   netOwnerShared,
	"update_port:port_security_enabled": netOwner,
	"update_port:binding:host_id":       adminOrService,
	"update_port:binding:profile":       adminOrService,
	"update_port:binding:vnic_type":     memberOrService,
	"update_port:allowed_address_pairs": netOwner,
	"delete_port":                       memberOrService + " or rule:network_owner",

	"get_port_binding":    adminOrService,
	"create_port_binding": "rule:service_api",
	"update_port_binding": "rule:service_api",
	"delete_port_binding": "rule:service_api",
	"activate":            "rule:service_api", // a binding

	"create_router":                                          member,
	"create_router:distributed":                              adminOnly,
	"create_router:ha":                                       adminOnly,
	"create_router:external_gateway_info":                    member,
	"create_router:external_gateway_info:enable_snat":        adminOnly,
	"create_router:external_gateway_info:external_fixed_ips": adminOnly,
	"get_router":                                             reader,
	"get_router:distributed":                                 adminOnly,
	"update_router":                                          member,
	"update_router:distributed":                              adminOnly,
	"update_router:ha":                                       adminOnly,
	"update_router:external_gateway_info":                    member,
	"update_router:external_gateway_info:enable_snat":        adminOnly,
	"update_router:external_gateway_info:external_fixed_ips": adminOnly,
	"delete_router":                                          member,
	"add_router_interface":                                   member,
	"remove_router_interface":                                member,
	"add_extraroutes":                                        member,
	"remove_extraroutes":                                     member,

	"create_floatingip":                     memberOrService,
	"create_floatingip:floating_ip_address": adminOnly,
	"get_floatingip":                        readerOrService,
	"update_floatingip":                     memberOrService,
	"delete_floatingip":                     memberOrService,

	"create_security_group":      member,
	"get_security_group":         readerOrService,
	"update_security_group":      member,
	"delete_security_group":      member,
	"create_security_group_rule": member,
	"get_security_group_rule":    reader,
	"delete_security_group_rule": member,

	"get_policy":                             reader,
	"create_policy":                          manager,
	"create_policy:shared":                   adminOnly,
	"update_policy":                          manager,
	"update_policy:shared":                   adminOnly,
	"delete_policy":                          manager,
	"get_rule_type":                          "rule:admin_only or role:reader",
	"create_policy_minimum_bandwidth_rule":   manager,
	"update_policy_minimum_bandwidth_rule":   manager,
	"delete_policy_minimum_bandwidth_rule":   manager,
	"create_policy_minimum_packet_rate_rule": manager,
	"update_policy_minimum_packet_rate_rule": manager,
	"delete_policy_minimum_packet_rate_rule": manager,

	"get_agent":             adminOnly,
	"update_agent":          adminOnly,
	"delete_agent":          adminOnly,
	"create_dhcp-network":   adminOnly,
	"get_dhcp-networks":     adminOnly,
	"delete_dhcp-network":   adminOnly,
	"get_dhcp-agents":       adminOnly,
	"create_l3-router":      adminOnly,
	"get_l3-routers":        adminOnly,
	"delete_l3-router":      adminOnly,
	"get_l3-agents":         adminOnly,
	"get_availability_zone": anybody,
	"get_service_provider":  anybody,

	"get_quota":    reader,
	"update_quota": adminOnly,
	"delete_quota": adminOnly,

	"create_rbac_policy":               member,
	"create_rbac_policy:target_tenant": "rule:admin_only or not '*':%(target_tenant)s",
	"get_rbac_policy":                  reader,
	"update_rbac_policy":               member,
	"update_rbac_policy:target_tenant": "rule:admin_only or not '*':%(target_tenant)s",
	"delete_rbac_policy":               member,
}
