package schedule

import (
	"math/rand/v2"
	"testing"
)

// newScheduler makes a scheduler whose lots are always the same.
func newScheduler(t *testing.T, o Options) *Scheduler {
	t.Helper()
	s, err := New(o, rand.New(rand.NewPCG(1, 2)).IntN)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// only is the defaults with these filters and no weighers.
func only(filters ...string) Options {
	o := Defaults()
	o.Filter.EnabledFilters = filters
	o.Filter.WeightClasses = nil
	return o
}

func names(choices []Choice) []string {
	list := []string{}
	for _, c := range choices {
		list = append(list, c.Name)
	}
	return list
}

func must(t *testing.T, s *Scheduler, hosts []*Host, r *Request) Result {
	t.Helper()
	result, err := s.Select(hosts, r)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func aggregate(pairs ...string) []*Aggregate {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return []*Aggregate{NewAggregate("1", "a", m)}
}
