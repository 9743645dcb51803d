package schedule

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

// weighing is the weighing of the hosts that passed the filters.
type weighing struct {
	hosts      []*Host
	weights    []float64 // beside hosts
	raw        []float64 // what one weigher says of them
	rank       []ranked
	scales     []scale
	overridden bool // aggregates have a say in the multipliers
}

// weighings are those that are not in use: their lists are as long as the hosts are
// many.
var weighings = sync.Pool{New: func() any { return new(weighing) }}

// release lets another weighing have the memory; nothing of it has left with choices.
func (g *weighing) release() {
	g.hosts = nil
	clear(g.scales) // they know their request
	weighings.Put(g)
}

// scale is a weigher with what its weights are brought to [0, 1] by.
type scale struct {
	weigher
	low, span float64
}

// weigh adds up what the weighers say. As upstream does, it leaves a single host
// unweighed, and lets a weigher that finds all hosts alike add nothing.
func (s *Scheduler) weigh(hosts []*Host, r *Request) *weighing {
	g := weighings.Get().(*weighing)
	*g = weighing{hosts: hosts, weights: ofLength(g.weights, len(hosts)), raw: ofLength(g.raw, len(hosts)), rank: ofLength(g.rank, len(hosts)), scales: g.scales[:0]}
	if len(hosts) <= 1 {
		return g
	}
	g.overridden = overrides(hosts)
	raw := g.raw
	for _, build := range s.weighers {
		w, err := build(&s.options, r)
		if err != nil || w.weigh == nil || w.multiplier == 0 && !g.overridden {
			continue // New has checked the options: there is no error
		}
		low, high := math.Inf(1), math.Inf(-1)
		if w.fromZero {
			low = 0
		}
		for i, h := range hosts {
			v := w.weigh(h)
			if w.fromZero {
				v = max(v, 0)
			}
			raw[i] = v
			low, high = min(low, v), max(high, v)
		}
		if low == high {
			continue
		}
		sc := scale{w, low, high - low}
		g.scales = append(g.scales, sc)
		for i, h := range hosts {
			g.weights[i] += w.multiplierOf(h, g.overridden) * ((raw[i] - low) / sc.span)
		}
	}
	return g
}

// ofLength returns a list of n zeros, in the memory of an earlier one if that is
// enough.
func ofLength[T any](list []T, n int) []T {
	list = slices.Grow(list[:0], n)[:n]
	clear(list)
	return list
}

// ranked is a host's place in the order.
type ranked struct {
	weight float64
	lot    uint32 // breaks ties by chance; 0 where that is not wanted
	index  int32
}

// order lists the choices, the best first, at most limit of them when that is not
// 0. Equal weights are ordered by name, or by lot if the options say so; the
// first is then drawn among host_subset_size of the best.
func (g *weighing) order(s *Scheduler, limit int) []Choice {
	rank := g.rank
	for i, w := range g.weights {
		rank[i] = ranked{weight: w, index: int32(i)}
	}
	if s.options.Filter.ShuffleBest {
		g.shuffleBest(rank, s.pick)
	}
	before := func(a, b ranked) int { // names are looked at last: they are far away in memory
		if c := cmp.Compare(b.weight, a.weight); c != 0 {
			return c
		}
		if c := cmp.Compare(a.lot, b.lot); c != 0 {
			return c
		}
		return byName(g.hosts[a.index], g.hosts[b.index])
	}
	subset := max(1, s.options.Filter.HostSubsetSize)
	n := len(rank)
	if limit > 0 {
		n = min(n, max(limit, subset))
	}
	rank = firstOf(rank, n, before)
	choices := make([]Choice, len(rank))
	for i, r := range rank {
		choices[i] = Choice{Host: g.hosts[r.index], Weight: r.weight}
	}
	if subset = min(subset, len(choices)); subset > 1 {
		chosen := s.pick(subset)
		first := choices[chosen]
		copy(choices[1:chosen+1], choices[:chosen])
		choices[0] = first
	}
	if limit > 0 {
		choices = choices[:min(limit, len(choices))]
	}
	return choices
}

// shuffleBest draws lots for the hosts that share the best weight.
func (g *weighing) shuffleBest(rank []ranked, pick func(int) int) {
	best := slices.Max(g.weights)
	var same []int32
	for i, w := range g.weights {
		if w == best {
			same = append(same, int32(i))
		}
	}
	// From a known order, so that the same numbers give the same hosts.
	slices.SortFunc(same, func(a, b int32) int { return byName(g.hosts[a], g.hosts[b]) })
	for i := range same {
		j := i + pick(len(same)-i)
		same[i], same[j] = same[j], same[i]
		rank[same[i]].lot = uint32(i)
	}
}

// firstOf returns the first n of items in order, and does not sort the rest.
func firstOf(items []ranked, n int, compare func(a, b ranked) int) []ranked {
	if n < len(items) {
		// items[:n] becomes a heap with the last of them at its root; whatever
		// comes before that one takes its place.
		heap := items[:n]
		for i := n/2 - 1; i >= 0; i-- {
			siftDown(heap, i, compare)
		}
		for _, item := range items[n:] {
			if compare(item, heap[0]) < 0 {
				heap[0] = item
				siftDown(heap, 0, compare)
			}
		}
		items = heap
	}
	slices.SortFunc(items, compare)
	return items
}

func siftDown(heap []ranked, i int, compare func(a, b ranked) int) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && compare(heap[child+1], heap[child]) > 0 {
			child++
		}
		if compare(heap[i], heap[child]) >= 0 {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// explain says how the best choices came to their weights.
func (g *weighing) explain(choices []Choice) []Weighed {
	out := make([]Weighed, min(len(choices), MaxWeighed))
	for i := range out {
		c := choices[i]
		out[i] = Weighed{Host: c.Name, Weight: c.Weight}
		if c.Node != c.Name {
			out[i].Node = c.Node
		}
		for k := range g.scales {
			sc := &g.scales[k]
			v := sc.weigh(c.Host)
			if sc.fromZero {
				v = max(v, 0)
			}
			if part := sc.multiplierOf(c.Host, g.overridden) * ((v - sc.low) / sc.span); part != 0 {
				if out[i].Parts == nil {
					out[i].Parts = make(map[string]float64, len(g.scales))
				}
				out[i].Parts[sc.name] = part
			}
		}
	}
	return out
}
