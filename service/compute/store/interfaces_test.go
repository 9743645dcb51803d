package store

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"

	"kilonova/service/compute"
)

// What encoding/json makes of a text, the column makes of it, too: what this
// package writes and what it does not.
func TestInterfacesReadAsJSON(t *testing.T) {
	a := netip.MustParseAddr
	full := []compute.Interface{{PortID: "p", MAC: "m", NetworkID: "n", NetworkName: `a "name" <é>`, MTU: 1450, Tag: "t", Active: true, Owned: true, Groups: []string{"g", "h"},
		FixedIPs: []compute.FixedIP{{Address: a("10.0.0.1"), SubnetID: "s", Prefix: 24, Gateway: a("10.0.0.254"), DNS: []netip.Addr{a("8.8.8.8"), a("::1")}, DHCP: true,
			Floating: []netip.Addr{a("172.24.4.5")}, IPv6Mode: "slaac", Routes: []compute.HostRoute{{Destination: netip.MustParsePrefix("10.1.0.0/16"), NextHop: a("10.0.0.2")}}}, {Address: a("fd00::1"), SubnetID: "s2", Prefix: 64}}}, {PortID: "q", FixedIPs: nil}, {PortID: "r", NetworkName: "plain", FixedIPs: []compute.FixedIP{{Address: a("10.0.0.1"), Routes: []compute.HostRoute{{Destination: netip.MustParsePrefix("10.1.0.0/16"), NextHop: a("10.0.0.2")}}}}}}
	written, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(full[1:])
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(written), string(plain), `[]`, `null`, ` [ { "port_id" : "x" } ]`, `[{"port_id":"x","unknown":{"a":[1,2]}}]`, `[{"mtu":-1}]`, `[{}]`,
		`[{"fixed_ips":[{"address":""}]}]`} {
		var want []compute.Interface
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for _, src := range []any{text, []byte(text)} {
			var got interfaces
			if err := got.Scan(src); err != nil || !reflect.DeepEqual([]compute.Interface(got), want) {
				t.Errorf("%s\nis read as %+v,\nand not as %+v; %v", text, got, want, err)
			}
		}
	}
	for _, text := range []string{`[`, `[{"port_id":"x"}`, `[{"port_id":"x"}]x`, `[{"mtu":"x"}]`, `[{"active":1}]`, `{}`, `[{"fixed_ips":[{"address":"no"}]}]`, `["`} {
		var got interfaces
		if err := got.Scan(text); err == nil {
			t.Errorf("%s is read as %+v", text, got)
		}
	}
}
