package network

// Types of networks (provider:network_type) that this service can make.
const (
	TypeLocal = "local" // a bridge on one host
	TypeFlat  = "flat"  // a physical network, untagged
	TypeVLAN  = "vlan"  // a physical network, in frames tagged with an id
)

// VLAN ids, see IEEE 802.1Q.
const (
	MinVLAN = 1
	MaxVLAN = 4094
)

// MTU bounds, in bytes. See RFC 791 and RFC 8200.
const (
	MinMTU     = 68
	MinMTUIPv6 = 1280
)

// Network is a layer-2 network.
type Network struct {
	Standard
	Name              string   `json:"name"`
	AdminUp           bool     `json:"admin_state_up"`
	Status            string   `json:"status"`
	MTU               int      `json:"mtu"`
	Shared            bool     `json:"shared"` // with all projects, or with the caller's
	External          bool     `json:"router:external"`
	PortSecurity      bool     `json:"port_security_enabled"` // the default of its ports
	Subnets           []string `json:"subnets"`
	Zones             []string `json:"availability_zones"`
	ZoneHints         []string `json:"availability_zone_hints"`
	DNSDomain         string   `json:"dns_domain"`
	IPv4AddressScope  *string  `json:"ipv4_address_scope"`
	IPv6AddressScope  *string  `json:"ipv6_address_scope"`
	QoSPolicy         *string  `json:"qos_policy_id"`
	IsDefault         *bool    `json:"is_default,omitempty"` // of external networks: topologies lead there
	*NetworkPlacement          // nil: hidden from the caller
}

// NetworkPlacement says what a network is made of; administrators see it.
type NetworkPlacement struct {
	Type         string  `json:"provider:network_type"`
	Physical     *string `json:"provider:physical_network"`
	Segmentation *int    `json:"provider:segmentation_id"`
}

// NetworkInput is a request to make or change a network.
type NetworkInput struct {
	OwnerInput
	Name         Opt[string]   `json:"name" on:"post,put" max:"255"`
	Description  Opt[string]   `json:"description" on:"post,put" max:"255"`
	AdminUp      Opt[bool]     `json:"admin_state_up" on:"post,put" default:"true"`
	Shared       Opt[bool]     `json:"shared" on:"post,put" default:"false"`
	External     Opt[bool]     `json:"router:external" on:"post,put" default:"false"`
	PortSecurity Opt[bool]     `json:"port_security_enabled" on:"post,put" default:"true"`
	MTU          Opt[int]      `json:"mtu" on:"post,put"`
	ZoneHints    Opt[[]string] `json:"availability_zone_hints" on:"post"`
	DNSDomain    Opt[string]   `json:"dns_domain" on:"post,put" max:"255"`
	Type         Opt[string]   `json:"provider:network_type" on:"post,put" null:"ok"`
	Physical     Opt[string]   `json:"provider:physical_network" on:"post,put" null:"ok" max:"64"`
	Segmentation Opt[int]      `json:"provider:segmentation_id" on:"post,put" null:"ok"`
	QoSPolicy    Opt[string]   `json:"qos_policy_id" on:"post,put" null:"ok"`
	IsDefault    Opt[bool]     `json:"is_default" on:"post,put" default:"false"`
}

// Availability is how many addresses of a network there are and are used.
type Availability struct {
	NetworkID   string `json:"network_id"`
	NetworkName string `json:"network_name"`
	Owner
	Total   Count                `json:"total_ips"`
	Used    int                  `json:"used_ips"`
	Subnets []SubnetAvailability `json:"subnet_ip_availability"`
}

// SubnetAvailability is the part of one subnet.
type SubnetAvailability struct {
	SubnetID   string `json:"subnet_id"`
	SubnetName string `json:"subnet_name"`
	IPVersion  int    `json:"ip_version"`
	CIDR       string `json:"cidr"`
	Total      Count  `json:"total_ips"`
	Used       int    `json:"used_ips"`
}
