package control

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
)

// placeQueue holds the builds that wait for a host. Whoever holds
// Control.placing decides for all that wait: with one question to Placement, one claim and one
// transaction. Each choice sees those before it, so that servers that are asked
// for at once spread as those asked for in turn do. Processes beside this one
// are kept apart by claim and hold.
type placeQueue struct {
	mu      sync.Mutex
	waiting []*placing
	view    *view      // of the caching scheduler; of whoever holds Control.placing
	memory  hostMemory // of the others' hosts; of the same
}

// placing is a build that waits for a host.
type placing struct {
	ctx   context.Context
	run   *task.Run
	s     *compute.Server
	state *buildState

	decision *decision
	done     bool
	err      error
}

// decision is the choice of a host.
type decision struct {
	question    question
	fresh       bool   // made by what Placement says now
	candidates  int    // hosts with room
	apart       string // what all hosts are but the one that was asked about; "": all were
	request     *schedule.Request
	choices     []schedule.Choice // best first
	explanation schedule.Explanation
	lacking     []schedule.Reason // what hosts lack in devices that Placement does not name
	began       time.Time
	took        time.Duration // until the host was claimed, for all that were decided with it
	together    int           // how many these were
}

// maxTogether bounds how many are decided together.
const maxTogether = 64

// take returns those who have waited longest.
func (q *placeQueue) take() []*placing {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), maxTogether)
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return batch
}

// place chooses a host and claims on it.
func (c *Control) place(ctx context.Context, run *task.Run, s *compute.Server, state *buildState) error {
	if err := c.unclaimed(ctx, run, s.ID); err != nil {
		return err
	}
	p := &placing{ctx: ctx, run: run, s: s, state: state}
	q := &c.places
	q.mu.Lock()
	q.waiting = append(q.waiting, p)
	q.mu.Unlock()
	c.placing.Lock()
	defer c.placing.Unlock()
	for !p.done { // somebody may have decided for this one meanwhile
		c.placeBatch(q.take())
	}
	return p.err
}

// placeBatch decides for a batch, together if that works out and else in turn.
func (c *Control) placeBatch(batch []*placing) {
	defer func() { // nobody waits for ever for one that panics
		for _, p := range batch {
			if !p.done {
				p.done, p.err = true, errBeside
			}
		}
	}()
	c.places.memory.again()
	began := c.Now()
	together := len(batch) > 1 && c.placeTogether(batch, began)
	for _, p := range batch {
		// Who got nothing after others had taken their share is decided for once
		// more: Placement lists a limited number of hosts, and there may be others.
		if !together || p.err != nil && !errors.Is(p.err, errAbandoned) {
			p.err = c.placeOne(p, c.Now(), c.viewOfBatch())
		}
		p.done = true
	}
	c.keepRefusals(batch)
}

// errBeside is what is left for those who were being decided for when deciding
// came to no end. Their tasks are tried again.
var errBeside = errors.New("a decision beside this one has panicked")

// keepRefusals keeps why builds found no host. That these wait no longer for it
// is more important than that it is kept.
func (c *Control) keepRefusals(batch []*placing) {
	var all []compute.PlacementRecord
	var servers []*compute.Server
	var ctx context.Context // of one whose task has not been lost
	for _, p := range batch {
		if p.err != nil && !errors.Is(p.err, errAbandoned) && p.ctx.Err() == nil {
			p.decision.took = c.Now().Sub(p.decision.began)
			all, servers, ctx = append(all, c.recordOf(p)), append(servers, p.s), p.ctx
		}
	}
	if len(all) == 0 {
		return
	}
	if err := c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.InsertPlacements(ctx, tx, all...); err != nil {
			return err
		}
		return c.tellDecision(ctx, tx, false, servers...)
	}); err != nil {
		c.Log.Warn("why servers found no host is not kept", "servers", len(all), "error", err)
	}
}

// serversPlaced are those of a batch that got a host.
func serversPlaced(batch []*placing) []*compute.Server {
	var all []*compute.Server
	for _, p := range batch {
		if p.err == nil {
			all = append(all, p.s)
		}
	}
	return all
}

// viewOfBatch is what the decisions of a batch see.
func (c *Control) viewOfBatch() *view {
	if c.scheduler.Driver() != schedule.CachingScheduler {
		v := newView(0)
		v.memory = &c.places.memory
		return v
	}
	if c.places.view == nil {
		c.places.view = newView(time.Duration(c.Options.Scheduler.Scheduler.CacheSeconds) * time.Second)
	}
	c.places.view.begin()
	return c.places.view
}

// placeOne decides for one build. When others were faster in what is held beyond
// the claim, what the choice was made by has changed, and it is made anew.
func (c *Control) placeOne(p *placing, began time.Time, v *view) error {
	for round := 1; ; round++ {
		err := c.placeOnce(p, began, v)
		if !errors.Is(err, errHeld) && !errors.Is(err, errRemembered) || round == placeRounds {
			return err
		}
	}
}

// errRemembered: the choice was made by what Placement has said before, and that
// holds no more.
var errRemembered = errors.New("what was remembered of the hosts holds no more")

// placeRounds bounds how often a choice is made anew because of others. Each time
// at least one of them got on.
const placeRounds = 20

// placeOnce takes the best host on which claim and hold succeed.
func (c *Control) placeOnce(p *placing, began time.Time, v *view) error {
	d, err := c.decideFor(p, v)
	p.note(d, began, 1)
	if err != nil {
		return err
	}
	var lost error
	for _, choice := range d.choices {
		err = c.Placement.Claim(p.ctx, choice.ProviderID, claimOf(p.s, d, choice))
		if err == nil {
			v.take(gift{choice.ProviderID, d.question.Resources, d.request}, p.s.ID, choice.Name)
			d.took = c.Now().Sub(began)
			err = c.placed(p.ctx, []*placing{p}, []schedule.Choice{choice})
			if !errors.Is(err, errHeld) {
				return err
			}
			v.drop(p.s.ID)
			if err := c.unclaim(p.ctx, p.run, p.s); err != nil {
				return err
			}
		} else if !fault.Is(err, fault.Conflict) {
			return err
		}
		v.forget() // somebody was faster
		if !errors.Is(lost, errHeld) {
			lost = err
		}
	}
	if !d.fresh {
		return fmt.Errorf("%w: %w", errRemembered, lost)
	}
	return fault.New(fault.Conflict, "No valid host was found. On each of the %d hosts that were chosen others took the room first: %w", len(d.choices), lost)
}

// decideFor is decide for one of a batch. A panic is the end of its build, which would
// else be tried again for ever, and not that of the others.
func (c *Control) decideFor(p *placing, v *view) (d *decision, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			v.forget() // it may be half-way through a change
			d, err = &decision{}, fmt.Errorf("deciding on a host for server %s: panic: %v\n%s", p.s.ID, cause, debug.Stack())
		}
	}()
	return c.decide(p.ctx, p.s, p.state, v)
}

// placeTogether decides for all of a batch at once; false when that did not work
// out and each is to be decided for alone, as if nothing had happened: what may
// have been claimed is given back.
func (c *Control) placeTogether(batch []*placing, began time.Time) bool {
	v := c.viewOfBatch()
	var found []*placing
	var choices []schedule.Choice
	var claims []compute.PlacedClaim
	for _, p := range batch {
		var d *decision
		d, p.err = c.decideFor(p, v)
		p.note(d, began, len(batch))
		if p.err != nil {
			continue
		}
		best := d.choices[0]
		v.take(gift{best.ProviderID, d.question.Resources, d.request}, p.s.ID, best.Name)
		found, choices = append(found, p), append(choices, best)
		claims = append(claims, compute.PlacedClaim{Claim: claimOf(p.s, d, best), ProviderID: best.ProviderID})
	}
	if len(found) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(found[0].ctx), claimPatience)
	defer cancel()
	err := c.Placement.ClaimAll(ctx, claims)
	claimed := !fault.Is(err, fault.Conflict)
	if err == nil {
		for _, p := range found {
			p.decision.took = c.Now().Sub(began)
		}
		err = c.placed(ctx, found, choices)
	}
	if err != nil {
		c.Log.Info("servers are placed one by one", "servers", len(found), "because", err)
		v.forget()
		if claimed {
			c.unclaimAll(ctx, found)
		}
		return false
	}
	return true
}

// unclaimAll releases claims, as far as it can: the next ones replace them. Those of
// builds that have become others' are theirs to release, who may have claimed anew.
func (c *Control) unclaimAll(ctx context.Context, all []*placing) {
	for _, p := range all {
		err := p.run.Check(ctx)
		if err == nil {
			err = c.Placement.Release(ctx, p.s.ID)
		}
		if err != nil {
			c.Log.Warn("a claim is not given back", "server", p.s.ID, "error", err)
		}
	}
}

// claimPatience bounds the claim and the transaction of a batch.
const claimPatience = 30 * time.Second

func claimOf(s *compute.Server, d *decision, choice schedule.Choice) compute.Claim {
	return compute.Claim{ServerID: s.ID, ProjectID: s.ProjectID, UserID: s.UserID, Resources: d.question.Resources, Allocations: choice.Allocations}
}

func (p *placing) note(d *decision, began time.Time, together int) {
	d.began, d.together = began, together
	p.decision, p.state.Explanation = d, &d.explanation
}

// placed notes hosts that are claimed: in the servers' rows and in the tasks,
// together. A server that shall no longer exist gets errAbandoned and leaves the
// others be.
func (c *Control) placed(ctx context.Context, all []*placing, choices []schedule.Choice) error {
	for i, p := range all {
		p.err = nil
		p.state.Host, p.state.Attempt = choices[i].Name, p.state.Attempt+1
		p.s.Host, p.s.Node = choices[i].Name, choices[i].Node
	}
	err := c.Store.Tx(ctx, func(tx *db.Tx) error {
		var records []compute.PlacementRecord
		for i, p := range all {
			if p.err = c.placedIn(ctx, tx, p, choices[i]); p.err == nil {
				records = append(records, c.recordOf(p))
			} else if !errors.Is(p.err, errAbandoned) {
				return p.err
			}
		}
		if err := c.Store.InsertPlacements(ctx, tx, records...); err != nil {
			return err
		}
		return c.tellDecision(ctx, tx, true, serversPlaced(all)...)
	})
	if err != nil {
		for _, p := range all {
			p.state.Host, p.state.Attempt = "", p.state.Attempt-1
			p.s.Host, p.s.Node = "", ""
		}
		return err
	}
	if len(all) == 1 {
		return all[0].err
	}
	return nil
}

func (c *Control) placedIn(ctx context.Context, tx *db.Tx, p *placing, choice schedule.Choice) error {
	p.s.Roots = choice.Roots
	if err := c.hold(ctx, tx, p.s, choice.Name); err != nil {
		return err
	}
	now := c.Now()
	ok, err := c.Store.UpdateServer(ctx, tx, p.s.ID, store.ServerPatch{Host: &p.s.Host, Node: &p.s.Node, Task: ptr(firstTask(p.s))},
		store.Expect{States: []compute.State{compute.Building}, Tasks: []compute.Task{compute.Scheduling, compute.Networking, compute.Spawning}, Existing: true}, now)
	if err != nil {
		return err
	}
	if !ok {
		return errAbandoned
	}
	e := eventOf("conductor_schedule_and_build_instances", choice.Name, p.run.Created, now, nil)
	e.Details = ptr(p.decision.explanation.Summary())
	if err := c.Store.AddEvent(ctx, tx, p.run.RequestID, p.s.ID, e, now); err != nil {
		return err
	}
	return p.run.SaveIn(ctx, tx, stepPlaced, *p.state)
}
