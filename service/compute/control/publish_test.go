package control

import (
	"context"
	"slices"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// registry is a Placement that keeps what it is told, and may be an old one.
type registry struct {
	*room
	knows  bool
	asked  int
	traits map[string][]string // by provider
}

func (r *registry) KnowsTrait(context.Context, string) (bool, error) {
	r.asked++
	return r.knows, nil
}

func (r *registry) Publish(_ context.Context, id, _ string, _ map[string]compute.Inventory, traits []string) error {
	r.traits[id] = traits
	return nil
}

// TestHostsAreOursOnceAllAreKnownToBe: hosts are asked for by whose they are only
// when Placement knows that of all that live, and an older Placement is not told
// what it would refuse.
func TestHostsAreOursOnceAllAreKnownToBe(t *testing.T) {
	c, room := fleetOf(t, 2, 10, nil)
	r := &registry{room: room, traits: map[string][]string{}}
	now := time.Now()
	c.Placement, c.Now = r, func() time.Time { return now }
	publish := func(name string) {
		t.Helper()
		h, err := c.Store.Host(t.Context(), c.Store.DB, compute.BinaryCompute, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.publish(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		mustTx(t, c, func(tx *db.Tx) error { return c.Store.UpdateHost(t.Context(), tx, h) })
		if told := slices.Contains(r.traits[h.NodeID], compute.TraitOwner); told != r.knows {
			t.Errorf("host %s is ours: %v", name, told)
		}
	}
	owned := func(want bool) {
		t.Helper()
		c.fleet.forget()
		f, err := c.Fleet(t.Context())
		if err != nil || f.owned != want {
			t.Errorf("all are ours: %v, %v", f.owned, err)
		}
	}
	publish("h00000")
	publish("h00001")
	owned(false)
	if r.asked != 1 {
		t.Errorf("an older Placement is asked %d times at once", r.asked)
	}
	r.knows, now = true, now.Add(ownershipPause)
	c.Options.ServiceDown = 1 << 62
	publish("h00000")
	owned(false)
	publish("h00001")
	owned(true)
	if r.asked != 2 {
		t.Errorf("Placement is asked %d times", r.asked)
	}
}
