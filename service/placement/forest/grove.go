package forest

import (
	"iter"
	"slices"
)

// grove is a list of trees, in pieces. It does not change: a change makes another
// one, which shares all pieces but those it changes. So what a claim costs does not
// depend on how many trees there are.
type grove struct {
	pieces []piece // each of pieceSize but the last one
	n      int
}

// piece is some trees of a grove, and when each came to its place: the number of the
// first picture that has it there.
type piece struct {
	trees []*tree
	since []uint64 // beside trees
	last  uint64   // of since
}

const pieceSize = 512

// all yields the trees in their order.
func (g grove) all() iter.Seq[*tree] {
	return func(yield func(*tree) bool) {
		for _, piece := range g.pieces {
			for some := range slices.Chunk(piece.trees, ahead) {
				fetch(some)
				for _, t := range some {
					if !yield(t) {
						return
					}
				}
			}
		}
	}
}

// ahead is how many trees are fetched before the first of them is looked at.
const ahead = 16

// fetch has trees come into the processor's cache, all at once. Each lies somewhere
// else in memory after some claims, its node's provider and inventories somewhere
// else again: to wait for one after the other takes longer than all that a search
// does with them. The sum is of no use but that it has to be read for.
func fetch(trees []*tree) (sum int64) {
	for _, t := range trees {
		if t != nil {
			sum += int64(len(t.nodes))
		}
	}
	for _, t := range trees {
		if t != nil {
			sum += t.nodes[0].Generation
		}
	}
	for _, t := range trees {
		if t == nil {
			continue
		}
		p := t.nodes[0].ProviderState
		if len(p.Inventories) > 0 {
			sum += p.Inventories[0].Used
		}
	}
	return sum
}

func (g grove) at(i int) *tree { return g.pieces[i/pieceSize].trees[i%pieceSize] }

// list returns the trees in a slice of the caller's.
func (g grove) list() []*tree {
	list := make([]*tree, 0, g.n)
	for _, piece := range g.pieces {
		list = append(list, piece.trees...)
	}
	return list
}

// planting is a grove in the making.
type planting struct {
	grove
	picture uint64
	own     map[int]bool // pieces that are no other grove's
}

// change returns a planting that begins as g, for a picture.
func (g grove) change(picture uint64) *planting {
	g.pieces = append(make([]piece, 0, len(g.pieces)+1), g.pieces...)
	return &planting{g, picture, map[int]bool{}}
}

// set puts a tree in the place of another one.
func (p *planting) set(i int, t *tree) {
	own := p.piece(i / pieceSize)
	own.trees[i%pieceSize], own.since[i%pieceSize] = t, p.picture
}

// add puts a tree at the end and returns its place.
func (p *planting) add(t *tree) int {
	at := p.n / pieceSize
	if at == len(p.pieces) {
		size := min(pieceSize, max(8, p.n))
		p.pieces, p.own[at] = append(p.pieces, piece{make([]*tree, 0, size), make([]uint64, 0, size), 0}), true
	}
	own := p.piece(at)
	own.trees, own.since = append(own.trees, t), append(own.since, p.picture)
	p.n++
	return p.n - 1
}

// piece returns one that may be changed, and is about to be.
func (p *planting) piece(i int) *piece {
	own := &p.pieces[i]
	if !p.own[i] {
		own.trees, own.since = append(make([]*tree, 0, pieceSize), own.trees...), append(make([]uint64, 0, pieceSize), own.since...)
		p.own[i] = true
	}
	own.last = p.picture
	return own
}
