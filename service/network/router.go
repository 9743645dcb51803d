package network

// Router joins networks at layer 3.
type Router struct {
	Standard
	Name             string       `json:"name"`
	AdminUp          bool         `json:"admin_state_up"`
	Status           string       `json:"status"`
	Gateway          *GatewayInfo `json:"external_gateway_info"`
	Routes           []RouteEntry `json:"routes"`
	Zones            []string     `json:"availability_zones"`
	ZoneHints        []string     `json:"availability_zone_hints"`
	FlavorID         *string      `json:"flavor_id"`
	*RouterPlacement              // nil: hidden from the caller
}

// RouterPlacement says how a router is made; administrators see it.
type RouterPlacement struct {
	Distributed bool `json:"distributed"`
	HA          bool `json:"ha"`
}

// GatewayInfo is a router's way out.
type GatewayInfo struct {
	NetworkID  string    `json:"network_id"`
	EnableSNAT bool      `json:"enable_snat"`
	FixedIPs   []FixedIP `json:"external_fixed_ips"`
}

// GatewayInput asks for a way out; without a network it takes the way out away.
type GatewayInput struct {
	NetworkID  Opt[string]         `json:"network_id"`
	EnableSNAT Opt[bool]           `json:"enable_snat"`
	FixedIPs   Opt[[]FixedIPInput] `json:"external_fixed_ips"`
}

// RouterInput is a request to make or change a router.
type RouterInput struct {
	OwnerInput
	Name        Opt[string]       `json:"name" on:"post,put" max:"255"`
	Description Opt[string]       `json:"description" on:"post,put" max:"255"`
	AdminUp     Opt[bool]         `json:"admin_state_up" on:"post,put" default:"true"`
	Gateway     Opt[GatewayInput] `json:"external_gateway_info" on:"post,put" null:"ok"`
	Routes      Opt[[]RouteEntry] `json:"routes" on:"put" null:"ok"`
	ZoneHints   Opt[[]string]     `json:"availability_zone_hints" on:"post"`
	Distributed Opt[bool]         `json:"distributed" on:"post,put" null:"ok" default:"false"`
	HA          Opt[bool]         `json:"ha" on:"post,put" null:"ok" default:"false"`
	FlavorID    Opt[string]       `json:"flavor_id" on:"post" null:"ok"`
}

// InterfaceInput names the subnet or the port of a router interface.
type InterfaceInput struct {
	SubnetID Opt[string] `json:"subnet_id"`
	PortID   Opt[string] `json:"port_id"`
}

// InterfaceInfo describes a router interface that was added or removed.
type InterfaceInfo struct {
	ID string `json:"id"` // the router's
	Owner
	PortID    string   `json:"port_id"`
	NetworkID string   `json:"network_id"`
	SubnetID  string   `json:"subnet_id"`
	SubnetIDs []string `json:"subnet_ids"`
	Tags      []string `json:"tags"`
}

// FloatingIP is an external address that can be mapped to a fixed one.
type FloatingIP struct {
	Standard
	NetworkID   string       `json:"floating_network_id"`
	Floating    string       `json:"floating_ip_address"`
	PortID      *string      `json:"port_id"`
	Fixed       *string      `json:"fixed_ip_address"`
	RouterID    *string      `json:"router_id"`
	Status      string       `json:"status"`
	DNSName     string       `json:"dns_name"`
	DNSDomain   string       `json:"dns_domain"`
	PortDetails *PortDetails `json:"port_details"`
}

// PortDetails is what a floating IP shows of its port.
type PortDetails struct {
	Name        string `json:"name"`
	NetworkID   string `json:"network_id"`
	MAC         string `json:"mac_address"`
	AdminUp     bool   `json:"admin_state_up"`
	Status      string `json:"status"`
	DeviceID    string `json:"device_id"`
	DeviceOwner string `json:"device_owner"`
}

// FloatingIPInput is a request to make or change a floating IP.
type FloatingIPInput struct {
	OwnerInput
	NetworkID   Opt[string] `json:"floating_network_id" on:"post" need:"yes"`
	SubnetID    Opt[string] `json:"subnet_id" on:"post" null:"ok"`
	Floating    Opt[string] `json:"floating_ip_address" on:"post" null:"ok"`
	PortID      Opt[string] `json:"port_id" on:"post,put" null:"ok"`
	Fixed       Opt[string] `json:"fixed_ip_address" on:"post,put" null:"ok"`
	Description Opt[string] `json:"description" on:"post,put" max:"255"`
	DNSName     Opt[string] `json:"dns_name" on:"post" max:"255"`
	DNSDomain   Opt[string] `json:"dns_domain" on:"post" max:"255"`
}
