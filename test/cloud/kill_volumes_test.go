package cloud

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"

	"kilonova/test/cinder"
)

// volumeKilling are servers with volumes whose cloud is killed, beside a volume
// service that lives on.
type volumeKilling struct {
	*killing
	volumes *cinder.Service
	spare   []string // volumes that come and go
}

// processWithVolumes is a process of its own, beside a volume service that is not
// killed with it.
func processWithVolumes(t *testing.T) (*process, *cinder.Service) {
	t.Helper()
	volumes := cinder.New()
	served := httptest.NewServer(volumes)
	t.Cleanup(served.Close)
	p := newProcessWith(t, fmt.Sprintf("[peers]\nvolume = %q\n", served.URL+"/v3"))
	p.start(t)
	p.fillAndLogIn(t)
	hostsUp(t, p.cloud)
	return p, volumes
}

// TestVolumesKilledAtAnyMoment kills the process while servers with volumes move
// and volumes come and go, and sees that volume service, server and guest agree
// afterwards, and that nothing is left over in the end.
func TestVolumesKilledAtAnyMoment(t *testing.T) {
	p, volumes := processWithVolumes(t)
	k := &volumeKilling{volumes: volumes, spare: []string{volumes.Add(1, false), volumes.Add(2, false)},
		killing: &killing{process: p, rnd: rand.New(rand.NewPCG(number("KILONOVA_SEED", 17), 2026)), image: imageID(t, p.demo), private: networkID(t, p.demo, "private"),
			servers: map[string]string{}, ports: map[string]bool{}, networks: map[string]bool{}, rounds: map[string]int{}}}
	for range 2 {
		id := bootWithVolumes(t, p.demo)
		k.servers[id], k.order = "ACTIVE", append(k.order, id)
	}
	rounds := number("KILONOVA_KILLS", 25)
	began := time.Now()
	for range rounds {
		k.volumeRound(t)
	}
	t.Logf("%d kills in %s: %v", rounds, time.Since(began).Round(time.Second), k.rounds)
	k.end(t)
	left := volumes.Left()
	for _, id := range k.spare {
		left = slices.DeleteFunc(left, func(x string) bool { return x == "volume "+id })
	}
	if len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

func (k *volumeKilling) volumeRound(t *testing.T) {
	t.Helper()
	verb := func(from, to, body string) func(*testing.T) {
		return func(t *testing.T) { k.asAdmin(t, from, to, body) }
	}
	k.strike(t, 160*time.Millisecond, []stroke{{"resize", k.resize}, {"migrate", k.migrate}, {"confirm", k.confirm}, {"confirm", k.confirm}, {"revert", k.revert}, {"revert", k.revert}, {"live", k.live}, {"live", k.live},
		{"shelve", verb("ACTIVE", "SHELVED_OFFLOADED", `{"shelve":null}`)}, {"unshelve", verb("SHELVED_OFFLOADED", "ACTIVE", `{"unshelve":null}`)},
		{"unshelve", verb("SHELVED_OFFLOADED", "ACTIVE", `{"unshelve":null}`)}, {"reboot", k.rebootHard}, {"attach", k.attachVolume}, {"detach", k.detachVolume}, {"boot", k.bootFromVolume}, {"delete", k.delete}})
	for id, status := range k.servers {
		if status != "" {
			k.volumesAgree(t, id)
		}
	}
}

// volumesAgree sees that what a server has of volumes is what the volume service
// and its guest's host say.
func (k *volumeKilling) volumesAgree(t *testing.T, id string) {
	t.Helper()
	eventually(t, "volumes of "+id, func() string {
		s, err := servers.Get(t.Context(), k.admin.compute, id).Extract()
		if err != nil {
			return err.Error()
		}
		at, want := s.Host, s.Host+" attached"
		if s.Status == "SHELVED_OFFLOADED" {
			want = "- reserved"
		}
		var has []string
		for _, v := range s.AttachedVolumes {
			has = append(has, v.ID)
			if held := k.volumes.Held(v.ID); !slices.Equal(held, []string{want}) {
				return fmt.Sprintf("%s on %q: volume %s is held by %v, want %s", s.Status, at, v.ID, held, want)
			}
		}
		if at == "" {
			return ""
		}
		var guest []string
		for _, v := range k.fakeHosts(t)[at].Guests[id].Spec.Volumes {
			guest = append(guest, v.ID)
			if want := "/volumes/" + at + "/" + v.ID; v.Path != want {
				return fmt.Sprintf("the guest has a volume at %s, want %s", v.Path, want)
			}
		}
		slices.Sort(has)
		slices.Sort(guest)
		if !slices.Equal(has, guest) {
			return fmt.Sprintf("the server has %v, its guest %v", has, guest)
		}
		return ""
	})
}

func (k *volumeKilling) bootFromVolume(t *testing.T) {
	opts := servers.CreateOpts{Name: "killed", FlavorRef: "1", Networks: []servers.Network{{UUID: k.private}}, BlockDevice: []servers.BlockDevice{
		{SourceType: servers.SourceImage, DestinationType: servers.DestinationVolume, UUID: k.image, VolumeSize: 2, BootIndex: 0, DeleteOnTermination: true}}}
	if s, err := servers.Create(t.Context(), k.demo.compute, opts, nil).Extract(); k.may(t, err) {
		k.servers[s.ID], k.order = "ACTIVE", append(k.order, s.ID)
	}
}

func (k *volumeKilling) attachVolume(t *testing.T) {
	for _, volume := range k.spare {
		if k.volumes.Status(volume) != "available" {
			continue
		}
		k.on(t, "ACTIVE", "ACTIVE", func(id string) error {
			_, err := volumeattach.Create(t.Context(), k.demo.compute, id, volumeattach.CreateOpts{VolumeID: volume}).Extract()
			return err
		})
		return
	}
}

func (k *volumeKilling) detachVolume(t *testing.T) {
	id := k.pick("ACTIVE")
	if id == "" {
		return
	}
	s, err := servers.Get(t.Context(), k.admin.compute, id).Extract()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range s.AttachedVolumes {
		if slices.Contains(k.spare, v.ID) {
			k.may(t, volumeattach.Delete(t.Context(), k.demo.compute, id, v.ID).ExtractErr())
			return
		}
	}
}
