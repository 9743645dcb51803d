package metadata

import (
	"encoding/json"
	"net/netip"
	"time"
)

// zeros is a source of chance for golden files.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// sample has something of everything.
func sample() *Instance {
	return &Instance{
		UUID: "83679162-1378-4288-a2d4-70e13ec132aa", Seq: 42, Name: "web <1>", Hostname: "web-1.example.org",
		ProjectID: "6f70656e737461636b20342065766572", UserID: "fake", AvailabilityZone: "zone-1", LaunchIndex: 1,
		ReservationID: "r-3fhpjulh", InstanceType: "m1.small",
		ImageID: "155d900f-4e14-4e4c-a73d-069cbf4541e6", KernelID: "7", RamdiskID: "8",
		Keys:     []Key{{"mykey", "ssh", "ssh-ed25519 AAAAC3Nz me@host"}, {"other", "ssh", "ssh-rsa BBBB"}},
		Meta:     map[string]string{"role": "web & mail", "a": "b"},
		UserData: []byte("#cloud-config\n{}\n"), Password: "c2VjcmV0", AdminPass: "hunter2",
		Interfaces: []Interface{
			{PortID: "e2b9b1de-0000-4000-8000-000000000001", Device: "tape2b9b1de-00", Type: "bridge", MAC: "fa:16:3e:00:00:01", MTU: 1450,
				NetworkID: "11111111-0000-4000-8000-000000000000", Floating: []netip.Addr{addr("203.0.113.7")},
				Subnets: []Subnet{
					{Prefix: netip.MustParsePrefix("10.0.0.0/20"), Addresses: []netip.Addr{addr("10.0.0.5")}, Gateway: addr("10.0.0.1"), DHCP: true,
						DNS: []netip.Addr{addr("8.8.8.8")}},
					{Prefix: netip.MustParsePrefix("2001:db8::/61"), Addresses: []netip.Addr{addr("2001:db8::5")}, Gateway: addr("2001:db8::1"),
						IPv6Mode: "slaac", DNS: []netip.Addr{addr("2001:db8::53")}},
				}},
			{PortID: "e2b9b1de-0000-4000-8000-000000000002", Type: "hostdev_physical", MAC: "fa:16:3e:00:00:02",
				NetworkID: "22222222-0000-4000-8000-000000000000",
				Subnets: []Subnet{{Prefix: netip.MustParsePrefix("192.0.2.128/25"), Addresses: []netip.Addr{addr("192.0.2.130")}, Gateway: addr("192.0.2.129"),
					DNS:    []netip.Addr{addr("8.8.8.8"), addr("9.9.9.9")},
					Routes: []Route{{netip.MustParsePrefix("172.16.5.0/12"), addr("192.0.2.200")}}}}},
			{PortID: "e2b9b1de-0000-4000-8000-000000000003", Type: "ovs", MAC: "fa:16:3e:00:00:03", MTU: 1500,
				NetworkID: "33333333-0000-4000-8000-000000000000",
				Subnets: []Subnet{{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Addresses: []netip.Addr{addr("198.51.100.9")},
					DHCPServer: addr("198.51.100.2")}}},
			{PortID: "e2b9b1de-0000-4000-8000-000000000004", Type: "ovs", MAC: "fa:16:3e:00:00:04", NetworkID: "no-subnets"},
		},
		SecurityGroups: []string{"default", "web"},
		BlockDevices:   BlockDevices{Root: "/dev/vda", Ephemerals: []string{"/dev/vdb"}, Swap: "/dev/vdc", Volumes: []string{"/dev/vde", "/dev/vdd"}},
		Devices: []Device{
			{Type: "nic", Bus: "pci", Address: "0000:00:03.0", Tags: []string{"front"}, MAC: "fa:16:3e:00:00:01", VLAN: 300, VFTrusted: true},
			{Type: "nic", Bus: "pci", Address: "0000:00:04.0", MAC: "fa:16:3e:00:00:02"},
			{Type: "disk", Bus: "scsi", Address: "1:0:2:0", Tags: []string{"db"}, Serial: "disk-vol", Path: "/dev/sda"},
			{Type: "share", ShareID: "e8debdc0", ShareTag: "e8debdc0-tag"},
		},
		DedicatedCPUs: []int{7, 3},
		VendorData:    json.RawMessage(`{"operator":"us"}`), VendorData2: map[string]json.RawMessage{"dyn": json.RawMessage(`{"x":1}`), "static": json.RawMessage(`"never"`)},
		Created: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
		Random:  zeros{},
	}
}
