package metadata

import (
	"net/netip"
	"slices"
	"testing"

	"kilonova/service/compute"
)

// A server's tags, volumes, routes and names come to its guest.
func TestOf(t *testing.T) {
	s := &compute.Server{ID: "70a599e0-31e7-49b7-b260-868f441e862b", Hostname: "one", KeyName: "k", KeyData: "-----BEGIN CERTIFICATE-----\n", RootDevice: "/dev/vda",
		Devices: []compute.BlockDevice{{VolumeID: "root", Device: "/dev/vda", Boot: true}, {VolumeID: "v1", Device: "/dev/vdb", Tag: "data"}, {VolumeID: "v2", Device: "/dev/vdc"}},
		Networks: []compute.Interface{{PortID: "70a599e0-31e7-49b7-b260-868f441e862c", MAC: "fa:16:3e:00:00:01", Tag: "net", FixedIPs: []compute.FixedIP{{
			Address: netip.MustParseAddr("10.0.0.5"), Prefix: 24, IPv6Mode: "", Routes: []compute.HostRoute{{Destination: netip.MustParsePrefix("10.9.0.0/16"), NextHop: netip.MustParseAddr("10.0.0.9")}}}}}}}
	inst, err := Of(s, "nova", "novalocal")
	if err != nil {
		t.Fatal(err)
	}
	if inst.Hostname != "one.novalocal" || inst.ShortName != "one" || inst.Keys[0].Type != "x509" {
		t.Errorf("%s %s %s", inst.Hostname, inst.ShortName, inst.Keys[0].Type)
	}
	if !slices.Equal(inst.BlockDevices.Volumes, []string{"/dev/vdb", "/dev/vdc"}) {
		t.Errorf("%v", inst.BlockDevices.Volumes)
	}
	devices := inst.deviceData(epoxy)
	i := slices.IndexFunc(devices, func(d deviceData) bool { return d.Type == "disk" })
	if len(devices) != 2 || i < 0 || devices[i].Serial != "v1" || devices[i].Path != "/dev/vdb" || !slices.Equal(devices[i].Tags, []string{"data"}) {
		t.Errorf("%+v", devices)
	}
	if r := inst.Interfaces[0].Subnets[0].Routes; len(r) != 1 || r[0].Gateway.String() != "10.0.0.9" {
		t.Errorf("%v", r)
	}
	s.Hostname = "has.domain"
	if inst, err := Of(s, "", "novalocal"); err != nil || inst.Hostname != "has.domain" {
		t.Errorf("%v, %v", inst, err)
	}
}
