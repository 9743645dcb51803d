package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

func newWorks() *works { return &works{now: time.Now, all: map[string]*work{}} }

func TestWorkIsDoneOnceHoweverOftenItIsAskedFor(t *testing.T) {
	w := newWorks()
	var runs atomic.Int32
	release := make(chan struct{})
	ask := func(patience time.Duration) compute.Progress {
		return w.join(t.Context(), context.Background(), "w", patience, func(context.Context) (compute.Power, error) {
			runs.Add(1)
			<-release
			return compute.PowerRunning, nil
		})
	}
	for range 3 {
		if p := ask(time.Millisecond); p.Done {
			t.Fatal("done before its end")
		}
	}
	close(release)
	for range 2 { // also a control that did not hear the first answer
		if p := ask(time.Minute); !p.Done || p.Power != compute.PowerRunning || p.Err() != nil {
			t.Fatalf("%+v", p)
		}
	}
	if n := runs.Load(); n != 1 {
		t.Fatalf("it ran %d times", n)
	}
}

func TestFailedWorkIsTriedAgainOnceItsFailureIsKnown(t *testing.T) {
	w := newWorks()
	runs := 0
	ask := func() compute.Progress {
		return w.join(t.Context(), context.Background(), "w", time.Minute, func(context.Context) (compute.Power, error) {
			if runs++; runs == 1 {
				return 0, fault.Conflictf("Not now.")
			}
			return compute.PowerRunning, nil
		})
	}
	if err := ask().Err(); !fault.Is(err, fault.Conflict) || err.Error() != "Not now." {
		t.Fatal(err)
	}
	if p := ask(); !p.Done || p.Err() != nil || runs != 2 {
		t.Fatalf("%+v after %d runs", p, runs)
	}
}

func TestWorkOfADyingAgentIsNotAnswered(t *testing.T) {
	w := newWorks()
	life, die := context.WithCancel(context.Background())
	p := w.join(t.Context(), life, "w", 50*time.Millisecond, func(ctx context.Context) (compute.Power, error) {
		die()
		return 0, errors.Join(ctx.Err(), errors.New("cut off"))
	})
	if p.Done {
		t.Fatalf("%+v", p)
	}
}

func TestLastLines(t *testing.T) {
	tests := []struct {
		text string
		n    int
		want string
	}{{"a\nb\nc\n", 2, "c\n"}, {"a\nb\nc", 2, "b\nc"}, {"a\nb\n", 5, "a\nb\n"}, {"a\nb\n", 0, ""}, {"a\nb\n", -1, "a\nb\n"}, {"", 3, ""}, {"\n\n\n", 1, ""}}
	for _, tt := range tests {
		if got := string(lastLines([]byte(tt.text), tt.n)); got != tt.want {
			t.Errorf("lastLines(%q, %d) = %q, want %q", tt.text, tt.n, got, tt.want)
		}
	}
}

func TestNoWorkBeginsOnceTheAgentEnds(t *testing.T) {
	w := newWorks()
	w.wait()
	p := w.join(t.Context(), context.Background(), "w", time.Minute, func(context.Context) (compute.Power, error) {
		t.Error("it ran")
		return compute.PowerRunning, nil
	})
	if p.Done {
		t.Errorf("%+v", p)
	}
}
