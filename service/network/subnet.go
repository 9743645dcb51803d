package network

import "math/big"

// Modes of ipv6_ra_mode and ipv6_address_mode.
const (
	SLAAC           = "slaac"
	DHCPv6Stateful  = "dhcpv6-stateful"
	DHCPv6Stateless = "dhcpv6-stateless"
)

// Count is a number of addresses, which IPv6 makes large.
type Count struct{ *big.Int }

// MarshalJSON writes the number as such.
func (c Count) MarshalJSON() ([]byte, error) {
	if c.Int == nil {
		return []byte("0"), nil
	}
	return []byte(c.Int.String()), nil
}

// Subnet is a range of addresses of a network.
type Subnet struct {
	Standard
	Name            string       `json:"name"`
	NetworkID       string       `json:"network_id"`
	IPVersion       int          `json:"ip_version"`
	CIDR            string       `json:"cidr"`
	GatewayIP       *string      `json:"gateway_ip"`
	EnableDHCP      bool         `json:"enable_dhcp"`
	AllocationPools []Pool       `json:"allocation_pools"`
	DNS             []string     `json:"dns_nameservers"`
	HostRoutes      []RouteEntry `json:"host_routes"`
	RAMode          *string      `json:"ipv6_ra_mode"`
	AddressMode     *string      `json:"ipv6_address_mode"`
	ServiceTypes    []string     `json:"service_types"`
	SubnetPoolID    *string      `json:"subnetpool_id"`
}

// Automatic reports whether guests make their addresses themselves from the
// subnet's prefix and their MAC address (SLAAC).
func (s Subnet) Automatic() bool {
	return s.AddressMode != nil && (*s.AddressMode == SLAAC || *s.AddressMode == DHCPv6Stateless)
}

// Pool is a range of addresses that may be given out, both ends included.
type Pool struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// RouteEntry is a static route as the API has it.
type RouteEntry struct {
	Destination string `json:"destination"`
	NextHop     string `json:"nexthop"`
}

// SubnetInput is a request to make or change a subnet.
type SubnetInput struct {
	OwnerInput
	NetworkID       Opt[string]       `json:"network_id" on:"post" need:"yes"`
	IPVersion       Opt[int]          `json:"ip_version" on:"post" need:"yes"`
	CIDR            Opt[string]       `json:"cidr" on:"post" null:"ok" max:"64"`
	Name            Opt[string]       `json:"name" on:"post,put" max:"255"`
	Description     Opt[string]       `json:"description" on:"post,put" max:"255"`
	GatewayIP       Opt[string]       `json:"gateway_ip" on:"post,put" null:"ok" max:"64"`
	EnableDHCP      Opt[bool]         `json:"enable_dhcp" on:"post,put" default:"true"`
	AllocationPools Opt[[]Pool]       `json:"allocation_pools" on:"post,put" null:"ok"`
	DNS             Opt[[]string]     `json:"dns_nameservers" on:"post,put" null:"ok"`
	HostRoutes      Opt[[]RouteEntry] `json:"host_routes" on:"post,put" null:"ok"`
	RAMode          Opt[string]       `json:"ipv6_ra_mode" on:"post,put" null:"ok"`
	AddressMode     Opt[string]       `json:"ipv6_address_mode" on:"post,put" null:"ok"`
	ServiceTypes    Opt[[]string]     `json:"service_types" on:"post,put" null:"ok"`
	// SubnetPoolID names the pool from which the CIDR is cut, with this
	// PrefixLength or the pool's own, unless it is given.
	SubnetPoolID Opt[string] `json:"subnetpool_id" on:"post" null:"ok"`
	PrefixLength Opt[int]    `json:"prefixlen" on:"post" null:"ok"`
}
