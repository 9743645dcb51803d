package placement_test

import (
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// history is what was asked of Placement's hosts and answered, with the times
// between which it happened.
type history struct {
	began      time.Time
	mu         sync.Mutex
	operations []porcupine.Operation
}

// claimInput is a claim of one VCPU on a host, or a look at what is used there.
type claimInput struct {
	host string
	read bool
}

// claimAnswer says whether there was room, or how much is used.
type claimAnswer struct {
	ok   bool
	used int64
}

func newHistory() *history { return &history{began: time.Now()} }

func (h *history) record(client int, do func() claimAnswer, in claimInput) {
	called := time.Since(h.began)
	out := do()
	h.add(client, in, out, called, time.Since(h.began))
}

func (h *history) add(client int, in claimInput, out claimAnswer, called, returned time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: called.Nanoseconds(), Return: returned.Nanoseconds()})
}

// check looks for an order of the operations, none before one that had ended when
// it began, in which a host with so much room answers just so. Hosts are
// independent of one another.
func (h *history) check(room int64) porcupine.CheckResult {
	model := porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			byHost := map[string][]porcupine.Operation{}
			for _, o := range all {
				host := o.Input.(claimInput).host
				byHost[host] = append(byHost[host], o)
			}
			var parts [][]porcupine.Operation
			for _, part := range byHost {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return int64(0) },
		Step: func(state, input, output any) (bool, any) {
			used, in, out := state.(int64), input.(claimInput), output.(claimAnswer)
			switch {
			case in.read:
				return out.used == used, used
			case out.ok:
				return used < room, used + 1
			}
			return used >= room, used
		},
	}
	return porcupine.CheckOperationsTimeout(model, h.operations, time.Minute)
}

// TestHistoriesAreJudged: the judge of the test above sees what is wrong.
func TestHistoriesAreJudged(t *testing.T) {
	type step struct {
		in           claimInput
		out          claimAnswer
		call, answer int
	}
	yes, no := claimAnswer{ok: true}, claimAnswer{}
	claim, look := claimInput{host: "a"}, claimInput{host: "a", read: true}
	for name, c := range map[string]struct {
		steps []step
		want  porcupine.CheckResult
	}{
		"one over":                     {[]step{{claim, yes, 0, 1}, {claim, yes, 2, 3}, {claim, yes, 4, 5}}, porcupine.Illegal},
		"refused though there is room": {[]step{{claim, yes, 0, 1}, {claim, no, 2, 3}}, porcupine.Illegal},
		"a claim that is not seen":     {[]step{{claim, yes, 0, 1}, {look, claimAnswer{used: 0}, 2, 3}}, porcupine.Illegal},
		"refused while one may have":   {[]step{{claim, yes, 0, 1}, {claim, yes, 2, 9}, {claim, no, 3, 4}}, porcupine.Ok},
		"seen while it is made":        {[]step{{claim, yes, 0, 5}, {look, claimAnswer{used: 1}, 1, 2}, {look, claimAnswer{used: 1}, 3, 4}}, porcupine.Ok},
		"seen and no more":             {[]step{{claim, yes, 0, 5}, {look, claimAnswer{used: 1}, 1, 2}, {look, claimAnswer{used: 0}, 3, 4}}, porcupine.Illegal},
	} {
		h := newHistory()
		for i, s := range c.steps {
			h.add(i, s.in, s.out, time.Duration(s.call), time.Duration(s.answer))
		}
		if got := h.check(2); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
