package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
)

// each runs a test on every database.
func each(t *testing.T, test func(t *testing.T, d *db.DB)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		test(t, d)
	})
}

// start runs a runner until the returned function is called.
func start(t *testing.T, d *db.DB, owner string, lease time.Duration, handlers map[string]Handler) (r *Runner, stop func()) {
	t.Helper()
	return startAt(t, d, owner, lease, time.Now, handlers)
}

// startAt is start with a clock.
func startAt(t *testing.T, d *db.DB, owner string, lease time.Duration, now func() time.Time, handlers map[string]Handler) (r *Runner, stop func()) {
	t.Helper()
	r = &Runner{DB: d, Handlers: handlers, Place: owner, Now: now, Log: slog.New(slog.DiscardHandler), Lease: lease, Poll: 20 * time.Millisecond}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return r, stop
}

func add(t *testing.T, r *Runner, task Task) {
	t.Helper()
	if err := r.DB.Tx(t.Context(), func(tx *db.Tx) error { return r.Add(t.Context(), tx, task) }); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, what <-chan string) string {
	t.Helper()
	select {
	case s := <-what:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("nothing happened in 10 s")
		return ""
	}
}

// eventually waits until check is true.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !check() {
		select {
		case <-deadline:
			t.Fatalf("waited 10 s for %s", what)
		case <-tick.C:
		}
	}
}

func TestTasksOfOneSubjectRunInOrder(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		var mu sync.Mutex
		got := map[string][]int{}
		done := make(chan string, 100)
		r, _ := start(t, d, "p", time.Minute, map[string]Handler{"count": func(ctx context.Context, run *Run) error {
			var n int
			if err := run.Payload(&n); err != nil {
				return err
			}
			mu.Lock()
			got[run.Subject] = append(got[run.Subject], n)
			mu.Unlock()
			done <- run.Subject
			return nil
		}})
		for i := range 10 {
			for s := range 3 {
				add(t, r, Task{Kind: "count", Subject: fmt.Sprint("s", s), Payload: i})
			}
		}
		for range 30 {
			await(t, done)
		}
		mu.Lock()
		defer mu.Unlock()
		for s, order := range got {
			for i, n := range order {
				if n != i {
					t.Fatalf("%s ran in order %v", s, order)
				}
			}
		}
	})
}

func TestFailedTaskGoesOnFromItsStep(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		steps := make(chan string, 10)
		r, _ := start(t, d, "p", time.Minute, map[string]Handler{"walk": func(ctx context.Context, run *Run) error {
			steps <- fmt.Sprintf("%d%s", run.Attempt, run.Step)
			switch run.Attempt {
			case 1:
				if err := run.Save(ctx, "half", "new payload"); err != nil {
					return err
				}
				return errors.New("not today")
			case 2:
				panic("nor now")
			}
			var s string
			if err := run.Payload(&s); err != nil || s != "new payload" {
				t.Errorf("payload %q, %v", s, err)
			}
			return nil
		}})
		add(t, r, Task{Kind: "walk", Subject: "x", Payload: "old"})
		for _, want := range []string{"1", "2half", "3half"} {
			if got := await(t, steps); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		deadline := time.Now().Add(5 * time.Second)
		for {
			if pending, err := Pending(t.Context(), d, "x"); err != nil {
				t.Fatal(err)
			} else if !pending {
				return
			} else if time.Now().After(deadline) {
				t.Fatal("the task is still there")
			}
		}
	})
}

func TestTaskOfADeadProcessIsTakenByAnother(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		taken := make(chan string, 10)
		dead := &Runner{DB: d, Place: "dead", Now: time.Now, Lease: 100 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
			Handlers: map[string]Handler{"k": nil}}
		add(t, dead, Task{Kind: "k", Subject: "x"})
		dead.Handlers["k"] = func(context.Context, *Run) error { return nil }
		dead.setUp()
		if run, err := dead.one(t.Context()); err != nil || run == nil { // taken, and never heard of again
			t.Fatal(run, err)
		}
		start(t, d, "alive", time.Minute, map[string]Handler{"k": func(ctx context.Context, run *Run) error {
			taken <- run.runner.Place
			return nil
		}})
		if got := await(t, taken); got != "alive" {
			t.Fatal(got)
		}
	})
}

func TestTaskOfAnEarlierProcessIsGoneOnWithAtOnce(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		taken := make(chan string, 10)
		dead := &Runner{DB: d, Place: "here", Now: time.Now, Log: slog.New(slog.DiscardHandler), Handlers: map[string]Handler{"k": func(context.Context, *Run) error { return nil }}}
		add(t, dead, Task{Kind: "k", Subject: "x"})
		if run, err := dead.one(t.Context()); err != nil || run == nil {
			t.Fatal(run, err)
		}
		handlers := func(who string) map[string]Handler {
			return map[string]Handler{"k": func(context.Context, *Run) error { taken <- who; return nil }}
		}
		_, stop := start(t, d, "her_", time.Minute, handlers("her_"))
		stop()
		select {
		case who := <-taken:
			t.Fatalf("%s took a task whose lease it could not know to be void", who)
		default:
		}
		start(t, d, "here", time.Minute, handlers("here"))
		if got := await(t, taken); got != "here" {
			t.Fatal(got)
		}
	})
}

func TestLeaseIsKeptWhileRunningAndLetGoAtTheEnd(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		began := make(chan string, 10)
		block := func(name string) map[string]Handler {
			return map[string]Handler{"k": func(ctx context.Context, run *Run) error {
				began <- name
				<-ctx.Done()
				return ctx.Err()
			}}
		}
		// The clock stands still but for steps of two thirds of the lease, each after
		// the lease was seen to be renewed: so it holds however slow this host is.
		var clock atomic.Int64
		clock.Store(time.Now().UnixMicro())
		now := func() time.Time { return time.UnixMicro(clock.Load()) }
		const lease = 300 * time.Millisecond
		r, stop := startAt(t, d, "one", lease, now, block("one"))
		add(t, r, Task{Kind: "k", Subject: "x"})
		await(t, began)
		startAt(t, d, "two", lease, now, block("two"))
		for range 4 {
			until := db.At(now().Add(lease))
			eventually(t, "the lease to be renewed", func() bool {
				got, err := db.Get[db.Time](t.Context(), d, `SELECT lease_until FROM tasks`)
				if err != nil {
					t.Fatal(err)
				}
				return !got.Before(until.Time)
			})
			clock.Add((lease * 2 / 3).Microseconds())
		}
		select {
		case who := <-began:
			t.Fatalf("%s took a task whose lease is renewed", who)
		default:
		}
		stop()
		if got := await(t, began); got != "two" {
			t.Fatal(got)
		}
	})
}

// Numbers are given when rows are written and seen when they are committed: where
// there are several writers, an older task may appear while a younger one of its
// subject runs. They still run one after the other.
func TestOlderTaskThatAppearsLaterWaits(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		if d.Dialect.Name == "sqlite" {
			return // there is one writer
		}
		r := &Runner{DB: d, Place: "p", Now: time.Now, Lease: time.Minute, Log: slog.New(slog.DiscardHandler), Handlers: map[string]Handler{"k": nil}}
		r.setUp()
		type result struct {
			run *Run
			err error
		}
		taken := make(chan result, 1)
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			if err := r.Add(t.Context(), tx, Task{Kind: "k", Subject: "x", Payload: "older"}); err != nil {
				return err
			}
			add(t, r, Task{Kind: "k", Subject: "x", Payload: "younger"})
			go func() {
				run, err := r.one(t.Context())
				taken <- result{run, err}
			}()
			select { // PostgreSQL lets the younger one be taken, MariaDB waits for this transaction
			case first := <-taken:
				taken <- first
			case <-time.After(300 * time.Millisecond):
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		first := <-taken
		if first.run == nil && first.err == nil {
			first.run, first.err = r.one(t.Context())
		}
		if first.run == nil || first.err != nil {
			t.Fatal(first)
		}
		if run, err := r.one(t.Context()); err != nil || run != nil {
			t.Fatalf("took %+v beside a task of its subject (%v)", run, err)
		}
		other, err := db.Get[row](t.Context(), d, `SELECT * FROM tasks WHERE seq <> ?`, first.run.row.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if won, err := r.claimAlone(t.Context(), other, db.At(time.Now())); err != nil || won { // found before the first was taken
			t.Fatal(won, err)
		}
		if err := first.run.end(t.Context()); err != nil {
			t.Fatal(err)
		}
		if run, err := r.one(t.Context()); err != nil || run == nil || run.row.Seq != other.Seq {
			t.Fatal(run, err)
		}
	})
}

// Many who take at once get every task once.
func TestEveryTaskIsTakenOnce(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		r := &Runner{DB: d, Now: time.Now, Lease: time.Minute, Log: slog.New(slog.DiscardHandler), Handlers: map[string]Handler{"k": nil}}
		r.setUp()
		const tasks = 60
		for i := range tasks {
			add(t, r, Task{Kind: "k", Subject: fmt.Sprint("s", i)})
			add(t, r, Task{Kind: "unknown"})
		}
		var mu sync.Mutex
		taken := map[string]int{}
		var all sync.WaitGroup
		for n := range 8 {
			mine := &Runner{DB: d, Place: fmt.Sprint("p", n), Now: time.Now, Lease: time.Minute, Log: r.Log, Handlers: r.Handlers}
			all.Go(func() {
				for idle := 0; idle < 3; {
					run, err := mine.one(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					if run == nil {
						idle++
						continue
					}
					idle = 0
					mu.Lock()
					taken[run.Subject]++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if run, err := r.one(t.Context()); err != nil || run != nil {
			t.Errorf("left: %+v, %v", run, err)
		}
		if len(taken) != tasks {
			t.Errorf("%d of %d were taken", len(taken), tasks)
		}
		for s, n := range taken {
			if n != 1 {
				t.Errorf("%s was taken %d times", s, n)
			}
		}
	})
}

// A process that takes its own task again, because it stood still for longer than
// its lease, has lost it as if another had taken it.
func TestLeaseIsOfTheAttempt(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		at := time.Now()
		r := &Runner{DB: d, Place: "p", Now: func() time.Time { return at }, Lease: time.Minute, Log: slog.New(slog.DiscardHandler), Handlers: map[string]Handler{"k": nil}}
		r.setUp()
		add(t, r, Task{Kind: "k", Subject: "x"})
		first, err := r.one(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Hour)
		second, err := r.one(t.Context())
		if err != nil || second == nil {
			t.Fatal(second, err)
		}
		if was, is := first.Check(t.Context()), second.Check(t.Context()); !errors.Is(was, ErrLost) || is != nil {
			t.Errorf("the first: %v, the second: %v", was, is)
		}
		if err := first.Save(t.Context(), "next", nil); !errors.Is(err, ErrLost) {
			t.Errorf("the first saved: %v", err)
		}
		if err := second.Save(t.Context(), "next", nil); err != nil {
			t.Error(err)
		}
	})
}
