package cinder

import (
	"net/http"
	"slices"
)

// Fault has requests go wrong on purpose.
type Fault struct {
	Operation string // as the table of New names it: "PUT /attachments/{id}"; "" any
	Skip      int    // requests that go well before
	Times     int    // requests that go wrong then; 0 all
	Status    int    // what they are answered
	After     bool   // they have their effect all the same, as when an answer is lost
}

// Inject has a fault be met from now on. The function that it returns ends that
// and says how often it was met.
func (s *Service) Inject(f Fault) (withdraw func() int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	armed := &armedFault{Fault: f}
	s.faults = append(s.faults, armed)
	return func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(x *armedFault) bool { return x == armed })
		return armed.met
	}
}

type armedFault struct {
	Fault
	seen, met int
}

// faulty is h with the faults that are in force for its operation.
func (s *Service) faulty(operation string, h handle) handle {
	return func(r *http.Request, body object) (int, any) {
		for _, f := range s.faults {
			if f.Operation != "" && f.Operation != operation {
				continue
			}
			f.seen++
			if f.seen <= f.Skip || f.Times > 0 && f.met >= f.Times {
				continue
			}
			f.met++
			if f.After {
				h(r, body)
			}
			return f.Status, refusal(f.Status, "This goes wrong on purpose.")
		}
		return h(r, body)
	}
}
