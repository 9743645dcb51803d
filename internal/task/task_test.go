package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kilonova/internal/db"
)

func open(t *testing.T) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := Migrate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// start runs a runner until the returned function is called.
func start(t *testing.T, d *db.DB, owner string, lease time.Duration, handlers map[string]Handler) (r *Runner, stop func()) {
	t.Helper()
	r = &Runner{DB: d, Handlers: handlers, Place: owner, Now: time.Now, Log: slog.New(slog.DiscardHandler), Lease: lease, Poll: 20 * time.Millisecond}
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

func TestTasksOfOneSubjectRunInOrder(t *testing.T) {
	var mu sync.Mutex
	got := map[string][]int{}
	done := make(chan string, 100)
	r, _ := start(t, open(t), "p", time.Minute, map[string]Handler{"count": func(ctx context.Context, run *Run) error {
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
}

func TestFailedTaskGoesOnFromItsStep(t *testing.T) {
	steps := make(chan string, 10)
	d := open(t)
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
}

func TestTaskOfADeadProcessIsTakenByAnother(t *testing.T) {
	d := open(t)
	taken := make(chan string, 10)
	dead := &Runner{DB: d, Place: "dead", Now: time.Now, Lease: 100 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
		Handlers: map[string]Handler{"k": nil}}
	add(t, dead, Task{Kind: "k", Subject: "x"})
	dead.Handlers["k"] = func(context.Context, *Run) error { return nil }
	dead.setUp()
	if run, err := dead.take(t.Context()); err != nil || run == nil { // taken, and never heard of again
		t.Fatal(run, err)
	}
	start(t, d, "alive", time.Minute, map[string]Handler{"k": func(ctx context.Context, run *Run) error {
		taken <- run.runner.Place
		return nil
	}})
	if got := await(t, taken); got != "alive" {
		t.Fatal(got)
	}
}

func TestTaskOfAnEarlierProcessIsGoneOnWithAtOnce(t *testing.T) {
	d := open(t)
	taken := make(chan string, 10)
	dead := &Runner{DB: d, Place: "here", Now: time.Now, Log: slog.New(slog.DiscardHandler), Handlers: map[string]Handler{"k": func(context.Context, *Run) error { return nil }}}
	add(t, dead, Task{Kind: "k", Subject: "x"})
	if run, err := dead.take(t.Context()); err != nil || run == nil {
		t.Fatal(run, err)
	}
	handlers := func(who string) map[string]Handler {
		return map[string]Handler{"k": func(context.Context, *Run) error { taken <- who; return nil }}
	}
	_, stop := start(t, d, "elsewhere", time.Minute, handlers("elsewhere"))
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
}

func TestLeaseIsKeptWhileRunningAndLetGoAtTheEnd(t *testing.T) {
	d := open(t)
	began := make(chan string, 10)
	block := func(name string) map[string]Handler {
		return map[string]Handler{"k": func(ctx context.Context, run *Run) error {
			began <- name
			<-ctx.Done()
			return ctx.Err()
		}}
	}
	r, stop := start(t, d, "one", 90*time.Millisecond, block("one"))
	add(t, r, Task{Kind: "k", Subject: "x"})
	await(t, began)
	start(t, d, "two", 90*time.Millisecond, block("two"))
	select {
	case who := <-began:
		t.Fatalf("%s took a task whose lease is renewed", who)
	case <-time.After(400 * time.Millisecond):
	}
	stop()
	if got := await(t, began); got != "two" {
		t.Fatal(got)
	}
}
