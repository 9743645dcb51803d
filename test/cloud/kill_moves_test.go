package cloud

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestMovesKilledAtAnyMoment kills the process while servers are on their way to
// other hosts and flavors, and sees that each arrives, or is where it was, with
// one guest, one claim and its ports there; in the end nothing is left over.
func TestMovesKilledAtAnyMoment(t *testing.T) {
	p := newProcess(t)
	p.start(t)
	p.fillAndLogIn(t)
	hostsUp(t, p.cloud)
	k := &killing{process: p, rnd: rand.New(rand.NewPCG(number("KILONOVA_SEED", 11), 2026)), image: imageID(t, p.demo), private: networkID(t, p.demo, "private"),
		servers: map[string]string{}, ports: map[string]bool{}, networks: map[string]bool{}, rounds: map[string]int{}}
	for _, name := range []string{"a", "b", "c"} {
		id := boot(t, p.cloud, p.demo, name).ID
		k.servers[id], k.order = "ACTIVE", append(k.order, id)
	}
	rounds := number("KILONOVA_KILLS", 30)
	began := time.Now()
	for range rounds {
		k.moveRound(t)
	}
	t.Logf("%d kills in %s: %v", rounds, time.Since(began).Round(time.Second), k.rounds)
	k.end(t)
}

func (k *killing) moveRound(t *testing.T) {
	t.Helper()
	k.strike(t, 120*time.Millisecond, []stroke{{"resize", k.resize}, {"resize", k.resize}, {"migrate", k.migrate}, {"confirm", k.confirm}, {"confirm", k.confirm}, {"revert", k.revert}, {"revert", k.revert},
		{"live", k.live}, {"live", k.live}, {"rebuild", k.rebuild}, {"delete while moving", k.moveAndDelete}, {"stop", k.stop}, {"start", k.startServer}})
	for id, status := range k.servers {
		if status == "ACTIVE" || status == "SHUTOFF" || status == "VERIFY_RESIZE" {
			k.inOnePlace(t, id, status)
		}
	}
}

// stroke is something that may be under way when the process is killed.
type stroke struct {
	name string
	do   func(*testing.T)
}

// strike begins one of the acts, kills the process within a time, starts it again
// and waits until all servers are settled.
func (k *killing) strike(t *testing.T, within time.Duration, acts []stroke) {
	t.Helper()
	act := acts[k.rnd.IntN(len(acts))]
	k.rounds[act.name]++
	act.do(t)
	delay := time.Duration(k.rnd.Int64N(int64(within)))
	<-time.After(delay)
	k.kill(t)
	k.start(t)
	t.Logf("%s, killed after %s", act.name, delay)
	k.settled(t)
}

// inOnePlace sees that a server's guest, devices, ports and claim agree.
func (k *killing) inOnePlace(t *testing.T, id, status string) {
	t.Helper()
	eventually(t, "place of "+id, func() string {
		s, err := servers.Get(t.Context(), k.admin.compute, id).Extract()
		if err != nil {
			return err.Error()
		}
		at := k.where(t, id)
		claim := fmt.Sprintf("server@%s=1 ", at.host)
		if status == "VERIFY_RESIZE" {
			claim += fmt.Sprintf("migration@%s=1 ", at.parked)
		}
		if at.host != s.Host || at.ports != at.host || at.claims != claim || (status == "VERIFY_RESIZE") != (at.parked != "") || at.taps != at.host {
			return fmt.Sprintf("its host is %s, and it is %+v", s.Host, at)
		}
		return ""
	})
}

func (k *killing) resize(t *testing.T) {
	k.on(t, "ACTIVE", "VERIFY_RESIZE", func(id string) error {
		s, err := servers.Get(t.Context(), k.demo.compute, id).Extract()
		if err != nil {
			return err
		}
		to := map[bool]string{true: "2", false: "1"}[s.Flavor["original_name"] == "m1.nano"]
		return servers.Resize(t.Context(), k.demo.compute, id, servers.ResizeOpts{FlavorRef: to}).ExtractErr()
	})
}

func (k *killing) asAdmin(t *testing.T, from, to, body string) {
	k.on(t, from, to, func(id string) error { return ask(t, k.admin, id, json.RawMessage(body)) })
}

func (k *killing) migrate(t *testing.T) { k.asAdmin(t, "ACTIVE", "VERIFY_RESIZE", `{"migrate":null}`) }

func (k *killing) live(t *testing.T) {
	k.asAdmin(t, "ACTIVE", "ACTIVE", `{"os-migrateLive":{"host":null,"block_migration":"auto"}}`)
}

func (k *killing) confirm(t *testing.T) {
	k.on(t, "VERIFY_RESIZE", "ACTIVE", func(id string) error { return servers.ConfirmResize(t.Context(), k.demo.compute, id).ExtractErr() })
}

func (k *killing) revert(t *testing.T) {
	k.on(t, "VERIFY_RESIZE", "ACTIVE", func(id string) error { return servers.RevertResize(t.Context(), k.demo.compute, id).ExtractErr() })
}

func (k *killing) rebuild(t *testing.T) {
	k.on(t, "ACTIVE", "ACTIVE", func(id string) error {
		_, err := servers.Rebuild(t.Context(), k.demo.compute, id, servers.RebuildOpts{ImageRef: k.image}).Extract()
		return err
	})
}

func (k *killing) moveAndDelete(t *testing.T) {
	k.migrate(t)
	id := k.pick("VERIFY_RESIZE")
	<-time.After(time.Duration(k.rnd.IntN(60)) * time.Millisecond)
	if id != "" && k.may(t, servers.Delete(t.Context(), k.demo.compute, id).ExtractErr()) {
		k.servers[id] = ""
	}
}
