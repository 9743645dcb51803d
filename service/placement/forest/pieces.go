package forest

// pieces hands out small lists that are cut from larger ones. A search makes a
// dozen for each of a thousand candidates, and all of them go when it does.
type pieces[T any] struct {
	rest []T
	cut  int // how many elements the last larger list had
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
		p.cut = min(max(2*p.cut, leastPieces), mostPieces)
		p.rest = make([]T, max(p.cut, n))
	}
	out := p.rest[:0:n]
	p.rest = p.rest[n:]
	return out
}
