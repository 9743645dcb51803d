package linuxbridge

import (
	"errors"
	"io"
	"log/slog"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/network/dataplane/dataplanetest"
)

func TestVLANName(t *testing.T) {
	for _, x := range []struct {
		parent string
		id     int
		want   string
	}{{"eth1", 100, "eth1.100"}, {"enp129s0f1", 4094, "enp129s0f1.4094"}, {"enp129s0f1np1", 7, "enp129s0f1np1.7"}} {
		if got := vlanName(x.parent, x.id); got != x.want || len(got) > 15 {
			t.Errorf("%s %d: %s", x.parent, x.id, got)
		}
	}
	long, other := vlanName("enp129s0f1np1x", 4094), vlanName("enp129s0f1np1y", 4094)
	if len(long) > 15 || long == other {
		t.Errorf("%s and %s", long, other)
	}
}

func TestVLANWithoutInterfaceIsRefused(t *testing.T) {
	d, err := New(Config{StateDir: t.TempDir(), Physical: public}, host.Local{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	n := dataplanetest.Network(1)
	n.Type, n.Physical, n.Segmentation = "vlan", "public", 100
	if _, _, err := d.physical(n); !fault.Is(err, fault.Unsupported) {
		t.Errorf("%v", err)
	}
}

// TestVLAN holds that a network's frames leave by a tagged device of its own, and
// that nothing but what was there stays.
func TestVLAN(t *testing.T) {
	l := newLab(t)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "knvlanlab0"
	l.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "knvlanlab1"}))
	t.Cleanup(func() { l.unplug(attrs.Name) })
	below, err := netlink.LinkByName(attrs.Name)
	l.must(err)
	probe := netlink.NewLinkAttrs()
	probe.Name, probe.ParentIndex = "knvlanlab0.9", below.Attrs().Index
	switch err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: probe, VlanId: 9}); {
	case errors.Is(err, syscall.EOPNOTSUPP):
		t.Skip("this kernel has no VLAN devices (8021q)")
	case err != nil:
		t.Fatal(err)
	}
	l.unplug(probe.Name)

	d, err := New(Config{StateDir: l.dir, Physical: map[string]Physical{"tagged": {Interface: attrs.Name}}}, host.Local{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	l.must(err)
	n, other := dataplanetest.Network(1), dataplanetest.Network(2)
	n.Type, n.Physical, n.Segmentation = "vlan", "tagged", 100
	other.Type, other.Physical, other.Segmentation = "vlan", "tagged", 101
	for range 2 {
		l.must(d.EnsureNetwork(t.Context(), n))
		l.must(d.EnsureNetwork(t.Context(), other))
	}
	for device, id := range map[string]int{"knvlanlab0.100": 100, "knvlanlab0.101": 101} {
		link, err := netlink.LinkByName(device)
		l.must(err)
		if vlan, ok := link.(*netlink.Vlan); !ok || vlan.VlanId != id || link.Attrs().MasterIndex == 0 {
			t.Errorf("%s: %+v", device, link)
		}
	}
	for range 2 {
		l.must(d.RemoveNetwork(t.Context(), n.ID))
	}
	if link, _ := d.link("knvlanlab0.100"); link != nil {
		t.Error("the VLAN device is left")
	}
	if link, _ := d.link("knvlanlab0.101"); link == nil {
		t.Error("another network's VLAN device is gone")
	}
	l.must(d.RemoveNetwork(t.Context(), other.ID))
	if link, _ := d.link(attrs.Name); link == nil {
		t.Error("the interface itself is gone")
	}
}
