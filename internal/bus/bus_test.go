package bus

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"kilonova/internal/fault"
)

var (
	double = Call[int, int]{Name: "test.double"}
	news   = Hint[string]{Name: "test.news"}
)

// buses connects once in process and once over TCP to the same server.
func buses(t *testing.T) (inProcess, overTCP *Bus) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s, err := StartServer("127.0.0.1:0", "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := Dial(log, s.URL(), "wrong"); err == nil {
		t.Fatal("a wrong token was let in")
	}
	inProcess, err = s.Connect(log, "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(inProcess.Close)
	overTCP, err = Dial(log, s.URL(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(overTCP.Close)
	return inProcess, overTCP
}

func TestCall(t *testing.T) {
	a, b := buses(t)
	if _, err := double.Do(t.Context(), a, "host1", 1); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("nobody serves: %v", err)
	}
	stop, err := double.Serve(b, "host1", func(ctx context.Context, n int) (int, error) {
		if _, ok := ctx.Deadline(); n == 0 && !ok {
			return 0, fault.Conflictf("No deadline came along.")
		}
		if n < 0 {
			return 0, fault.NotFoundf("There is no half of %d.", n)
		}
		if n == 13 {
			panic("bad luck")
		}
		return 2 * n, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, bus := range []*Bus{a, b} {
		if got, err := double.Do(t.Context(), bus, "host1", 21); got != 42 || err != nil {
			t.Fatal(got, err)
		}
		_, err := double.Do(t.Context(), bus, "host1", -1)
		if !fault.Is(err, fault.NotFound) || err.Error() != "There is no half of -1." {
			t.Fatal(err)
		}
		if _, err := double.Do(t.Context(), bus, "host1", 13); err == nil || fault.KindOf(err) != fault.Internal {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if _, err := double.Do(ctx, bus, "host1", 0); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	stop()
	if _, err := double.Do(t.Context(), a, "host1", 1); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("after stop: %v", err)
	}
}

func TestHintReachesAll(t *testing.T) {
	a, b := buses(t)
	heard := make(chan string, 4)
	for _, bus := range []*Bus{a, b} {
		if _, err := news.Listen(bus, "all", func(_ context.Context, s string) { heard <- s }); err != nil {
			t.Fatal(err)
		}
	}
	if err := news.Send(a, "all", "hello"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case s := <-heard:
			if s != "hello" {
				t.Fatal(s)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("not everybody was told")
		}
	}
}

// TestCloseAmongMessages: a message that comes while a bus is closed is handled
// before Close returns, or not at all.
func TestCloseAmongMessages(t *testing.T) {
	s, err := StartServer("", "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := range 100 {
		a, err := s.Connect(slog.New(slog.DiscardHandler), "")
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Connect(slog.New(slog.DiscardHandler), "")
		if err != nil {
			t.Fatal(err)
		}
		var closed, late atomic.Bool
		if _, err := news.Listen(b, "all", func(context.Context, string) {
			<-time.After(5 * time.Millisecond) // without a word to Close that the race detector would hear
			late.CompareAndSwap(false, closed.Load())
		}); err != nil {
			t.Fatal(err)
		}
		if err := news.Send(a, "all", "hello"); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(n) * 20 * time.Microsecond)
		b.Close()
		closed.Store(true)
		a.Close()
		if late.Load() {
			t.Fatal("it was handled after the end")
		}
	}
}

func BenchmarkCallInProcess(b *testing.B) {
	s, err := StartServer("", "")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	bus, err := s.Connect(slog.New(slog.DiscardHandler), "")
	if err != nil {
		b.Fatal(err)
	}
	defer bus.Close()
	if _, err := double.Serve(bus, "h", func(_ context.Context, n int) (int, error) { return 2 * n, nil }); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := double.Do(b.Context(), bus, "h", 1); err != nil {
			b.Fatal(err)
		}
	}
}
