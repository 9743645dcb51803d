package linuxbridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"kilonova/service/network"
	"kilonova/service/network/dataplane"
)

// revokeConnections ends the tracked connections of a port that its rules do not
// allow any more. Those of a port that is fresh belong to a former holder of its
// addresses and are forgotten altogether.
func (d *Driver) revokeConnections(p network.HostPort, zone uint16, fresh bool) error {
	r := &revoker{port: p, zone: zone, fresh: fresh, own: map[netip.Addr]bool{}}
	families := map[netlink.InetFamily]bool{}
	for _, a := range p.Addresses {
		r.own[a] = true
		if a.Is4() {
			families[unix.AF_INET] = true
		} else {
			families[unix.AF_INET6] = true
		}
	}
	for f := range families {
		if err := deleteFlows(d.nl, f, r); err != nil {
			return err
		}
	}
	for _, flow := range r.revoked {
		if err := d.markFlow(flow, markRevoked); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// deleteFlows forgets the connections that filter matches. One that ends by
// itself meanwhile is no failure, nor is a table that changed under the dump.
func deleteFlows(h *netlink.Handle, family netlink.InetFamily, filter netlink.CustomConntrackFilter) error {
	_, err := h.ConntrackDeleteFilters(netlink.ConntrackTable, family, filter)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("go through tracked connections: %w", err)
	}
	return nil
}

// revoker chooses connections to forget and gathers those to mark.
type revoker struct {
	port    network.HostPort
	zone    uint16
	fresh   bool
	own     map[netip.Addr]bool
	revoked []*netlink.ConntrackFlow
}

// MatchConntrackFlow implements netlink.CustomConntrackFilter: true is to forget.
func (r *revoker) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	source, destination := address(flow.Forward.SrcIP), address(flow.Forward.DstIP)
	out, in := r.own[source], r.own[destination]
	if flow.Zone != r.zone || !out && !in {
		return false
	}
	if r.fresh {
		return true
	}
	allowed := (!out || r.allows("egress", flow, destination)) && (!in || r.allows("ingress", flow, source))
	switch {
	case allowed:
		// Was it another port that revoked it? Its next packet will tell.
		return flow.Mark == markRevoked
	case flow.Mark == markRevoked:
		return false
	case dataplane.IsICMP(int(flow.Forward.Protocol)):
		return true // each request counts as a new connection anyway
	}
	r.revoked = append(r.revoked, flow)
	return false
}

// allows tells whether a rule of the port allows the connection; DHCP always is.
func (r *revoker) allows(direction string, flow *netlink.ConntrackFlow, remote netip.Addr) bool {
	protocol, port := int(flow.Forward.Protocol), int(flow.Forward.DstPort)
	if protocol == unix.IPPROTO_UDP && (port == 67 || port == 68 || port == 546 || port == 547) {
		return true
	}
	for _, rule := range r.port.Rules {
		if rule.Direction == direction && ruleAllows(rule, protocol, port, remote) {
			return true
		}
	}
	return false
}

// ruleAllows is ruleMatch for one connection. Type and code of ICMP are not
// known here.
func ruleAllows(rule network.SecurityRule, protocol, port int, remote netip.Addr) bool {
	if (rule.EtherType == "IPv4") != remote.Is4() {
		return false
	}
	if want := ruleProtocol(rule); want != 0 && want != protocol {
		return false
	}
	if dataplane.HasPorts(rule.Protocol) {
		if low, high := dataplane.PortRange(rule); port < low || port > high {
			return false
		}
	}
	if !rule.RemoteGroup && len(rule.Remote) == 0 {
		return true
	}
	for _, p := range rule.Remote {
		if p.Contains(remote) {
			return true
		}
	}
	return false
}

// markFlow sets the mark of one of the host's connections. (The library's own
// update does not know zones.)
func (d *Driver) markFlow(flow *netlink.ConntrackFlow, mark uint32) error {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_NEW, unix.NLM_F_ACK)
	req.Sockets = d.netfilter
	req.AddData(&nl.Nfgenmsg{NfgenFamily: flow.FamilyType, Version: nl.NFNETLINK_V0})

	source, destination := nl.CTA_IP_V4_SRC, nl.CTA_IP_V4_DST
	if flow.FamilyType == unix.AF_INET6 {
		source, destination = nl.CTA_IP_V6_SRC, nl.CTA_IP_V6_DST
	}
	tuple := nl.NewRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_ORIG, nil)
	ip := tuple.AddRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_IP, nil)
	ip.AddRtAttr(source, rawAddress(flow.Forward.SrcIP, flow.FamilyType))
	ip.AddRtAttr(destination, rawAddress(flow.Forward.DstIP, flow.FamilyType))
	protocol := tuple.AddRtAttr(unix.NLA_F_NESTED|nl.CTA_TUPLE_PROTO, nil)
	protocol.AddRtAttr(nl.CTA_PROTO_NUM, []byte{flow.Forward.Protocol})
	protocol.AddRtAttr(nl.CTA_PROTO_SRC_PORT, binary.BigEndian.AppendUint16(nil, flow.Forward.SrcPort))
	protocol.AddRtAttr(nl.CTA_PROTO_DST_PORT, binary.BigEndian.AppendUint16(nil, flow.Forward.DstPort))
	req.AddData(tuple)
	req.AddData(nl.NewRtAttr(nl.CTA_ZONE, binary.BigEndian.AppendUint16(nil, flow.Zone)))
	req.AddData(nl.NewRtAttr(nl.CTA_MARK, binary.BigEndian.AppendUint32(nil, mark)))
	if _, err := req.Execute(unix.NETLINK_NETFILTER, 0); err != nil {
		return fmt.Errorf("mark the connection of %s with %s: %w", flow.Forward.SrcIP, flow.Forward.DstIP, err)
	}
	return nil
}

func rawAddress(ip net.IP, family uint8) []byte {
	if family == unix.AF_INET {
		return ip.To4()
	}
	return ip.To16()
}

func address(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
