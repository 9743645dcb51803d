package cloud

import (
	"net/http/httptest"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/aggregates"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"

	"kilonova/stack"
	"kilonova/test/cinder"
)

// TestVolumesStayInTheirZone has servers and volumes in the same availability zone,
// as [cinder] cross_az_attach = false says.
func TestVolumesStayInTheirZone(t *testing.T) {
	volumes := cinder.New()
	served := httptest.NewServer(volumes)
	t.Cleanup(served.Close)
	c := oneWith(t, func(c *stack.Config) {
		c.Cinder.CrossAZAttach = false
		c.Peers = map[string]string{"volume": served.URL + "/v3"}
	})
	hostsUp(t, c)
	u := c.admin
	north, err := aggregates.Create(t.Context(), u.compute, aggregates.CreateOpts{Name: "north", AvailabilityZone: "north"}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := aggregates.AddHost(t.Context(), u.compute, north.ID, aggregates.AddHostOpts{Host: "dev-1"}).Extract(); err != nil {
		t.Fatal(err)
	}
	zoned := func(zone string) string {
		id := volumes.Add(1, true)
		volumes.SetZone(id, zone)
		return id
	}
	create := func(zone string, disks ...servers.BlockDevice) (*servers.Server, error) {
		o := servers.CreateOpts{Name: "s", FlavorRef: "1", Networks: []servers.Network{{UUID: networkID(t, u, "private")}}, AvailabilityZone: zone, BlockDevice: disks}
		if len(disks) == 0 {
			o.ImageRef = imageID(t, u)
		}
		return servers.Create(t.Context(), u.compute, o, nil).Extract()
	}
	volume := func(id string, index int) servers.BlockDevice {
		return servers.BlockDevice{SourceType: servers.SourceVolume, DestinationType: servers.DestinationVolume, UUID: id, BootIndex: index}
	}
	zoneOf := func(id string) string {
		t.Helper()
		s, err := servers.Get(t.Context(), u.compute, id).Extract()
		if err != nil {
			t.Fatal(err)
		}
		return s.AvailabilityZone
	}

	// What does not fit is refused, and nothing is kept of it.
	for what, try := range map[string]func() error{
		"a boot in another zone": func() error { _, err := create("nova", volume(zoned("north"), 0)); return err },
		"a boot of two zones": func() error {
			_, err := create("", volume(zoned("north"), 0), volume(zoned("nova"), 1))
			return err
		},
		"a boot in a zone without hosts": func() error { _, err := create("", volume(zoned("south"), 0)); return err },
	} {
		wantCode(t, what, try(), 400)
	}

	// Who names no zone goes where the volume is.
	s, err := create("", volume(zoned("north"), 0))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "server beside its volume", statusOf(t, u, s.ID))
	if zone := zoneOf(s.ID); zone != "north" {
		t.Errorf("a server with a volume in north is in %s", zone)
	}
	far, near := zoned("nova"), zoned("north")
	_, err = volumeattach.Create(t.Context(), u.compute, s.ID, volumeattach.CreateOpts{VolumeID: far}).Extract()
	wantCode(t, "a volume of another zone", err, 400)
	if status := volumes.Status(far); status != "available" {
		t.Errorf("a volume that was refused is %s", status)
	}
	if _, err := volumeattach.Create(t.Context(), u.compute, s.ID, volumeattach.CreateOpts{VolumeID: near}).Extract(); err != nil {
		t.Error(err)
	}

	// A volume that is made for a server is made in its zone.
	made, err := create("north", servers.BlockDevice{SourceType: servers.SourceImage, DestinationType: servers.DestinationVolume, UUID: imageID(t, u), VolumeSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "server with a volume of its own", statusOf(t, u, made.ID))
	pages, err := volumeattach.List(u.compute, made.ID).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	attached, err := volumeattach.ExtractVolumeAttachments(pages)
	if err != nil || len(attached) != 1 {
		t.Fatalf("%v, %v", attached, err)
	}
	if zone := volumes.Zone(attached[0].VolumeID); zone != "north" {
		t.Errorf("a volume made for a server in north is in %s", zone)
	}
}
