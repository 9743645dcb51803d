package cloud

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestLocalDisks boots servers whose flavor has ephemeral disks and swap space, and
// sees that their guests have them, as asked for where something was asked for,
// after a move to a larger flavor too; a flavor that would lose one is refused.
func TestLocalDisks(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		for id, gb := range map[string]int{"scratch": 2, "scratch-large": 4, "scratch-none": 0} {
			swap := 512
			_, err := flavors.Create(t.Context(), c.admin.compute, flavors.CreateOpts{ID: id, Name: id, RAM: 64, VCPUs: 1, Disk: gophercloud.IntToPointer(1), Ephemeral: &gb, Swap: &swap}).Extract()
			if err != nil {
				t.Fatal(err)
			}
		}
		image, network := imageID(t, c.demo), networkID(t, c.demo, "private")
		create := func(disks ...servers.BlockDevice) (*servers.Server, error) {
			opts := servers.CreateOpts{Name: "scratch", FlavorRef: "scratch", ImageRef: image, Networks: []servers.Network{{UUID: network}}}
			if len(disks) > 0 {
				root := servers.BlockDevice{SourceType: "image", DestinationType: "local", UUID: image, BootIndex: 0, DeleteOnTermination: true}
				opts.BlockDevice = append([]servers.BlockDevice{root}, disks...)
			}
			return servers.Create(t.Context(), c.demo.compute, opts, nil).Extract()
		}
		blank := func(size int, format string) servers.BlockDevice {
			return servers.BlockDevice{SourceType: "blank", DestinationType: "local", BootIndex: -1, VolumeSize: size, GuestFormat: format, DeleteOnTermination: true}
		}
		for what, disks := range map[string][]servers.BlockDevice{
			"too large": {blank(3, "")}, "too large together": {blank(1, ""), blank(2, "")}, "two swaps": {blank(1, "swap"), blank(1, "swap")},
			"large swap": {blank(513, "swap")}, "a strange format": {blank(1, "zfs")}, "too many": {blank(1, "ext4"), blank(1, "ext4"), blank(512, "swap")}} {
			_, err := create(disks...)
			wantCode(t, what, err, http.StatusBadRequest)
		}
		plain, err := create()
		if err != nil {
			t.Fatal(err)
		}
		asked, err := create(blank(1, "xfs"), blank(256, "swap"))
		if err != nil {
			t.Fatal(err)
		}
		idle(t, c.demo, plain.ID, "ACTIVE")
		idle(t, c.demo, asked.ID, "ACTIVE")
		wantDisks(t, c, plain.ID, "2048MB /dev/vdb, swap 512MB /dev/vdc, ")
		wantDisks(t, c, asked.ID, "1024MB xfs /dev/vdb, swap 256MB /dev/vdc, ")
		resize := func(flavor, status string) {
			if err := servers.Resize(t.Context(), c.demo.compute, plain.ID, servers.ResizeOpts{FlavorRef: flavor}).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			idle(t, c.demo, plain.ID, status)
		}
		resize("scratch-none", "ACTIVE") // and not VERIFY_RESIZE
		wantDisks(t, c, plain.ID, "2048MB /dev/vdb, swap 512MB /dev/vdc, ")
		resize("scratch-large", "VERIFY_RESIZE")
		wantDisks(t, c, plain.ID, "4096MB /dev/vdb, swap 512MB /dev/vdc, ")
		if err := servers.RevertResize(t.Context(), c.demo.compute, plain.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		idle(t, c.demo, plain.ID, "ACTIVE")
		wantDisks(t, c, plain.ID, "2048MB /dev/vdb, swap 512MB /dev/vdc, ")
	})
}

// wantDisks looks at the further disks that a server's guest has.
func wantDisks(t *testing.T, c *cloud, id, want string) {
	t.Helper()
	eventually(t, "disks of "+id, func() string {
		got := ""
		for _, h := range c.fakeHosts(t) {
			g, here := h.Guests[id]
			if !here {
				continue
			}
			for _, d := range g.Spec.Disks {
				if d.Swap {
					got += "swap "
				}
				got += fmt.Sprintf("%dMB ", d.SizeMB)
				if d.Format != "" {
					got += d.Format + " "
				}
				got += d.Device + ", "
			}
		}
		if got != want {
			return fmt.Sprintf("%q, want %q", got, want)
		}
		return ""
	})
}
