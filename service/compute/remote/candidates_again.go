package remote

import (
	"errors"

	"kilonova/service/compute"
)

// candidateDelta names, in A-IM, how our own Placement says what has changed since an
// earlier answer in lines, instead of all of it again: RFC 3229. Most decisions ask what
// one of the last ones has asked, and few hosts have changed since.
const candidateDelta = "kilonova-candidates"

// answer is what Placement has said; it does not change.
type answer struct {
	tag        string // by which Placement knows it; "": it does not
	candidates []compute.Candidate
}

// edit is a step from an answer to the next one: so many candidates stay, so many
// after them go, and so many new ones come.
type edit struct{ keep, drop, new int }

// errEdits: an answer is not what the edits are of.
var errEdits = errors.New("the changes do not go together with the earlier answer of the placement service")

// edited makes an answer of an earlier one. What is left after the last edit goes.
func (a *answer) edited(edits []edit, fresh []compute.Candidate) ([]compute.Candidate, error) {
	if a == nil || len(edits) == 0 {
		return nil, errEdits
	}
	old := a.candidates
	all := make([]compute.Candidate, 0, len(old)+len(fresh))
	for _, e := range edits {
		if e.keep > len(old) || e.drop > len(old)-e.keep || e.new > len(fresh) {
			return nil, errEdits
		}
		all = append(append(all, old[:e.keep]...), fresh[:e.new]...)
		old, fresh = old[e.keep+e.drop:], fresh[e.new:]
	}
	if len(fresh) > 0 {
		return nil, errEdits
	}
	return all, nil
}

// in returns the candidates in memory, for those who change them.
func (a *answer) in(memory []compute.Candidate) []compute.Candidate {
	found := newList(len(a.candidates), memory)
	for _, c := range a.candidates {
		found.add(c)
	}
	return found.all
}

// What is remembered: answers to so many questions, of up to so many candidates.
const (
	mostAnswers    = 32
	mostRemembered = 2000
)
