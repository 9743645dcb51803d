package forest

import (
	"cmp"

	"kilonova/service/placement"
)

// answer is what a search leaves for the next one with the same question: which trees
// had candidates. A tree does not change, so one that has been in its place since then
// has them again, and only what came into the place of another is to be searched.
type answer struct {
	picture  uint64  // by which it was given
	base     uint64  // the picture of the one that it was told as changes to; 0: none
	searched int     // so many trees, from the first on; those after them were not wanted
	givers   []giver // in the order of trees
}

// giver is a tree with candidates.
type giver struct {
	place, candidates int32
	cut               bool // it may have more than were wanted
}

// comparison is the order of trees of a search with an earlier answer: it goes through
// all, has searched what may have other candidates than it had, and notes how the new
// answer is made of the earlier one.
type comparison struct {
	*search

	before *answer // its givers are those that were not yet come to; nil: there is none
	now    *answer
	edits  []placement.Edit
}

// trees yields those to search.
func (c *comparison) trees(yield func(*tree) bool) {
	first := 0
	for _, p := range c.view.trees.pieces {
		end := first + len(p.trees)
		if c.asBefore(end-1, p.last) { // nothing in it has changed
			for len(c.before.givers) > 0 && int(c.before.givers[0].place) < end {
				place := int(c.before.givers[0].place)
				if !c.visit(place, p.trees[place-first], true, yield) {
					return
				}
			}
			c.now.searched = end
		} else {
			for i, t := range p.trees {
				same := c.asBefore(first+i, p.since[i])
				if i%ahead == 0 && !same {
					fetch(p.trees[i:min(i+ahead, len(p.trees))])
				}
				if !c.visit(first+i, t, same, yield) {
					return
				}
			}
		}
		first = end
	}
}

// asBefore reports whether what has been in a place since a picture was searched for the
// earlier answer.
func (c *comparison) asBefore(place int, since uint64) bool {
	return c.before != nil && place < c.before.searched && since <= c.before.picture
}

// visit comes to a tree, which may be the same as before, and reports whether more are
// wanted.
func (c *comparison) visit(place int, t *tree, same bool, yield func(*tree) bool) bool {
	c.now.searched = place + 1
	var had *giver
	if c.before != nil && len(c.before.givers) > 0 && int(c.before.givers[0].place) == place {
		had = &c.before.givers[0]
		c.before.givers = c.before.givers[1:]
	}
	if same && had == nil {
		return true
	}
	if same && !had.cut && c.fits(int(had.candidates)) {
		c.now.givers = append(c.now.givers, *had)
		c.kept += int(had.candidates)
		if last := c.last(); last.Drop+last.New > 0 {
			c.edits = append(c.edits, placement.Edit{})
		}
		c.last().Keep++
		return c.wants()
	}
	if had != nil {
		c.last().Drop++
	}
	before := len(c.found)
	more := yield(t)
	if n := len(c.found) - before; n > 0 {
		c.now.givers = append(c.now.givers, giver{int32(place), int32(n), !more && len(t.nodes) > 1})
		c.last().New++
	}
	return more
}

func (c *comparison) last() *placement.Edit { return &c.edits[len(c.edits)-1] }

// compare begins a search with what was answered before, if that is remembered; nil:
// the candidates that a question has below a tree depend on others, or on chance.
// Breadth first through trees of several providers, the candidates are compared if there
// may be enough of the first ones of each.
func (f *Forest) compare(s *search, m Manners) *comparison {
	if s.q.Text == "" || len(s.q.Text) > longestText || s.q.Flat || m.Random != nil || len(s.view.sharing) > 0 ||
		s.mixed && (s.limit == 0 || s.limit > s.view.trees.n) {
		return nil
	}
	c := &comparison{search: s, now: &answer{picture: s.view.picture}, edits: make([]placement.Edit, 1)}
	likely := min(cmp.Or(s.limit, s.view.trees.n), s.view.trees.n)
	if before, ok := f.answers.Get(asked{s.q.Text, s.q.Since}); ok {
		c.before, likely = new(*before), len(before.givers)+len(before.givers)/8
	}
	c.now.givers = make([]giver, 0, likely)
	return c
}

// remember keeps an answer for the next search, and returns the edits that made it of
// the earlier one; nil: there was none.
func (f *Forest) remember(c *comparison) (edits []placement.Edit) {
	if c.before != nil {
		edits = c.edits
		// Who asked has this answer now. That before it others may have as well, or the
		// same if this one is lost on its way; that before both nobody is likely to.
		if c.now.base = c.before.picture; c.now.base == c.now.picture {
			c.now.base = c.before.base
		} else {
			f.answers.Remove(asked{c.q.Text, c.before.base})
		}
	}
	if len(c.now.givers) <= mostFound {
		f.answers.Add(asked{c.q.Text, c.now.picture}, c.now)
	}
	return edits
}

// asked is a question and the picture by which it was answered.
type asked struct {
	text    string
	picture uint64
}

// What is remembered of answers: so many, with questions of so many bytes.
const (
	mostAnswers = 256
	longestText = 4096
)
