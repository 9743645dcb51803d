package network

import "strings"

// Device owners with a meaning to this service.
const (
	OwnerDHCP            = "network:dhcp"
	OwnerRouterInterface = "network:router_interface"
	OwnerRouterGateway   = "network:router_gateway"
	OwnerFloatingIP      = "network:floatingip"
)

// IsRouterPort reports whether a device owner means a leg of a router.
func IsRouterPort(owner string) bool {
	return owner == OwnerRouterInterface || owner == OwnerRouterGateway
}

// IsServerPort reports whether a device owner means a server's port.
func IsServerPort(owner string) bool { return strings.HasPrefix(owner, "compute:") }

// IsServicePort reports whether the port belongs to this service itself.
func IsServicePort(owner string) bool { return strings.HasPrefix(owner, "network:") }

// Kinds of binding:vif_type.
const (
	VIFUnbound = "unbound"
	VIFBridge  = "bridge"
	VIFFailed  = "binding_failed"
)

// VNICNormal is the one binding:vnic_type that can be bound here.
const VNICNormal = "normal"

// Port is a connection to a network.
type Port struct {
	Standard
	Name           string          `json:"name"`
	NetworkID      string          `json:"network_id"`
	MAC            string          `json:"mac_address"`
	AdminUp        bool            `json:"admin_state_up"`
	Status         string          `json:"status"`
	DeviceID       string          `json:"device_id"`
	DeviceOwner    string          `json:"device_owner"`
	FixedIPs       []FixedIP       `json:"fixed_ips"`
	Pairs          []Pair          `json:"allowed_address_pairs"`
	DHCPOptions    []DHCPOption    `json:"extra_dhcp_opts"`
	SecurityGroups []string        `json:"security_groups"`
	PortSecurity   bool            `json:"port_security_enabled"`
	VNICType       string          `json:"binding:vnic_type"`
	DNSName        string          `json:"dns_name"`
	DNSAssignment  []DNSAssignment `json:"dns_assignment"`
	QoSPolicy      *string         `json:"qos_policy_id"`
	NetworkQoS     *string         `json:"qos_network_policy_id"` // for ports without their own
	*Binding                       // nil: hidden from the caller
}

// Binding says where a port is and how it is wired; administrators see it.
type Binding struct {
	Host       string         `json:"binding:host_id"`
	VIFType    string         `json:"binding:vif_type"`
	VIFDetails map[string]any `json:"binding:vif_details"`
	Profile    map[string]any `json:"binding:profile"`
	// Request is what of its host the port takes by its QoS policy; nil: nothing.
	Request *ResourceRequest `json:"resource_request"`
}

// PortBinding is one of a port's bindings, seen by itself.
type PortBinding struct {
	Host       string         `json:"host"`
	VIFType    string         `json:"vif_type"`
	VIFDetails map[string]any `json:"vif_details"`
	VNICType   string         `json:"vnic_type"`
	Profile    map[string]any `json:"profile"`
	Status     string         `json:"status"` // Active for the one in use, else Inactive
}

// PortBindingInput is a request to make or change a binding of a port.
type PortBindingInput struct {
	ProjectID Opt[string]         `json:"project_id" on:"post" max:"255"`
	Host      Opt[string]         `json:"host" on:"post,put" max:"255"`
	VNICType  Opt[string]         `json:"vnic_type" on:"post,put"`
	Profile   Opt[map[string]any] `json:"profile" on:"post,put" null:"ok"`
}

// FixedIP is an address of a port.
type FixedIP struct {
	SubnetID string `json:"subnet_id"`
	IP       string `json:"ip_address"`
}

// Pair is a further address that a port may send from.
type Pair struct {
	MAC string `json:"mac_address"`
	IP  string `json:"ip_address"` // an address or a prefix
}

// DHCPOption is an option that DHCP gives this port besides the usual ones.
type DHCPOption struct {
	Name      string  `json:"opt_name"`
	Value     *string `json:"opt_value"`
	IPVersion int     `json:"ip_version"`
}

// DNSAssignment is a name that DHCP's resolver answers for.
type DNSAssignment struct {
	Hostname string `json:"hostname"`
	IP       string `json:"ip_address"`
	FQDN     string `json:"fqdn"`
}

// FixedIPInput asks for an address: any of a subnet, or this one.
type FixedIPInput struct {
	SubnetID *string `json:"subnet_id"`
	IP       *string `json:"ip_address"`
}

// DHCPOptionInput is a DHCPOption in a request; a null value removes it.
type DHCPOptionInput struct {
	Name      string   `json:"opt_name"`
	Value     *string  `json:"opt_value"`
	IPVersion Opt[int] `json:"ip_version"`
}

// PortInput is a request to make or change a port.
type PortInput struct {
	OwnerInput
	NetworkID      Opt[string]            `json:"network_id" on:"post" need:"yes"`
	Name           Opt[string]            `json:"name" on:"post,put" max:"255"`
	Description    Opt[string]            `json:"description" on:"post,put" max:"255"`
	AdminUp        Opt[bool]              `json:"admin_state_up" on:"post,put" default:"true"`
	MAC            Opt[string]            `json:"mac_address" on:"post,put" null:"ok"`
	FixedIPs       Opt[[]FixedIPInput]    `json:"fixed_ips" on:"post,put" null:"ok"`
	DeviceID       Opt[string]            `json:"device_id" on:"post,put" null:"ok" max:"255"`
	DeviceOwner    Opt[string]            `json:"device_owner" on:"post,put" null:"ok" max:"255"`
	SecurityGroups Opt[[]string]          `json:"security_groups" on:"post,put" null:"ok"`
	Pairs          Opt[[]Pair]            `json:"allowed_address_pairs" on:"post,put" null:"ok"`
	DHCPOptions    Opt[[]DHCPOptionInput] `json:"extra_dhcp_opts" on:"post,put" null:"ok"`
	PortSecurity   Opt[bool]              `json:"port_security_enabled" on:"post,put"`
	Host           Opt[string]            `json:"binding:host_id" on:"post,put" null:"ok" max:"255"`
	VNICType       Opt[string]            `json:"binding:vnic_type" on:"post,put" null:"ok"`
	Profile        Opt[map[string]any]    `json:"binding:profile" on:"post,put" null:"ok"`
	DNSName        Opt[string]            `json:"dns_name" on:"post,put" null:"ok" max:"255"`
	QoSPolicy      Opt[string]            `json:"qos_policy_id" on:"post,put" null:"ok"`
}
