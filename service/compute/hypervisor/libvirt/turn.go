package libvirt

import (
	"context"
	"sync"
)

// turns lets one verb at a time change a guest. The agent does so too, but it
// cannot know of a call that it gave up waiting for and that libvirt still works
// on: a Destroy must not overtake the definition that an interrupted Create left
// in libvirt's queue.
type turns struct {
	mu    sync.Mutex
	taken map[string]*turn
}

// turn is the right to change one guest. A nil turn is that of a call which
// changes nothing.
type turn struct {
	calls sync.WaitGroup
	over  chan struct{}
}

// take waits for the guest's turn, or for ctx's end.
func (s *turns) take(ctx context.Context, id string) (*turn, error) {
	for {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.mu.Lock()
		other := s.taken[id]
		if other == nil {
			if s.taken == nil {
				s.taken = make(map[string]*turn)
			}
			t := &turn{over: make(chan struct{})}
			s.taken[id] = t
			s.mu.Unlock()
			return t, nil
		}
		s.mu.Unlock()
		select {
		case <-other.over:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// end gives the turn back as soon as no call of it is under way.
func (s *turns) end(id string, t *turn) {
	go func() {
		t.calls.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.taken, id)
		close(t.over)
	}()
}

func (t *turn) begin() {
	if t != nil {
		t.calls.Add(1)
	}
}

func (t *turn) finish() {
	if t != nil {
		t.calls.Done()
	}
}
