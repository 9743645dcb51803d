package cloud

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

// TestActionsKilledAtAnyMoment kills the process while servers are paused,
// suspended, rescued, shelved and copied, and sees that each gets where it was to
// go, and that in the end there are no images but those that were promised.
func TestActionsKilledAtAnyMoment(t *testing.T) {
	p := newProcess(t)
	p.start(t)
	p.fillAndLogIn(t)
	hostsUp(t, p.cloud)
	k := &killing{process: p, rnd: rand.New(rand.NewPCG(number("KILONOVA_SEED", 13), 2026)), image: imageID(t, p.demo), private: networkID(t, p.demo, "private"),
		servers: map[string]string{}, ports: map[string]bool{}, networks: map[string]bool{}, rounds: map[string]int{}}
	for _, name := range []string{"a", "b", "c"} {
		id := boot(t, p.cloud, p.demo, name).ID
		k.servers[id], k.order = "ACTIVE", append(k.order, id)
	}
	promised := map[string]bool{k.image: true}
	rounds := number("KILONOVA_KILLS", 25)
	began := time.Now()
	for range rounds {
		k.actionRound(t, promised)
		for id := range promised {
			awaitImage(t, k.demo, id)
		}
	}
	t.Logf("%d kills in %s: %v", rounds, time.Since(began).Round(time.Second), k.rounds)
	k.end(t)
	pages, err := images.List(k.admin.image, images.ListOpts{}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left, err := images.ExtractImages(pages)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range left {
		if !promised[image.ID] {
			t.Errorf("an image is left: %+v", image)
		}
	}
}

func (k *killing) actionRound(t *testing.T, promised map[string]bool) {
	t.Helper()
	verb := func(from, to, action string) func() {
		return func() {
			k.on(t, from, to, func(id string) error { return act(t, k.demo.compute, id, map[string]any{action: nil}, nil) })
		}
	}
	acts := []struct {
		name string
		do   func()
	}{{"pause", verb("ACTIVE", "PAUSED", "pause")}, {"unpause", verb("PAUSED", "ACTIVE", "unpause")}, {"suspend", verb("ACTIVE", "SUSPENDED", "suspend")},
		{"resume", verb("SUSPENDED", "ACTIVE", "resume")}, {"rescue", verb("ACTIVE", "RESCUE", "rescue")}, {"unrescue", verb("RESCUE", "ACTIVE", "unrescue")},
		{"shelve", verb("ACTIVE", "SHELVED_OFFLOADED", "shelve")}, {"shelve", verb("ACTIVE", "SHELVED_OFFLOADED", "shelve")},
		{"unshelve", verb("SHELVED_OFFLOADED", "ACTIVE", "unshelve")}, {"unshelve", verb("SHELVED_OFFLOADED", "ACTIVE", "unshelve")},
		{"copy", func() {
			k.on(t, "ACTIVE", "ACTIVE", func(id string) error {
				image, err := servers.CreateImage(t.Context(), k.demo.compute, id, servers.CreateImageOpts{Name: "copy"}).ExtractImageID()
				if err == nil {
					promised[image] = true
				}
				return err
			})
		}},
		{"shelve and delete", func() {
			id := k.pick("ACTIVE")
			if id == "" {
				return
			}
			verb("ACTIVE", "SHELVED_OFFLOADED", "shelve")()
			<-time.After(time.Duration(k.rnd.IntN(30)) * time.Millisecond)
			if id = k.pick("SHELVED_OFFLOADED"); id != "" && k.may(t, servers.Delete(t.Context(), k.demo.compute, id).ExtractErr()) {
				k.servers[id] = ""
			}
		}}}
	a := acts[k.rnd.IntN(len(acts))]
	k.rounds[a.name]++
	a.do()
	delay := time.Duration(k.rnd.IntN(60_000)) * time.Microsecond
	<-time.After(delay)
	k.kill(t)
	k.start(t)
	t.Logf("%s, killed after %s", a.name, delay)
	k.settled(t)
}
