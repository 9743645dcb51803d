package network

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"
)

// tunnelTrait is of hosts that carry networks without a physical one.
const tunnelTrait = "CUSTOM_NETWORK_TUNNEL_PROVIDER"

// RequestOf is what rules have a port take of its host: bandwidth of the
// bridge to the physical network, packets of the host as a whole. nil: nothing.
func RequestOf(portID, vnic, physical string, rules []QoSRule) *ResourceRequest {
	net := tunnelTrait
	if physical != "" {
		net = PhysicalTrait(physical)
	}
	request := &ResourceRequest{}
	for _, kind := range []struct {
		name     string
		required []string
	}{{MinimumBandwidth, []string{net, VNICTrait(vnic)}}, {MinimumPacketRate, []string{VNICTrait(vnic)}}} {
		g := RequestGroup{Required: kind.required, Resources: map[string]int{}}
		var ids strings.Builder
		for i := range rules {
			if rules[i].Kind == kind.name {
				ids.WriteString(rules[i].ID)
				g.Resources[ResourceClass(&rules[i])] = rules[i].Amount()
			}
		}
		if len(g.Resources) > 0 {
			g.ID = groupID(portID, ids.String())
			request.Groups, request.SameSubtree = append(request.Groups, g), append(request.SameSubtree, g.ID)
		}
	}
	if len(request.Groups) == 0 {
		return nil
	}
	return request
}

// groupID names what rules have a port take: another port or other rules, another
// name. It is upstream's, a UUID of version 5 (RFC 9562) in the port's id
// (neutron_lib.placement.utils.resource_request_group_uuid).
func groupID(portID, ruleIDs string) string {
	space, _ := hex.DecodeString(strings.ReplaceAll(portID, "-", "")) // every port's id is a UUID
	sum := sha1.Sum(append(space, ruleIDs...))
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// ResourceClass is what Placement calls what a rule promises.
func ResourceClass(r *QoSRule) string {
	if r.Kind == MinimumBandwidth {
		return "NET_BW_" + directions[r.Direction] + "KILOBIT_PER_SEC"
	}
	return "NET_PACKET_RATE_" + directions[r.Direction] + "KILOPACKET_PER_SEC"
}

var directions = map[string]string{Ingress: "IGR_", Egress: "EGR_"}

// PhysicalTrait is of providers that lead to a physical
func PhysicalTrait(physical string) string { return "CUSTOM_PHYSNET_" + traitName(physical) }

// VNICTrait is of providers to which ports of a binding:vnic_type can be bound.
func VNICTrait(kind string) string { return "CUSTOM_VNIC_TYPE_" + traitName(kind) }

// traitName makes of a name what may stand in a trait.
func traitName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}
