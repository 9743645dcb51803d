package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// room is a Placement with a number of hosts, of which it lists limit.
type room struct {
	compute.Placement
	mu            sync.Mutex
	free          map[string]int // VCPUs by provider
	names         []string
	total         int
	asked, claims int
	holders       map[string]string
	took          map[string]int // VCPUs, by holder
}

func (r *room) Candidates(_ context.Context, q compute.CandidateQuery, _ []compute.Candidate) ([]compute.Candidate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	var all []compute.Candidate
	for _, id := range r.names {
		if r.free[id] >= q.Resources["VCPU"] && len(all) < q.Limit && (q.InTree == "" || q.InTree == id) {
			all = append(all, compute.Candidate{ProviderID: id, Capacity: compute.Capacity{{Class: "VCPU", Capacity: r.total, Used: r.total - r.free[id]},
				{Class: "MEMORY_MB", Capacity: 1 << 20}}})
		}
	}
	return all, nil
}

func (r *room) Claim(ctx context.Context, id string, c compute.Claim) error {
	return r.ClaimAll(ctx, []compute.PlacedClaim{{Claim: c, ProviderID: id}})
}

func (r *room) ClaimAll(_ context.Context, claims []compute.PlacedClaim) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims++
	left := map[string]int{}
	for _, c := range claims {
		if _, ok := left[c.ProviderID]; !ok {
			left[c.ProviderID] = r.free[c.ProviderID]
		}
		if left[c.ProviderID] -= c.Resources["VCPU"]; left[c.ProviderID] < 0 || r.holders[c.ServerID] != "" {
			return fault.Conflictf("There is no room on %s.", c.ProviderID)
		}
	}
	for id, n := range left {
		r.free[id] = n
	}
	for _, c := range claims {
		r.holders[c.ServerID], r.took[c.ServerID] = c.ProviderID, c.Resources["VCPU"]
	}
	return nil
}

func (r *room) Release(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free[r.holders[id]] += r.took[id]
	delete(r.holders, id)
	delete(r.took, id)
	return nil
}

// fleetOf makes a control with n live hosts of size VCPUs each.
func fleetOf(t testing.TB, n, size int, change func(*Options)) (*Control, *room) {
	t.Helper()
	d, err := db.Open(t.Context(), "sqlite://"+t.TempDir()+"/compute.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	st, err := store.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	r := &room{free: map[string]int{}, total: size, holders: map[string]string{}, took: map[string]int{}}
	err = d.Tx(t.Context(), func(tx *db.Tx) error {
		for i := range n {
			id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
			r.names, r.free[id] = append(r.names, id), size
			h := &compute.Host{ID: id, NodeID: id, Binary: compute.BinaryCompute, Name: fmt.Sprintf("h%05d", i), LastSeen: time.Now(), CreatedAt: time.Now(), UpdatedAt: time.Now(),
				Resources: compute.Resources{VCPUs: size, MemoryMB: 1 << 20, DiskGB: 1 << 20, HypervisorName: fmt.Sprintf("h%05d", i)}}
			if err := st.InsertHost(t.Context(), tx, h); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.CPURatio = 1
	if change != nil {
		change(&o)
	}
	c, err := New(Config{Store: st, Placement: r, Options: o, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

// outcome is what became of a server.
type outcome struct {
	server *compute.Server
	err    error
}

// placeMany writes n servers, each with a build that only finds its host, and
// runs all of these.
func placeMany(t testing.TB, c *Control, n int) []outcome {
	t.Helper()
	return placeAfter(t, c, n, func(*compute.Server, *task.Run) {})
}

// placeAfter is placeMany with something that comes before each build.
func placeAfter(t testing.TB, c *Control, n int, before func(*compute.Server, *task.Run)) []outcome {
	t.Helper()
	got := make(chan outcome, n)
	mine := map[string]bool{}
	c.tasks.Handlers = map[string]task.Handler{taskBuild: func(ctx context.Context, run *task.Run) error {
		if !mine[run.Subject] { // of an earlier round, which was stopped before it could say that this had ended
			return nil
		}
		s, err := c.Store.Server(ctx, c.Store.DB, run.Subject)
		if err == nil {
			before(s, run)
			err = c.place(ctx, run, s, &buildState{})
		}
		got <- outcome{s, err}
		return nil
	}}
	err := c.Store.Tx(t.Context(), func(tx *db.Tx) error {
		for range n {
			s := &compute.Server{ID: newID(), DisplayName: "s", ProjectID: "p", UserID: "u", State: compute.Building, Task: compute.Scheduling, CreatedAt: time.Now(), UpdatedAt: time.Now(),
				Flavor: compute.Flavor{Name: "f", VCPUs: 1, MemoryMB: 64}}
			mine[s.ID] = true
			if err := c.Store.InsertServers(t.Context(), tx, s); err != nil {
				return err
			}
			if err := c.add(t.Context(), tx, taskBuild, s.ID, buildState{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { _ = c.tasks.Run(ctx); close(ended) }()
	defer func() { stop(); <-ended }()
	all := make([]outcome, n)
	for i := range all {
		select {
		case all[i] = <-got:
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d servers were decided on", i, n)
		}
	}
	for _, o := range all { // a task that is left would be run again by the next runner
		ends(t, c, o.server.ID)
	}
	return all
}

// ends waits until a server has no task left.
func ends(t testing.TB, c *Control, id string) {
	t.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for {
		pending, err := task.Pending(t.Context(), c.Store.DB, id)
		if err != nil {
			t.Fatal(err)
		}
		if !pending {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the task of server %s does not end", id)
		}
	}
}

func counted(all []outcome) (on map[string]int, refused int) {
	on = map[string]int{}
	for _, o := range all {
		if o.err != nil {
			refused++
		} else {
			on[o.server.Host]++
		}
	}
	return on, refused
}

// TestServersAskedForAtOnceFillHostsExactly: with each driver, more servers than
// there is room for take all of it, and no host more than it has.
func TestServersAskedForAtOnceFillHostsExactly(t *testing.T) {
	for _, driver := range []string{"filter", "chance", "caching"} {
		t.Run(driver, func(t *testing.T) {
			c, r := fleetOf(t, 20, 10, func(o *Options) { o.Scheduler.Scheduler.Driver, o.Scheduler.Scheduler.MaxPlacementResults = driver, 7 })
			on, refused := counted(placeMany(t, c, 230))
			if refused != 30 || len(on) != 20 {
				t.Errorf("%d refused, on %d hosts", refused, len(on))
			}
			for host, n := range on {
				if n != 10 {
					t.Errorf("%d servers on %s", n, host)
				}
			}
			t.Logf("Placement was asked %d times and claimed on %d times", r.asked, r.claims)
			if driver == "filter" && r.asked > 230 {
				t.Errorf("Placement was asked %d times for 230 servers", r.asked)
			}
		})
	}
}

// TestClaimOfTheDead: a build that died between its claim and the note of its host
// finds the room that it has taken itself.
func TestClaimOfTheDead(t *testing.T) {
	c, r := fleetOf(t, 1, 1, nil)
	all := placeAfter(t, c, 1, func(s *compute.Server, run *task.Run) {
		run.Attempt = 2
		if err := r.Claim(t.Context(), r.names[0], compute.Claim{ServerID: s.ID, Resources: map[string]int{"VCPU": 1}}); err != nil {
			t.Error(err)
		}
	})
	if all[0].err != nil || all[0].server.Host != "h00000" || r.free[r.names[0]] != 0 {
		t.Errorf("on %q, %d processors are left: %v", all[0].server.Host, r.free[r.names[0]], all[0].err)
	}
}

// TestClaimsOfABatchGoWithIt: builds that were decided for together, and cannot be noted
// together, have nothing when each is decided for alone. What one has whose task has
// become another's is that one's, who may have claimed it.
func TestClaimsOfABatchGoWithIt(t *testing.T) {
	c, r := fleetOf(t, 2, 1, nil)
	var batch []*placing
	for i := range 2 {
		s := &compute.Server{ID: newID(), DisplayName: "s", ProjectID: "p", UserID: "u", State: compute.Building, Task: compute.Scheduling, CreatedAt: time.Now(), UpdatedAt: time.Now(),
			Flavor: compute.Flavor{Name: "f", VCPUs: 1, MemoryMB: 64}}
		run, let, err := c.tasks.Begin(t.Context(), task.Task{Kind: taskForgetDisks, Payload: disksUndone{}})
		if err != nil {
			t.Fatal(err)
		}
		defer let()
		err = c.Store.Tx(t.Context(), func(tx *db.Tx) error {
			if err := c.Store.InsertServers(t.Context(), tx, s); err != nil || i == 0 {
				return err
			}
			return run.EndIn(t.Context(), tx) // so that its host cannot be noted
		})
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, &placing{ctx: t.Context(), run: run, s: s, state: &buildState{}})
	}
	had, lost := batch[0].s.ID, batch[1].s.ID
	if c.placeTogether(batch, time.Now()) || r.claims != 1 || r.holders[had] != "" || r.holders[lost] == "" {
		t.Errorf("after %d claims these hold something: %v; the one whose task is lost is %s", r.claims, r.holders, lost)
	}
}

// TestSpread: servers decided on together spread as those decided on in turn.
func TestSpread(t *testing.T) {
	c, r := fleetOf(t, 25, 10, nil)
	on, refused := counted(placeMany(t, c, 100))
	if refused != 0 {
		t.Fatalf("%d refused", refused)
	}
	for host, n := range on {
		if n != 4 {
			t.Errorf("%d of 100 servers on %s, one of 25 hosts", n, host)
		}
	}
	if r.claims >= 100 {
		t.Errorf("%d claims for 100 servers that were asked for at once", r.claims)
	}
}

// brittle is a Placement that breaks where it is asked for, or claims, so many
// processors.
type brittle struct {
	*room
	asked, claimed int
}

func (b brittle) Candidates(ctx context.Context, q compute.CandidateQuery, memory []compute.Candidate) ([]compute.Candidate, error) {
	if q.Resources["VCPU"] == b.asked {
		panic("on purpose")
	}
	return b.room.Candidates(ctx, q, memory)
}

func (b brittle) ClaimAll(ctx context.Context, claims []compute.PlacedClaim) error {
	if claims[0].Resources["VCPU"] == b.claimed {
		panic("on purpose")
	}
	return b.room.ClaimAll(ctx, claims)
}

// TestPanicIsOfOne: when deciding for one build panics, it has failed, and those who are
// decided for with it have their hosts.
func TestPanicIsOfOne(t *testing.T) {
	for _, driver := range []string{"filter", "caching"} {
		c, r := fleetOf(t, 2, 10, func(o *Options) { o.Scheduler.Scheduler.Driver = driver })
		c.Placement = brittle{room: r, asked: 7}
		var mu sync.Mutex
		wrong, come := "", 0
		all := placeAfter(t, c, 8, func(s *compute.Server, _ *task.Run) {
			mu.Lock()
			defer mu.Unlock()
			if come++; come == 3 {
				wrong = s.ID
			}
			if s.ID == wrong {
				s.Flavor.VCPUs = 7
			}
		})
		for _, o := range all {
			broken := o.server.ID == wrong
			if broken != (o.err != nil) || broken && (!strings.Contains(o.err.Error(), "panic: on purpose") || errors.Is(o.err, errBeside)) {
				t.Errorf("%s: with %d processors: %.100v", driver, o.server.Flavor.VCPUs, o.err)
			}
		}
	}
}

// TestPanicLetsOthersGo: when a claim panics, none of those who were decided for waits
// for ever, and with them all who come later.
func TestPanicLetsOthersGo(t *testing.T) {
	c, r := fleetOf(t, 2, 10, nil)
	c.Placement = brittle{room: r, claimed: 1}
	batch := make([]*placing, 3)
	for i := range batch {
		batch[i] = &placing{ctx: t.Context(), s: &compute.Server{ID: newID(), Flavor: compute.Flavor{VCPUs: 1, MemoryMB: 64}}, state: &buildState{}}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nothing has panicked")
			}
		}()
		c.placeBatch(batch)
	}()
	for i, p := range batch {
		if !p.done || p.err == nil {
			t.Errorf("build %d: done %v, error %v", i, p.done, p.err)
		}
	}
}

// TestCachingReadsLess: a list that stands is not read again, but for a refusal.
func TestCachingReadsLess(t *testing.T) {
	c, r := fleetOf(t, 10, 100, func(o *Options) {
		o.Scheduler.Scheduler.Driver, o.Scheduler.Scheduler.CacheSeconds = "caching", 20 // less than hosts may be silent
	})
	now := time.Now() // stands still, however long it takes
	c.Now = func() time.Time { return now }
	for range 5 {
		if _, refused := counted(placeMany(t, c, 40)); refused != 0 {
			t.Fatalf("%d refused", refused)
		}
	}
	if r.asked != 1 {
		t.Errorf("Placement was asked %d times", r.asked)
	}
	now = now.Add(time.Duration(c.Options.Scheduler.Scheduler.CacheSeconds)*time.Second + 1)
	if _, refused := counted(placeMany(t, c, 40)); refused != 0 || r.asked != 2 {
		t.Errorf("when the list is too old: %d refused, and Placement was asked %d times", refused, r.asked)
	}
	r.mu.Lock() // somebody else takes nearly all there is
	for id := range r.free {
		r.free[id] = 1
	}
	r.mu.Unlock()
	on, refused := counted(placeMany(t, c, 15))
	if len(on) != 10 || refused != 5 {
		t.Errorf("10 hosts with room for one each: on %v, %d refused", on, refused)
	}
}

// TestChanceIsUniform: 10,000 draws over the hosts that are up and not ignored are
// spread as chance spreads them.
func TestChanceIsUniform(t *testing.T) {
	const hosts, draws, down, ignored = 25, 10_000, 5, 5
	now := time.Now() // stands still, however long it takes
	c, _ := fleetOf(t, hosts, draws, func(o *Options) { o.Scheduler.Scheduler.Driver = "chance" })
	c.Now = func() time.Time { return now }
	var state buildState
	for i := range ignored {
		state.Ignored = append(state.Ignored, fmt.Sprintf("h%05d", down+i))
	}
	for i := range down {
		h, err := c.Store.Host(t.Context(), c.Store.DB, compute.BinaryCompute, fmt.Sprintf("h%05d", i))
		if err != nil {
			t.Fatal(err)
		}
		h.ForcedDown = true
		if err := c.Store.Tx(t.Context(), func(tx *db.Tx) error { return c.Store.UpdateHost(t.Context(), tx, h) }); err != nil {
			t.Fatal(err)
		}
	}
	s := &compute.Server{ID: newID(), Flavor: compute.Flavor{VCPUs: 1, MemoryMB: 64}}
	counts := map[string]int{}
	v := newView(time.Hour)
	for range draws {
		d, err := c.decide(t.Context(), s, &state, v)
		if err != nil {
			t.Fatal(err)
		}
		counts[d.choices[0].Name]++
	}
	expected, chi := float64(draws)/(hosts-down-ignored), 0.0
	for host, n := range counts {
		if host < fmt.Sprintf("h%05d", down+ignored) {
			t.Errorf("%s is down or to be ignored, and was drawn", host)
		}
		chi += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	if len(counts) != hosts-down-ignored || chi > 54.9 { // 14 degrees of freedom; more than that comes by chance once in a million times
		t.Errorf("%d hosts were drawn; chi-square is %.1f", len(counts), chi)
	}
}

// BenchmarkPlace is a decision with its claim and its transaction, on one host
// list of the caching scheduler.
func BenchmarkPlace(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, _ := fleetOf(b, n, 1_000_000, func(o *Options) {
				o.Scheduler.Scheduler.Driver, o.Scheduler.Scheduler.MaxPlacementResults = "caching", n
			})
			placeMany(b, c, 1)
			b.ResetTimer()
			placeMany(b, c, b.N)
		})
	}
}
