package stack

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"kilonova/service/network"
)

// wires reads what QoS rules may promise on this host.
func (o *LinuxBridge) wires() (network.Wires, error) {
	w := network.Wires{Node: o.Hypervisor}
	seen := map[string]bool{}
	for _, text := range o.Bandwidths {
		name, amounts, err := wireAmounts("resource_provider_bandwidths", text, 2)
		if err != nil {
			return w, err
		}
		if name == "" || seen[name] {
			return w, fmt.Errorf("configuration: [linux_bridge] resource_provider_bandwidths %q names no physical network, or one that was named before", text)
		}
		seen[name] = true
		w.Bandwidths = append(w.Bandwidths, network.Bandwidth{Physical: name, Egress: amounts[0], Ingress: amounts[1]})
	}
	if len(o.Packets)+len(o.PacketsByWay) > 1 {
		return w, fmt.Errorf("configuration: [linux_bridge] of resource_provider_packet_processing_without_direction and …_with_direction one value can be said: a host processes its packets once")
	}
	for _, text := range o.Packets {
		name, amounts, err := wireAmounts("resource_provider_packet_processing_without_direction", text, 1)
		if err != nil {
			return w, err
		}
		w.Node, w.Packets = cmp.Or(name, w.Node), amounts[0]
	}
	for _, text := range o.PacketsByWay {
		name, amounts, err := wireAmounts("resource_provider_packet_processing_with_direction", text, 2)
		if err != nil {
			return w, err
		}
		w.Node, w.PacketsEgress, w.PacketsIngress = cmp.Or(name, w.Node), amounts[0], amounts[1]
	}
	return w, nil
}

// wireAmounts reads NAME:N or NAME:N:N; an amount that is left out is not counted.
func wireAmounts(option, text string, n int) (name string, amounts []int, err error) {
	parts := strings.Split(strings.TrimSpace(text), ":")
	if len(parts) != n+1 {
		return "", nil, fmt.Errorf("configuration: [linux_bridge] %s %q is not a name with %d amounts behind colons", option, text, n)
	}
	for _, part := range parts[1:] {
		amount := 0
		if part != "" {
			if amount, err = strconv.Atoi(part); err != nil || amount < 0 || amount > 1<<31-1 {
				return "", nil, fmt.Errorf("configuration: [linux_bridge] %s %q: %q is not between 0 and %d", option, text, part, 1<<31-1)
			}
		}
		amounts = append(amounts, amount)
	}
	return parts[0], amounts, nil
}
