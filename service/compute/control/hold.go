package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
)

// errHeld: between the choice of a host and its noting others have taken what
// made it fit. The next host is tried, or the choice is made anew.
var errHeld = errors.New("others were faster")

// hold decides in tx, once and for all, that a server may be on a host, and notes
// what it takes there beyond its claim in Placement: a seat in its group. It is
// called by the transaction that notes the host, and fails with errHeld when what the choice was made by is no longer so:
// those who decide about one group come here one after the other, from whatever
// process. A hold needs not be given back: it counts only while its server is on
// that host or on the way.
func (c *Control) hold(ctx context.Context, tx *db.Tx, s *compute.Server, host string) error {
	return c.holdBeside(ctx, tx, s, host, nil)
}

// holdMove is hold for a server that moves. Where it stays on its host, with another
// flavor, what it has there is kept until the move is confirmed.
func (c *Control) holdMove(ctx context.Context, tx *db.Tx, there *compute.Server, m *compute.Migration) error {
	if m.DestHost != m.SourceHost {
		return c.hold(ctx, tx, there, m.DestHost)
	}
	before, err := c.Store.Hold(ctx, tx, there.ID, m.SourceHost)
	if err != nil {
		return err
	}
	before.Before = nil
	return c.holdBeside(ctx, tx, there, m.DestHost, &before)
}

func (c *Control) holdBeside(ctx context.Context, tx *db.Tx, s *compute.Server, host string, before *compute.Hold) error {
	grouped, err := c.holdSeat(ctx, tx, s, host)
	if err != nil {
		return err
	}
	hold, err := c.holdHardware(ctx, tx, s, host, before)
	if err != nil || !grouped && hold.Empty() && before.Empty() {
		return err
	}
	if !hold.Empty() {
		told := hold
		s.Hold = &told
	}
	hold.Before = before
	return c.Store.PutHold(ctx, tx, s.ID, host, hold)
}

// unclaim gives back what was claimed on a host that could not be held: of devices there
// are few, and the next choice shall not find the last one taken by its own server.
func (c *Control) unclaim(ctx context.Context, run *task.Run, s *compute.Server) error {
	if s.Roots == nil {
		return nil
	}
	if err := run.Check(ctx); err != nil { // else it would be whose that goes on with the task
		return err
	}
	return c.Placement.Release(ctx, s.ID)
}

// unclaimed gives back what an earlier run of a task has claimed for a server if it died
// before it could note where: the choice that is made anew shall not find the room taken
// by its own server.
func (c *Control) unclaimed(ctx context.Context, run *task.Run, serverID string) error {
	if run.Attempt <= 1 {
		return nil
	}
	return c.Placement.Release(ctx, serverID)
}

// holdOnly ends the time in which a server has two holds of the host on which it has
// got another flavor: back is whether it has what it had before.
func (c *Control) holdOnly(ctx context.Context, m *compute.Migration, back bool) error {
	if m.DestHost != m.SourceHost {
		return nil
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		hold, err := c.Store.Hold(ctx, tx, m.ServerID, m.SourceHost)
		if err != nil || hold.Before == nil {
			return err
		}
		if back {
			hold = *hold.Before
		}
		hold.Before = nil
		return c.Store.PutHold(ctx, tx, m.ServerID, m.SourceHost, hold)
	})
}

// heldBy returns what a server has of a host to itself, nil for nothing.
func (c *Control) heldBy(ctx context.Context, s *compute.Server, host string) (*compute.Hold, error) {
	if host == "" || !c.asksForHardware(s) {
		return nil, nil
	}
	hold, err := c.Store.Hold(ctx, c.Store.DB, s.ID, host)
	if err != nil || hold.Empty() {
		return nil, err
	}
	hold.Before = nil
	return &hold, nil
}

// holdSeat decides whether the server's group has a seat on a host for it, and
// reports whether it is in a group.
func (c *Control) holdSeat(ctx context.Context, tx *db.Tx, s *compute.Server, host string) (bool, error) {
	hinted := texts(s.Hints["group"]) // as the user has put it: hintedGroup has seen to it that it is one
	if len(hinted) == 0 {
		return false, nil
	}
	there, err := c.Store.GroupTurn(ctx, tx, hinted[0])
	if err != nil || !there {
		return false, err // a group that is deleted has no say
	}
	g, err := c.Store.GroupOf(ctx, tx, s.ID)
	if err != nil || g == nil {
		return false, err
	}
	places, err := c.Store.PlacesOf(ctx, tx, g.ID)
	if err != nil {
		return false, err
	}
	delete(places, s.ID)
	return true, seatFor(g, places, host)
}

// seatFor says whether one more of a group may come to a host, where the others
// are in places.
func seatFor(g *compute.ServerGroup, places map[string][]string, host string) error {
	here := 0
	for _, hosts := range places {
		if slices.Contains(hosts, host) {
			here++
		}
		// One that moves may yet end up in either place.
		if g.Policy == compute.Affinity && slices.ContainsFunc(hosts, func(h string) bool { return h != host }) {
			return fault.New(fault.Conflict, "Server group %s of policy affinity is on other hosts than %s: %w", g.ID, host, errHeld)
		}
	}
	if most := max(1, g.MaxPerHost); g.Policy == compute.AntiAffinity && here >= most {
		return fault.New(fault.Conflict, "Host %s has %d servers of server group %s, which allows %d: %w", host, here, g.ID, most, errHeld)
	}
	return nil
}
