package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kilonova/internal/bus"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
)

// moving is a cloud of two hosts whose agents say yes, unless told otherwise, and
// that writes down what it is asked.
type moving struct {
	*Control
	room   *room
	mu     sync.Mutex
	log    []string
	answer map[string]error // of "call host"
}

func (m *moving) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

// movingPorts notes where ports go.
type movingPorts struct {
	compute.Networks
	m *moving
}

func (p movingPorts) Bind(_ context.Context, _, _, host, _ string) error {
	p.m.note("bind %s", host)
	return nil
}

func (p movingPorts) Announce(_ context.Context, _, host string) error {
	p.m.note("announce %s", host)
	return nil
}

func (p movingPorts) BindAside(_ context.Context, _, host string) error {
	p.m.note("bind aside %s", host)
	return nil
}

func (p movingPorts) UseOn(_ context.Context, _, host string) error {
	p.m.note("use on %s", host)
	return nil
}

func (p movingPorts) UnbindFrom(_ context.Context, _, host string) error {
	p.m.note("unbind from %s", host)
	return nil
}

// movingRoom is a room that can give claims to others.
type movingRoom struct {
	*room
	m *moving
}

func (r movingRoom) Transfer(_ context.Context, from, to, kind string, keep bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if host := r.holders[from]; host != "" && !(keep && r.holders[to] != "") {
		r.holders[to] = host
		delete(r.holders, from)
	}
	r.m.note("transfer to %s", kind)
	return nil
}

func agentSays[Req any](t *testing.T, m *moving, call bus.Call[compute.Work[Req], compute.Progress], host string) {
	t.Helper()
	_, err := call.Serve(m.Bus, host, func(context.Context, compute.Work[Req]) (compute.Progress, error) {
		what := strings.TrimPrefix(call.Name, "compute.") + " " + host
		m.note("%s", what)
		m.mu.Lock()
		defer m.mu.Unlock()
		p := compute.Progress{Done: true, Power: compute.PowerRunning}
		if err := m.answer[what]; err != nil {
			p.Refusal, p.Kind = err.Error(), fault.KindOf(err)
		}
		return p, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// noRequests: no port takes anything of its host.
type noRequests struct{ compute.PortRequests }

func (noRequests) Requests(context.Context, []string) ([]compute.PortRequest, error) { return nil, nil }

// newMoving has one server on the first host, that is about to move.
func newMoving(t *testing.T, task compute.Task, kind compute.MigrationType, status compute.MigrationStatus, change func(*Options)) (*moving, *compute.Migration) {
	t.Helper()
	c, r := fleetOf(t, 2, 4, change)
	server, err := bus.StartServer("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if c.Bus, err = server.Connect(slog.New(slog.DiscardHandler), ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Bus.Close)
	m := &moving{room: r, Control: c, answer: map[string]error{}}
	c.Networks, c.Placement, c.PortRequests = movingPorts{m: m}, movingRoom{r, m}, noRequests{}
	for _, host := range []string{"h00000", "h00001"} {
		agentSays(t, m, compute.ParkGuest, host)
		agentSays(t, m, compute.ArriveGuest, host)
		agentSays(t, m, compute.UnparkGuest, host)
		agentSays(t, m, compute.DropParked, host)
		agentSays(t, m, compute.RebuildGuest, host)
		agentSays(t, m, compute.Destroy, host)
		agentSays(t, m, compute.CarryGuest, host)
		agentSays(t, m, compute.TakeUpGuest, host)
		if _, err := compute.ExpectGuest.Serve(c.Bus, host, func(context.Context, compute.ExpectRequest) (compute.ExpectReply, error) {
			m.note("expect %s", host)
			return compute.ExpectReply{}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Bus.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	small, large := compute.Flavor{ID: "1", Name: "small", VCPUs: 1, MemoryMB: 64}, compute.Flavor{ID: "2", Name: "large", VCPUs: 2, MemoryMB: 128}
	now := time.Now()
	s := &compute.Server{ID: newID(), DisplayName: "s", ProjectID: "p", UserID: "u", State: compute.Active, Task: task, Power: compute.PowerRunning, Host: "h00000", Node: "h00000",
		Flavor: small, CreatedAt: now, UpdatedAt: now, Networks: []compute.Interface{{PortID: newID()}}}
	g := &compute.Migration{ID: newID(), ServerID: s.ID, Type: kind, Status: status, WasState: compute.Active, SourceHost: s.Host, SourceNode: s.Node, OldFlavor: small, NewFlavor: small,
		CreatedAt: now, UpdatedAt: now}
	if kind == compute.ResizeMove {
		g.NewFlavor = large
	}
	r.holders[s.ID] = "00000000-0000-4000-8000-000000000000"
	err = c.Store.Tx(t.Context(), func(tx *db.Tx) error {
		for i := range 2 {
			h, err := c.Store.Host(t.Context(), tx, compute.BinaryCompute, fmt.Sprintf("h%05d", i))
			if err != nil {
				return err
			}
			h.Methods = []string{compute.ArriveGuest.Name, compute.TakeUpGuest.Name, compute.RebuildGuest.Name, compute.DropParked.Name}
			if err := c.Store.UpdateHost(t.Context(), tx, h); err != nil {
				return err
			}
		}
		if err := c.Store.InsertServers(t.Context(), tx, s); err != nil {
			return err
		}
		return c.Store.InsertMigration(t.Context(), tx, g)
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, g
}

// run does a task to its end and returns what has become of server and migration.
func (m *moving) run(t *testing.T, kind, id string, state moveState) (*compute.Server, *compute.Migration) {
	t.Helper()
	err := m.Store.Tx(t.Context(), func(tx *db.Tx) error { return m.add(t.Context(), tx, kind, id, state) })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- m.tasks.Run(ctx) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := m.Store.Server(t.Context(), m.Store.DB, id)
		if err != nil {
			t.Fatal(err)
		}
		if s.Task == compute.NoTask {
			stop()
			<-ended
			g, err := m.Store.Migration(t.Context(), m.Store.DB, state.MigrationID)
			if err != nil {
				t.Fatal(err)
			}
			return s, g
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the server is %s (%s) still; asked was %q", s.State, s.Task, m.log)
		}
	}
}

// What fails on its way is taken back: the guest, its ports and its claim are
// where they were.
func TestMovesAreTakenBack(t *testing.T) {
	broken := fault.New(fault.Unavailable, "It is broken.")
	const a, b = "h00000", "h00001"
	for _, tt := range []struct {
		name      string
		task      compute.Task
		kind      compute.MigrationType
		run       string
		fails     map[string]error
		sameHost  bool
		asked     []string
		state     compute.State
		status    compute.MigrationStatus
		host      string
		flavor    string
		claimedAt int // the host, by number
	}{
		{"Arrive", compute.ResizePrep, compute.ResizeMove, taskMove, map[string]error{"arrive " + b: broken}, false,
			[]string{"transfer to MIGRATION", "park " + a, "bind " + b, "arrive " + b, "destroy " + b, "bind " + a, "unpark " + a, "transfer to INSTANCE"},
			compute.Active, compute.MigrationError, a, "small", 0},
		{"Park", compute.ResizePrep, compute.ResizeMove, taskMove, map[string]error{"park " + a: broken}, false,
			[]string{"transfer to MIGRATION", "park " + a, "destroy " + b, "bind " + a, "unpark " + a, "transfer to INSTANCE"},
			compute.Active, compute.MigrationError, a, "small", 0},
		{"ParkInPlace", compute.ResizePrep, compute.ResizeMove, taskMove, map[string]error{"park " + a: broken}, true,
			[]string{"transfer to MIGRATION", "park " + a, "bind " + a, "unpark " + a, "transfer to INSTANCE"}, // the only guest there is is not destroyed
			compute.Active, compute.MigrationError, a, "small", 0},
		{"ArriveInPlace", compute.ResizePrep, compute.ResizeMove, taskMove, map[string]error{"arrive " + a: broken}, true,
			[]string{"transfer to MIGRATION", "park " + a, "bind " + a, "arrive " + a, "destroy " + a, "bind " + a, "unpark " + a, "transfer to INSTANCE"},
			compute.Active, compute.MigrationError, a, "small", 0},
		{"Nothing", compute.ResizePrep, compute.ResizeMove, taskMove, nil, false,
			[]string{"transfer to MIGRATION", "park " + a, "bind " + b, "arrive " + b}, compute.Resized, compute.MigrationFinished, b, "large", 1},
		{"Carry", compute.Migrating, compute.LiveMigration, taskLive, map[string]error{"carry " + a: broken}, false,
			[]string{"transfer to MIGRATION", "announce " + b, "bind aside " + b, "expect " + b, "carry " + a, "destroy " + b, "announce ", "unbind from " + b, "transfer to INSTANCE"},
			compute.Active, compute.MigrationFailed, a, "small", 0},
		{"CarriedBefore", compute.Migrating, compute.LiveMigration, taskLive, map[string]error{"carry " + a: fault.NotFoundf("It is not here.")}, false,
			[]string{"transfer to MIGRATION", "announce " + b, "bind aside " + b, "expect " + b, "carry " + a, "take_up " + b, "use on " + b, "bind " + b, "announce ", "unbind from " + a, "take_up " + b, "destroy " + a},
			compute.Active, compute.MigrationCompleted, b, "small", 1},
		{"Lost", compute.Migrating, compute.LiveMigration, taskLive, map[string]error{"carry " + a: fault.NotFoundf("It is not here."), "take_up " + b: fault.NotFoundf("Nor here.")}, false,
			[]string{"transfer to MIGRATION", "announce " + b, "bind aside " + b, "expect " + b, "carry " + a, "take_up " + b, "destroy " + b, "announce ", "unbind from " + b, "transfer to INSTANCE"},
			compute.Active, compute.MigrationFailed, a, "small", 0},
		{"Evacuate", compute.Rebuilding, compute.Evacuation, taskEvacuate, map[string]error{"rebuild " + b: broken}, false,
			[]string{"transfer to MIGRATION", "bind " + b, "rebuild " + b, "destroy " + b, "bind " + a, "transfer to INSTANCE"},
			compute.Error, compute.MigrationError, a, "small", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, g := newMoving(t, tt.task, tt.kind, compute.MigrationAccepted, nil)
			m.answer = tt.fails
			state := moveState{MigrationID: g.ID, Place: buildState{Ignored: []string{a}}}
			if tt.sameHost {
				state.Place.Ignored = []string{b}
			}
			s, g := m.run(t, tt.run, g.ServerID, state)
			if !slices.Equal(m.log, tt.asked) {
				t.Errorf("asked was\n%q, want\n%q", m.log, tt.asked)
			}
			if s.State != tt.state || g.Status != tt.status || s.Host != tt.host || s.Flavor.Name != tt.flavor {
				t.Errorf("the server is %s on %s with flavor %s, its migration %s; want %s on %s with %s, %s", s.State, s.Host, s.Flavor.Name, g.Status, tt.state, tt.host, tt.flavor, tt.status)
			}
			if (tt.status == compute.MigrationFinished || tt.status == compute.MigrationCompleted) == (s.Fault != nil) {
				t.Errorf("its fault is %+v", s.Fault)
			}
			if want := fmt.Sprintf("00000000-0000-4000-8000-%012d", tt.claimedAt); m.room.holders[s.ID] != want {
				t.Errorf("its claim is on %q, want %q", m.room.holders[s.ID], want)
			}
			if _, held := m.room.holders[g.ID]; held != (tt.status == compute.MigrationFinished) {
				t.Errorf("its migration holds a claim: %v", held)
			}
		})
	}
}

// A resize that nobody confirms confirms itself after its time, and not before.
func TestAutoConfirm(t *testing.T) {
	m, g := newMoving(t, compute.ResizePrep, compute.ResizeMove, compute.PreMigrating, func(o *Options) { o.ConfirmWindow = 30 })
	m.run(t, taskMove, g.ServerID, moveState{MigrationID: g.ID, Place: buildState{Ignored: []string{"h00000"}}})
	for _, tt := range []struct {
		after time.Duration
		task  compute.Task
	}{{20 * time.Second, compute.NoTask}, {40 * time.Second, compute.ResizeConfirms}} {
		m.Now = func() time.Time { return time.Now().Add(tt.after) } // hosts may be silent for a minute
		if err := m.autoConfirm(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s, err := m.Store.Server(t.Context(), m.Store.DB, g.ServerID); err != nil || s.Task != tt.task {
			t.Errorf("after %s its task is %q, want %q, %v", tt.after, s.Task, tt.task, err)
		}
	}
}

// TestLeavingOnce: a move that died between its claim and the note of its host, of a
// server that had claimed nothing where it is, does not take the claim on the new host
// for one on the old.
func TestLeavingOnce(t *testing.T) {
	m, g := newMoving(t, compute.ResizePrep, compute.ColdMigration, compute.MigrationAccepted, nil)
	delete(m.room.holders, g.ServerID)
	s, err := m.Store.Server(t.Context(), m.Store.DB, g.ServerID)
	if err != nil {
		t.Fatal(err)
	}
	run, let, err := m.tasks.Begin(t.Context(), task.Task{Kind: taskMove, Subject: s.ID, Payload: moveState{MigrationID: g.ID}})
	if err != nil {
		t.Fatal(err)
	}
	defer let()
	for range 2 {
		var state moveState
		if err := errors.Join(run.Payload(&state), m.leave(t.Context(), run, s, g, &state)); err != nil {
			t.Fatal(err)
		}
		if m.room.holders[g.ID] != "" || run.Step != "" {
			t.Fatalf("the migration holds %s, at the step %q", m.room.holders[g.ID], run.Step)
		}
		m.room.holders[s.ID] = m.room.names[1] // claimed, and dead
	}
}
