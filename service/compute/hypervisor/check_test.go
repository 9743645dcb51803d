package hypervisor

import (
	"strings"
	"testing"

	"kilonova/internal/fault"
)

func good() Guest {
	return Guest{
		ID: "0d5ea1de-0000-4000-8000-00000000002a", Name: "instance-0000002a", Title: "väder & <vind>",
		VCPUs: 1, MemoryMB: 64, Image: Image{ID: "tiny", Path: "/cache/tiny", Format: "raw"},
		NICs: []NIC{{PortID: "0d5ea1de-0000-4000-8000-0000000000aa", MAC: "fa:16:3e:00:00:01", MTU: 1450}},
		Volumes: []Volume{{ID: "0d5ea1de-0000-4000-8000-0000000000bb", Kind: "file", Path: "/v", Format: "raw"},
			{ID: "0d5ea1de-0000-4000-8000-0000000000bc", Kind: "nbd", Path: "/run/v.sock"},
			{ID: "0d5ea1de-0000-4000-8000-0000000000bd", Kind: "iscsi", Portal: "192.0.2.1:3260", IQN: "iqn.2010-10.org.openstack:v"}},
	}
}

func TestCheck(t *testing.T) {
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		break_ func(*Guest)
		kind   fault.Kind
	}{
		{"no id", func(g *Guest) { g.ID = "" }, fault.Invalid},
		{"id climbs", func(g *Guest) { g.ID = "../../../../../../../../etc/passwd00" }, fault.Invalid},
		{"id in upper case", func(g *Guest) { g.ID = strings.ToUpper(g.ID) }, fault.Invalid},
		{"name with slash", func(g *Guest) { g.Name = "a/b" }, fault.Invalid},
		{"title with NUL", func(g *Guest) { g.Title = "a\x00b" }, fault.Invalid},
		{"no vcpus", func(g *Guest) { g.VCPUs = 0 }, fault.Invalid},
		{"no memory", func(g *Guest) { g.MemoryMB = 0 }, fault.Invalid},
		{"negative disk", func(g *Guest) { g.Root.SizeGB = -1 }, fault.Invalid},
		{"large config drive", func(g *Guest) { g.ConfigDrive = make([]byte, MaxConfigDrive+1) }, fault.Invalid},
		{"many volumes", func(g *Guest) { g.Volumes = make([]Volume, MaxDevices+1) }, fault.Invalid},
		{"nothing to boot", func(g *Guest) { g.Image = Image{} }, fault.Invalid},
		{"image and boot volume", func(g *Guest) { g.Volumes[0].Boot = true }, fault.Invalid},
		{"two boot volumes", func(g *Guest) { g.Image = Image{}; g.Volumes[0].Boot, g.Volumes[1].Boot = true, true }, fault.Invalid},
		{"vmdk", func(g *Guest) { g.Image.Format = "vmdk" }, fault.Invalid},
		{"ramdisk alone", func(g *Guest) { g.Image.Ramdisk = "/r" }, fault.Invalid},
		{"multicast MAC", func(g *Guest) { g.NICs[0].MAC = "01:00:5e:00:00:01" }, fault.Invalid},
		{"tiny MTU", func(g *Guest) { g.NICs[0].MTU = 10 }, fault.Invalid},
		{"port without UUID", func(g *Guest) { g.NICs[0].PortID = "eth0" }, fault.Invalid},
		{"relative volume", func(g *Guest) { g.Volumes[0].Path = "v" }, fault.Invalid},
		{"volume without format", func(g *Guest) { g.Volumes[0].Format = "" }, fault.Invalid},
		{"nbd without socket", func(g *Guest) { g.Volumes[1].Path = "" }, fault.Invalid},
		{"iscsi without portal", func(g *Guest) { g.Volumes[2].Portal = "" }, fault.Invalid},
		{"unknown kind", func(g *Guest) { g.Volumes[0].Kind = "sheepdog" }, fault.Unsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := good()
			tt.break_(&g)
			if err := g.Check(); !fault.Is(err, tt.kind) {
				t.Errorf("got %v, want a fault of kind %v", err, tt.kind)
			}
		})
	}
}
