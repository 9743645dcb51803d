package forest

import "kilonova/service/placement"

// pieces hands out small lists that are cut from larger ones. A search makes a
// dozen for each of a thousand candidates, and all of them go when it does.
type pieces[T any] struct {
	rest  []T
	lists [][]T // the larger ones
	next  int   // of lists
}

// The sizes of the larger lists, in elements: a search that finds ten candidates
// needs none of those that one with a thousand needs.
const (
	leastPieces = 32
	mostPieces  = 2048
)

// list returns an empty list with room for n elements.
func (p *pieces[T]) list(n int) []T {
	for len(p.rest) < n {
		if p.next == len(p.lists) {
			last := 0
			if p.next > 0 {
				last = len(p.lists[p.next-1])
			}
			p.lists = append(p.lists, make([]T, max(n, min(max(2*last, leastPieces), mostPieces))))
		}
		p.rest = p.lists[p.next]
		p.next++
	}
	out := p.rest[:0:n]
	p.rest = p.rest[n:]
	return out
}

// again begins anew with the same lists: nobody looks at what was handed out.
func (p *pieces[T]) again() { p.rest, p.next = nil, 0 }

// memory is what searches are made of, one after the other. What a search has found
// is part of it.
type memory struct {
	// What options and choices are made of, which go with their tree.
	options pieces[option]
	lists   pieces[[]option]
	picked  pieces[*option]
	nodes   pieces[*node]
	takes   pieces[take]
	choices pieces[choice]

	// What candidates are made of.
	amounts    pieces[placement.Amount]
	claimed    pieces[placement.CandidateAllocation]
	mappings   pieces[placement.Mapping]
	satisfying pieces[*placement.ProviderState]

	found     []placement.Candidate
	roots     []*tree // of what is in found, each once
	summaries []*placement.ProviderState
}

// again lets the next tree have the memory of the last one's options and choices:
// what was found has none of it.
func (m *memory) again() {
	m.options.again()
	m.lists.again()
	m.picked.again()
	m.nodes.again()
	m.takes.again()
	m.choices.again()
}

// mostFound bounds the answers whose memory is kept for others.
const mostFound = 10_000

// release gives the memory to another search, with all that was found.
func (f *Forest) release(m *memory) {
	if cap(m.found) > mostFound || cap(m.summaries) > mostFound {
		return
	}
	m.again()
	m.amounts.again()
	m.claimed.again()
	m.mappings.again()
	m.satisfying.again()
	m.found, m.roots, m.summaries = m.found[:0], m.roots[:0], m.summaries[:0]
	f.memories.Put(m)
}
