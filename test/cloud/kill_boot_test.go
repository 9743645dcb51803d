package cloud

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/test/cinder"
)

// TestVolumesOfServersThatNeverWere kills the process after the volume service has
// made one volume for a new server and reserved another, and before the server is
// written: nobody else knows of either, and both come back.
func TestVolumesOfServersThatNeverWere(t *testing.T) {
	volumes := cinder.New()
	reserved, dead := make(chan struct{}), make(chan struct{})
	var killing atomic.Bool
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if killing.Load() && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/attachments") {
			volumes.ServeHTTP(httptest.NewRecorder(), r)
			close(reserved)
			<-dead
			return
		}
		volumes.ServeHTTP(w, r)
	}))
	t.Cleanup(served.Close)
	p := newProcessWith(t, fmt.Sprintf("[peers]\nvolume = %q\n", served.URL+"/v3"))
	p.start(t)
	p.fillAndLogIn(t)
	hostsUp(t, p.cloud)
	spare := volumes.Add(1, false)
	opts := servers.CreateOpts{Name: "never", FlavorRef: "1", Networks: []servers.Network{{UUID: networkID(t, p.demo, "private")}}, BlockDevice: []servers.BlockDevice{
		{SourceType: servers.SourceImage, DestinationType: servers.DestinationVolume, UUID: imageID(t, p.demo), VolumeSize: 2, BootIndex: 0},
		{SourceType: servers.SourceVolume, DestinationType: servers.DestinationVolume, UUID: spare, BootIndex: -1}}}
	killing.Store(true)
	answered := make(chan error, 1)
	go func() {
		_, err := servers.Create(t.Context(), p.demo.compute, opts, nil).Extract()
		answered <- err
	}()
	<-reserved
	p.kill(t)
	killing.Store(false)
	close(dead)
	if err := <-answered; err == nil {
		t.Fatal("a server was made by a process that had died")
	}
	if left := volumes.Left(); len(left) != 3 {
		t.Fatalf("made are %v", left)
	}
	p.start(t)
	eventually(t, "the volumes' end", func() string {
		return is(fmt.Sprint([]string{"volume " + spare}), fmt.Sprint(volumes.Left()))
	})
	if got := volumes.Status(spare); got != "available" {
		t.Errorf("the volume that was reserved is %s", got)
	}
}
