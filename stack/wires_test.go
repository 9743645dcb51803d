package stack

import (
	"reflect"
	"testing"

	"kilonova/service/network"
)

func TestWires(t *testing.T) {
	o := LinuxBridge{Bandwidths: []string{"trunk:1000:2000", "other::5"}, PacketsByWay: []string{"node-1:7:8"}, Hypervisor: "elsewhere"}
	want := network.Wires{Bandwidths: []network.Bandwidth{{Physical: "trunk", Egress: 1000, Ingress: 2000}, {Physical: "other", Ingress: 5}},
		PacketsEgress: 7, PacketsIngress: 8, Node: "node-1"}
	if got, err := o.wires(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := (&LinuxBridge{}).wires(); err != nil || !got.Empty() {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []LinuxBridge{{Bandwidths: []string{"trunk"}}, {Bandwidths: []string{":1:1"}}, {Bandwidths: []string{"a:1:1", "a:2:2"}}, {Bandwidths: []string{"a:-1:1"}},
		{Bandwidths: []string{"a:x:1"}}, {Bandwidths: []string{"a:1:2147483648"}}, {Packets: []string{":1"}, PacketsByWay: []string{":1:1"}}, {Packets: []string{"1"}}} {
		if got, err := bad.wires(); err == nil {
			t.Errorf("%+v is taken as %+v", bad, got)
		}
	}
}
