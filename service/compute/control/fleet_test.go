package control

import (
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// clocked is a control of three hosts with a clock that the test turns, and its first
// fleet.
func clocked(t *testing.T) (c *Control, now *time.Time, first *Fleet) {
	t.Helper()
	c, _ = fleetOf(t, 3, 10, nil)
	now = new(time.Now())
	c.Now = func() time.Time { return *now }
	first, err := c.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c, now, first
}

// TestDecisionsDoNotWaitForTheFleet: who is content with an older fleet gets the
// last one, and the next one is read meanwhile; one that has been forgotten while
// it was read is not brought back.
func TestDecisionsDoNotWaitForTheFleet(t *testing.T) {
	c, now, first := clocked(t)
	began := *now
	in := func(name string) {
		t.Helper()
		h := &compute.Host{ID: newID(), NodeID: newID(), Binary: compute.BinaryCompute, Name: name, LastSeen: began, CreatedAt: began, UpdatedAt: began}
		if err := c.Store.Tx(t.Context(), func(tx *db.Tx) error { return c.Store.InsertHost(t.Context(), tx, h) }); err != nil {
			t.Fatal(err)
		}
	}
	in("late")
	c.fleet.outdate()
	c.fleet.cost = 50 * fleetWait // as of many hosts
	*now = began.Add(5 * time.Second)
	second, err := c.fleetWithin(t.Context(), fleetPatience)
	if err != nil || second != first {
		t.Fatalf("waited for %d hosts, %v", len(second.hosts), err)
	}
	for second == first { // ends with the test's own limit, should it never come
		if second, err = c.fleetWithin(t.Context(), fleetPatience); err != nil {
			t.Fatal(err)
		}
	}
	if second.byName["late"] == nil {
		t.Error("the fleet that was read meanwhile is an old one")
	}
	turn := c.fleet.turn
	in("later")
	c.fleet.forget()
	c.rereadFleet(t.Context(), &fleetReading{done: make(chan struct{})}, turn)
	if third, err := c.fleetWithin(t.Context(), fleetPatience); err != nil || third.byName["later"] == nil {
		t.Error("a fleet that was forgotten came back", err)
	}
	*now = now.Add(2 * fleetPatience)
	in("last")
	if fourth, err := c.fleetWithin(t.Context(), fleetPatience); err != nil || fourth.byName["last"] == nil {
		t.Error("a fleet older than asked for was given", err)
	}
}

// TestTheFleetIsReadOnceForAll: those who want it at the same time wait for one
// reading, and a decision that comes meanwhile for none. Where reading takes no time
// decisions see what is there now.
func TestTheFleetIsReadOnceForAll(t *testing.T) {
	c, now, first := clocked(t)
	began := *now
	*now = began.Add(5 * time.Second)
	c.fleet.outdate()
	second, err := c.fleetWithin(t.Context(), fleetPatience)
	if err != nil || second == first {
		t.Fatalf("an old fleet of few hosts was used, %v", err)
	}
	under := &fleetReading{done: make(chan struct{})} // as if somebody were reading it
	c.fleet.mu.Lock()
	c.fleet.reading, c.fleet.cost = under, 50*fleetWait
	c.fleet.mu.Unlock()
	*now = now.Add(5 * time.Second)
	c.fleet.outdate()
	if decided, err := c.fleetWithin(t.Context(), fleetPatience); err != nil || decided != second {
		t.Errorf("a decision waited for the hosts, %v", err)
	}
	waited := make(chan *Fleet)
	for range 4 {
		go func() {
			f, err := c.Fleet(t.Context())
			if err != nil {
				t.Error(err)
			}
			waited <- f
		}()
	}
	c.rereadFleet(t.Context(), under, c.fleet.turn)
	third := <-waited
	if third == second {
		t.Error("who wants what is there now got an old fleet")
	}
	for range 3 {
		if f := <-waited; f != third {
			t.Error("the fleet was read more than once")
		}
	}
}
