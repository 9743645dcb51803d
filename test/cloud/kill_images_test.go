package cloud

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"kilonova/test/cinder"
)

// TestImagesOfVolumesKilledAtAnyMoment kills the process while it makes the
// snapshots of an image, and sees that there is the whole image afterwards or
// nothing of it, and that the server can be asked for another one.
func TestImagesOfVolumesKilledAtAnyMoment(t *testing.T) {
	p, volumes := processWithVolumes(t)
	rnd := rand.New(rand.NewPCG(number("KILONOVA_SEED", 19), 2026))
	id := bootWithVolumes(t, p.demo)
	for range number("KILONOVA_KILLS", 2) {
		asked := make(chan error, 1)
		go func() {
			asked <- servers.CreateImage(t.Context(), p.demo.compute, id, servers.CreateImageOpts{Name: "image"}).Err
		}()
		delay := time.Duration(rnd.IntN(30_000)) * time.Microsecond
		<-time.After(delay)
		p.kill(t)
		err := <-asked
		p.start(t)
		// What was cut off half-way is given up after half a minute.
		deadline := time.Now().Add(time.Minute)
		for s := ""; s != "ACTIVE"; {
			now, err := servers.Get(t.Context(), p.demo.compute, id).Extract()
			if err == nil && now.TaskState == "" {
				s = now.Status
			}
			if time.Now().After(deadline) {
				t.Fatalf("the server is %+v, %v", now, err)
			}
			<-time.After(50 * time.Millisecond)
		}
		t.Logf("killed after %s: %v; %d snapshots", delay, err, len(volumes.Snapshots()))
		eventually(t, "snapshots and images", func() string { return p.snapshotsNamed(t, volumes) })
	}
	goneServer(t, p.demo, id)
}

// snapshotsNamed sees that each snapshot is named by an image, and each image's
// snapshots are there.
func (p *process) snapshotsNamed(t *testing.T, volumes *cinder.Service) string {
	t.Helper()
	pages, err := images.List(p.demo.image, images.ListOpts{Name: "image"}).AllPages(t.Context())
	if err != nil {
		return err.Error()
	}
	all, err := images.ExtractImages(pages)
	if err != nil {
		return err.Error()
	}
	named, there := "", volumes.Snapshots()
	for _, image := range all {
		mapping, _ := image.Properties["block_device_mapping"].(string)
		if image.Status != images.ImageStatusActive || strings.Count(mapping, `"source_type":"snapshot"`) != 2 {
			return fmt.Sprintf("image %s is %s and names %s", image.ID, image.Status, mapping)
		}
		named += mapping
	}
	for _, snapshot := range there {
		if !strings.Contains(named, snapshot) {
			return "nobody names snapshot " + snapshot
		}
	}
	if len(there) != 2*len(all) {
		return fmt.Sprintf("%d images name two snapshots each, and there are %v", len(all), there)
	}
	return ""
}
