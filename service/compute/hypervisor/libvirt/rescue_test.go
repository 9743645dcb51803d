package libvirt

import (
	"strings"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// disksOf names a domain's disks in their order: file, device, bus, and * for the
// one that is booted from.
func disksOf(d domain) string {
	var all []string
	for _, v := range d.Devices.Disks {
		text := strings.TrimPrefix(v.Source.File, "/g/") + ":" + v.Device + ":" + v.Target.Dev
		if v.Boot != nil {
			text += "*"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestRescueDisks(t *testing.T) {
	b := builder{cfg: Config{}.withDefaults(), virtType: "qemu", arch: "x86_64"}
	g := tinyGuest(hypervisor.Image{ID: "i", Path: "/cache/i", Format: "raw"})
	image := hypervisor.Image{ID: "r", Path: "/cache/r", Format: "raw"}
	for name, c := range map[string]struct {
		rescue hypervisor.Rescue
		want   string
	}{
		"in place of the root disk": {hypervisor.Rescue{Image: image}, "disk.rescue:disk:vda* disk:disk:vdb"},
		"stable":                    {hypervisor.Rescue{Image: image, Device: "disk"}, "disk:disk:vda disk.rescue:disk:vdb*"},
		"stable, on another bus":    {hypervisor.Rescue{Image: image, Device: "disk", Bus: "scsi"}, "disk:disk:vda disk.rescue:disk:sda*"},
		"stable, from a CD":         {hypervisor.Rescue{Image: image, Device: "cdrom"}, "disk:disk:vda disk.rescue:cdrom:hda*"},
	} {
		d, err := b.rescue(g, c.rescue, "/g")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := disksOf(d); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	volume := g
	volume.Image, volume.Volumes = hypervisor.Image{}, []hypervisor.Volume{{ID: "0d5ea1de-0000-4000-8000-0000000000b1", Device: "/dev/vda", Boot: true, Kind: "file", Path: "/v", Format: "raw"}}
	if d, err := b.rescue(volume, hypervisor.Rescue{Image: image, Device: "disk"}, "/g"); err != nil || disksOf(d) != "/v:disk:vda disk.rescue:disk:vdb*" {
		t.Errorf("of a volume: %s, %v", disksOf(d), err)
	}
	if _, err := b.rescue(volume, hypervisor.Rescue{Image: image}, "/g"); !fault.Is(err, fault.Unsupported) {
		t.Errorf("in place of a volume: %v", err)
	}
	if _, err := b.rescue(g, hypervisor.Rescue{Image: image, Device: "drum"}, "/g"); !fault.Is(err, fault.Unsupported) {
		t.Errorf("a device that there is not: %v", err)
	}
	if _, err := b.rescue(g, hypervisor.Rescue{Image: image, Device: "disk", Bus: "omnibus"}, "/g"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a bus that there is not: %v", err)
	}
}
