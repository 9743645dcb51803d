package metadata

import (
	"net/netip"
	"slices"
	"strconv"
)

// networkData is network_data.json (nova/virt/netutils.py).
type networkData struct {
	Links    []link        `json:"links"`
	Networks []any         `json:"networks"` // staticNetwork or dhcpNetwork
	Services []serviceData `json:"services"`
}

// link is an interface.
type link struct {
	ID     string `json:"id"`
	VIFID  string `json:"vif_id"`
	Type   string `json:"type"`
	MTU    *int   `json:"mtu"`
	HWAddr string `json:"ethernet_mac_address"`
}

// dhcpNetwork is an address family of an interface that DHCP configures.
type dhcpNetwork struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Link      string `json:"link"`
	NetworkID string `json:"network_id"`
}

// staticNetwork is one that the guest configures itself.
type staticNetwork struct {
	ID        string        `json:"id"`
	Type      string        `json:"type"`
	Link      string        `json:"link"`
	Address   string        `json:"ip_address"`
	Netmask   string        `json:"netmask"`
	Routes    []routeData   `json:"routes"`
	NetworkID string        `json:"network_id"`
	Services  []serviceData `json:"services"`
}

type routeData struct {
	Network string `json:"network"`
	Netmask string `json:"netmask"`
	Gateway string `json:"gateway"`
}

type serviceData struct {
	Type    string `json:"type"`
	Address string `json:"address"`
}

// vifTypes are told to guests as they are; of all others a guest sees a physical
// interface.
var vifTypes = []string{"bridge", "dvs", "hw_veb", "hyperv", "ovs", "tap", "vhostuser", "vif"}

func (t *Tree) networkData(string) Content {
	c := Content{Body: []byte("{}"), Type: textType} // so upstream labels it
	if len(t.inst.Interfaces) == 0 {
		return c
	}
	n := networkData{Links: []link{}, Networks: []any{}, Services: []serviceData{}}
	for i := range t.inst.Interfaces {
		if nic := &t.inst.Interfaces[i]; len(nic.Subnets) > 0 {
			n.add(nic)
		}
	}
	c.Body = asJSON(n).Body
	return c
}

// add tells of an interface with its first subnet of each family: the format has
// room for more, its readers have not.
func (n *networkData) add(nic *Interface) {
	l := link{ID: nic.Device, VIFID: nic.PortID, Type: "phy", MTU: nic.linkMTU(), HWAddr: nic.MAC}
	if l.ID == "" {
		l.ID = "interface" + strconv.Itoa(len(n.Links))
	}
	if slices.Contains(vifTypes, nic.Type) {
		l.Type = nic.Type
	}
	n.Links = append(n.Links, l)
	for _, v4 := range []bool{true, false} {
		at := slices.IndexFunc(nic.Subnets, func(s Subnet) bool { return s.Prefix.Addr().Is4() == v4 })
		if at < 0 || len(nic.Subnets[at].Addresses) == 0 {
			continue
		}
		s := &nic.Subnets[at]
		n.Networks = append(n.Networks, s.network("network"+strconv.Itoa(len(n.Networks)), l.ID, nic.NetworkID))
		for _, dns := range s.services() {
			if !slices.Contains(n.Services, dns) {
				n.Services = append(n.Services, dns)
			}
		}
	}
}

// linkMTU is nil where DHCP tells it.
func (nic *Interface) linkMTU() *int {
	if nic.MTU == 0 || slices.ContainsFunc(nic.Subnets, func(s Subnet) bool { return s.DHCPServer.IsValid() }) {
		return nil
	}
	return &nic.MTU
}

func (s *Subnet) network(id, linkID, networkID string) any {
	family := "ipv6"
	if s.Prefix.Addr().Is4() {
		family = "ipv4"
	}
	switch {
	case s.IPv6Mode != "":
		family += "_" + s.IPv6Mode
	case s.DHCP || s.DHCPServer.IsValid():
		return dhcpNetwork{ID: id, Type: family + "_dhcp", Link: linkID, NetworkID: networkID}
	}
	n := staticNetwork{ID: id, Type: family, Link: linkID, Address: s.Addresses[0].String(), Netmask: netmask(s.Prefix),
		Routes: []routeData{}, NetworkID: networkID, Services: s.services()}
	if s.Gateway.IsValid() {
		zero := netip.IPv6Unspecified().String()
		if s.Prefix.Addr().Is4() {
			zero = netip.IPv4Unspecified().String()
		}
		n.Routes = append(n.Routes, routeData{zero, zero, s.Gateway.String()})
	}
	for _, r := range s.Routes {
		n.Routes = append(n.Routes, routeData{r.Destination.Masked().Addr().String(), netmask(r.Destination), r.Gateway.String()})
	}
	return n
}

func (s *Subnet) services() []serviceData {
	list := []serviceData{}
	for _, a := range s.DNS {
		list = append(list, serviceData{"dns", a.String()})
	}
	return list
}

// netmask writes a prefix's length as an address: 255.255.255.0, ffff:ffff::.
func netmask(p netip.Prefix) string {
	raw := make([]byte, p.Addr().BitLen()/8)
	for i := range raw {
		ones := min(max(p.Bits()-8*i, 0), 8)
		raw[i] = byte(0xff << (8 - ones))
	}
	mask, _ := netip.AddrFromSlice(raw)
	return mask.String()
}
