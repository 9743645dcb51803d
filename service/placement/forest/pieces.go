package forest

// pieces hands out small lists that are cut from larger ones. A search makes a
// dozen for each of a thousand candidates, and all of them go when it does.
type pieces[T any] struct {
	rest  []T
	whole []T // the last larger list
}

// The sizes of the larger lists, in elements: a search that finds ten candidates
// needs none of those that one with a thousand needs.
const (
	leastPieces = 32
	mostPieces  = 2048
)

// list returns an empty list with room for n elements.
func (p *pieces[T]) list(n int) []T {
	if len(p.rest) < n {
		p.whole = make([]T, max(n, min(max(2*len(p.whole), leastPieces), mostPieces)))
		p.rest = p.whole
	}
	out := p.rest[:0:n]
	p.rest = p.rest[n:]
	return out
}

// again begins anew with the last larger list: nobody looks at what was handed out.
func (p *pieces[T]) again() { p.rest = p.whole }
