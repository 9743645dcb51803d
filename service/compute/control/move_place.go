package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
)

// consumerMigration is the type of those who hold a server's old place in
// Placement, consumerServer that of servers.
const (
	consumerMigration = "MIGRATION"
	consumerServer    = "INSTANCE"
)

// A moveKind is what a kind of move asks of hosts, and says of its progress.
type moveKind struct {
	method string // that its new host serves
	what   string // "carry guests …", for the refusal
	task   compute.Task
	status compute.MigrationStatus
	event  string
}

var coldMove = moveKind{compute.ArriveGuest.Name, "receive guests from other hosts", compute.ResizeMigrates, compute.MigratingStatus, "compute_prep_resize"}

// leave has the migration hold what a server has claimed where it is, once: what the
// server has later is of its new place, also where it had nothing before.
func (c *Control) leave(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state *moveState) error {
	if state.Left {
		return nil
	}
	if err := c.Placement.Transfer(ctx, s.ID, m.ID, consumerMigration, true); err != nil {
		return err
	}
	state.Left = true
	return run.Save(ctx, run.Step, *state)
}

// placeMove chooses where a server goes, claims there what its new flavor takes,
// and notes both. As place does, it lets one after the other choose.
func (c *Control) placeMove(ctx context.Context, run *task.Run, s *compute.Server, m *compute.Migration, state *moveState, kind moveKind) error {
	c.placing.Lock()
	defer c.placing.Unlock()
	if err := c.unclaimed(ctx, run, s.ID); err != nil { // what it has where it is the migration holds
		return err
	}
	there := *s
	there.Flavor = m.NewFlavor
	fleet, err := c.Fleet(ctx)
	if err != nil {
		return err
	}
	began := c.Now()
	for round := 1; ; round++ {
		choices, err := c.moveChoices(ctx, &there, state, fleet)
		if err == nil {
			err = c.placeMoveOn(ctx, run, s, &there, m, state, kind, fleet, choices)
		}
		// Others were faster in what is held beyond the claim: choose anew.
		if !errors.Is(err, errHeld) || round == placeRounds {
			c.keepDecision(ctx, run, s.ID, m.DestHost, began, state.Place.Explanation, err)
			return err
		}
	}
}

// placeMoveOn takes the first of the chosen hosts that can carry the guest, and on
// which claim and hold succeed. there is the server as it will be.
func (c *Control) placeMoveOn(ctx context.Context, run *task.Run, s, there *compute.Server, m *compute.Migration, state *moveState, kind moveKind, fleet *Fleet, choices []schedule.Choice) error {
	claim := compute.Claim{ServerID: s.ID, ProjectID: s.ProjectID, UserID: s.UserID, Resources: resourcesOf(there)}
	unable, gone := 0, error(nil)
	for _, choice := range choices {
		h := fleet.byName[choice.Name]
		if h == nil || !slices.Contains(h.machine.methods, kind.method) {
			unable++
			continue
		}
		claim.Allocations, there.Roots = choice.Allocations, choice.Roots
		err := c.Placement.Claim(ctx, choice.ProviderID, claim)
		if fault.Is(err, fault.Conflict) {
			continue
		}
		if err != nil {
			return err
		}
		to := *m
		to.DestHost, to.DestNode, to.DestIP = choice.Name, choice.Node, h.ip
		err = c.moveStepSaying(ctx, run, s, &to, kind.task, kind.status, kind.event, choice.Name, summaryOf(state.Place.Explanation), func(tx *db.Tx) error {
			if err := c.holdMove(ctx, tx, there, &to); err != nil {
				return err
			}
			if err := c.tellDecision(ctx, tx, true, there); err != nil {
				return err
			}
			return run.SaveIn(ctx, tx, stepPlaced, *state)
		})
		if gone = err; errors.Is(err, errHeld) {
			if err := c.unclaim(ctx, run, there); err != nil {
				return err
			}
			continue
		}
		*m = to
		return err
	}
	if gone != nil {
		return fault.New(fault.Conflict, "No valid host was found: %w", gone)
	}
	return fault.Conflictf("No valid host was found. Of the %d hosts that were chosen %d cannot %s, and on the others somebody else took the room first.", len(choices), unable, kind.what)
}

// moveChoices are the hosts that a server may go to, the best first. A forced
// one is asked only for its room.
func (c *Control) moveChoices(ctx context.Context, there *compute.Server, state *moveState, fleet *Fleet) ([]schedule.Choice, error) {
	if !state.Forced {
		choices, explanation, err := c.choose(ctx, there, &state.Place)
		state.Place.Explanation = &explanation
		return choices, err
	}
	h := fleet.byName[state.Place.Requested.Host]
	if h == nil || !h.up(c.Now(), fleet.down) {
		return nil, fault.Conflictf("Compute service of %s is unavailable at this time.", state.Place.Requested.Host)
	}
	x := &schedule.Host{Name: h.name, Node: h.node, ProviderID: h.nodeID}
	q := baseQuestion(there)
	if err := c.askMore(ctx, &q, there); err != nil {
		return nil, err
	}
	if len(q.Groups) > 0 { // providers below the host have a part in it: which, Placement says
		q.InTree, q.Limit = h.nodeID, 1
		found, err := c.Placement.Candidates(ctx, q, nil)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fault.Conflictf("No valid host was found. Host %s has no room for all that server %s takes.", h.name, there.ID)
		}
		if x.Allocations = found[0].Allocations; found[0].Free != nil {
			return c.forcedDevices(ctx, there, &state.Place, fleet, found)
		}
	}
	return []schedule.Choice{{Host: x}}, nil
}

// forcedDevices chooses the devices that a server is to have on a host that nobody
// else was asked about.
func (c *Control) forcedDevices(ctx context.Context, there *compute.Server, place *buildState, fleet *Fleet, found []compute.Candidate) ([]schedule.Choice, error) {
	hosts, err := c.scheduleHosts(ctx, fleet, found, needs{seats: true}, nil)
	if err != nil {
		return nil, err
	}
	request, err := c.scheduleRequest(ctx, there, place)
	if err != nil {
		return nil, err
	}
	var choices []schedule.Choice
	for _, h := range hosts {
		choices = append(choices, schedule.Choice{Host: h})
	}
	if choices = chooseDevices(choices, request); len(choices) == 0 {
		return nil, fault.Conflictf("No valid host was found. Host %s has too few free PCI devices for what server %s asks for (%.64s).", place.Requested.Host, there.ID, there.Flavor.ExtraSpecs[aliasSpec])
	}
	return choices, nil
}
