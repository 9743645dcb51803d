package linuxbridge

import (
	"testing"

	"github.com/vishvananda/netlink"

	"kilonova/service/network/dataplane"
	"kilonova/service/network/dataplane/dataplanetest"
)

func TestLaw(t *testing.T) {
	l := newLab(t)
	plain := l.open()
	dataplanetest.Test(t, dataplanetest.Harness{
		Open: func(*testing.T) dataplane.Driver { return l.open() },
		Plug: func(t *testing.T, device string) {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = device
			if err := netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP}); err != nil {
				t.Fatal(err)
			}
		},
		Unplug:   func(_ *testing.T, device string) { l.unplug(device) },
		Physical: "public",
	})
	if err := plain.Clean(t.Context()); err != nil {
		t.Error(err)
	}
}
