package forest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"kilonova/service/placement"
)

// byTree is an answer as text, a tree each.
func byTree(c *placement.Candidates) []string {
	var all []string
	var last string
	requests := c.Requests
	for i, p := range c.Summaries {
		if p.RootUUID != last {
			last, all = p.RootUUID, append(all, "")
		}
		all[len(all)-1] += fmt.Sprint(p.UUID, p.Inventories, p.Traits, "\n")
		if i+1 < len(c.Summaries) && c.Summaries[i+1].RootUUID == last {
			continue
		}
		for len(requests) > 0 && requests[0].Allocations[0].Provider.RootUUID == last {
			all[len(all)-1] += told(&placement.Candidates{Requests: requests[:1]})
			requests = requests[1:]
		}
	}
	if len(requests) > 0 { // of trees that come again
		all = append(all, told(&placement.Candidates{Requests: requests}))
	}
	return all
}

// edit makes an answer of an earlier one, as an asker does.
func edit(t *testing.T, old []string, edits []placement.Edit, fresh []string) (all []string) {
	t.Helper()
	for _, e := range edits {
		if e.Keep+e.Drop > len(old) || e.New > len(fresh) {
			t.Fatalf("%+v with %d left of the earlier answer and %d new", e, len(old), len(fresh))
		}
		all = append(append(all, old[:e.Keep]...), fresh[:e.New]...)
		old, fresh = old[e.Keep+e.Drop:], fresh[e.New:]
	}
	if len(fresh) > 0 {
		t.Fatalf("%d trees are left over", len(fresh))
	}
	return all
}

// TestEditsMakeTheAnswer: what has changed since an earlier answer, put into it, is the
// answer in full, whatever comes to the forest and goes meanwhile.
func TestEditsMakeTheAnswer(t *testing.T) {
	edited := map[bool]int{}
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 7))
		m := Manners{BreadthFirst: seed%2 == 1}
		f, hosts := New(), random.IntN(3*pieceSize/2)
		if seed%4 == 0 {
			hosts = random.IntN(20)
		}
		truth, next := map[string]*placement.ProviderState{}, 0
		host := func(root string) (all []*placement.ProviderState) {
			all = append(all, state(root, "", root, int64(random.IntN(6)), int64(random.IntN(3))))
			for j := range random.IntN(3) * random.IntN(2) {
				all = append(all, state(fmt.Sprint(root, ".", j), root, root, 4, int64(random.IntN(5))))
			}
			return all
		}
		add := func() (all []*placement.ProviderState) {
			all = host(fmt.Sprint("host", next))
			next++
			for _, s := range all {
				truth[s.UUID] = s
			}
			return all
		}
		var first []*placement.ProviderState
		for range hosts {
			first = append(first, add()...)
		}
		f.Replace(first)
		queries := []*placement.Query{
			{Groups: []placement.Group{vcpu("", 1)}},
			{Groups: []placement.Group{vcpu("", 3)}, Limit: 1 + random.IntN(30)},
			{Groups: []placement.Group{vcpu("_a", 1), vcpu("_b", 2)}, Limit: 1 + hosts/2 + random.IntN(1+hosts/2)},
			{Groups: []placement.Group{vcpu("_a", 1), vcpu("_b", 1)}, Isolate: true},
		}
		have := make([][]string, len(queries))
		for step := range 60 {
			for range random.IntN(4) {
				uuids := slices.Sorted(func(yield func(string) bool) {
					for uuid := range truth {
						if !yield(uuid) {
							return
						}
					}
				})
				switch random.IntN(12) {
				case 0:
					f.Apply(add(), nil)
				case 1: // a host goes, with all below it
					if len(uuids) > 0 {
						root := truth[uuids[random.IntN(len(uuids))]].RootUUID
						var gone []string
						for uuid, s := range truth {
							if s.RootUUID == root {
								gone = append(gone, uuid)
								delete(truth, uuid)
							}
						}
						f.Apply(nil, gone)
					}
				case 2: // a provider without any below it goes below another host
					if len(uuids) > 0 {
						was, to := truth[uuids[random.IntN(len(uuids))]], truth[uuids[random.IntN(len(uuids))]].RootUUID
						if !slices.ContainsFunc(uuids, func(uuid string) bool { return truth[uuid].ParentUUID == was.UUID }) && to != was.RootUUID {
							now := state(was.UUID, to, to, 4, int64(random.IntN(5)))
							truth[now.UUID] = now
							f.Apply([]*placement.ProviderState{now}, nil)
						}
					}
				default: // something is claimed or given back
					if len(uuids) > 0 {
						was := truth[uuids[random.IntN(len(uuids))]]
						now := state(was.UUID, was.ParentUUID, was.RootUUID, 4, int64(random.IntN(5)))
						truth[now.UUID] = now
						f.Apply([]*placement.ProviderState{now}, nil)
					}
				}
			}
			for i, q := range queries {
				if random.IntN(3) == 0 {
					continue // some have waited for longer
				}
				q.Text = ""
				plain := find(t, f, q, m)
				want := byTree(plain)
				q.Text = fmt.Sprint("question ", i)
				c := find(t, f, q, m)
				if c.Picture == 0 { // only breadth first, if some tree gives more than its first
					if got, want := told(c), told(plain); !m.BreadthFirst || c.Edits != nil || got != want {
						t.Fatalf("seed %d, step %d: query %d is not compared, with %+v\n%s\nwant\n%s", seed, step, i, c.Edits, got, want)
					}
					have[i], q.Since = nil, 0
					continue
				}
				got := byTree(c)
				if whole := c.Edits == nil; whole != (have[i] == nil) {
					t.Fatalf("seed %d, step %d: query %d is answered whole: %v", seed, step, i, whole)
				}
				if c.Edits != nil {
					edited[m.BreadthFirst]++
					got = edit(t, have[i], c.Edits, got)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d, step %d, query %d: with %+v\n%s\nwant\n%s", seed, step, i, c.Edits, got, want)
				}
				have[i], q.Since = append([]string{}, got...), c.Picture
				c.Done()
			}
		}
	}
	if edited[false] < 300 || edited[true] < 100 {
		t.Errorf("%v answers were edits", edited)
	}
}

// TestEditsAreFew: after a claim an answer has one new tree, and one more if there was
// a limit that comes to another one now; breadth first, too, where some tree has more
// than one provider.
func TestEditsAreFew(t *testing.T) {
	for _, m := range []Manners{{}, {BreadthFirst: true}} {
		f, _ := flat(3 * pieceSize)
		f.Apply([]*placement.ProviderState{state("card", "host1535", "host1535", 4, 0)}, nil)
		claim := func(i int, used int64) {
			f.Apply([]*placement.ProviderState{state(fmt.Sprint("host", i), "", fmt.Sprint("host", i), 4, used)}, nil)
		}
		q := &placement.Query{Groups: []placement.Group{vcpu("", 1)}, Limit: 1000, Text: "q"}
		q.Since = find(t, f, q, m).Picture
		for _, step := range []struct {
			host int
			used int64
			want []placement.Edit
		}{
			{700, 1, []placement.Edit{{Keep: 700, Drop: 1, New: 1}, {Keep: 299}}},
			{0, 4, []placement.Edit{{Drop: 1}, {Keep: 999, New: 1}}},
			{0, 0, []placement.Edit{{New: 1}, {Keep: 999}}},
			{1200, 4, []placement.Edit{{Keep: 1000}}},
		} {
			claim(step.host, step.used)
			c := find(t, f, q, m)
			if !slices.Equal(c.Edits, step.want) {
				t.Errorf("%+v, after %d of host %d: %+v, want %+v", m, step.used, step.host, c.Edits, step.want)
			}
			q.Since = c.Picture
		}
	}
}

// TestAnswersThatSeveralHave: two who have the same answer are both told what has changed
// since, and whoever has not got that may ask once more; of three one after the other the
// first is forgotten.
func TestAnswersThatSeveralHave(t *testing.T) {
	f, _ := flat(20)
	q := placement.Query{Groups: []placement.Group{vcpu("", 1)}, Limit: 10, Text: "q"}
	since := func(picture uint64) *placement.Candidates {
		q := q
		q.Since = picture
		return find(t, f, &q, Manners{})
	}
	used := int64(0)
	claim := func() {
		used = 1 - used
		f.Apply([]*placement.ProviderState{state("host3", "", "host3", 4, used)}, nil)
	}
	pictures := []uint64{since(0).Picture}
	one := []placement.Edit{{Keep: 3, Drop: 1, New: 1}, {Keep: 6}}
	for range 3 {
		last := pictures[len(pictures)-1]
		if c := since(last); !slices.Equal(c.Edits, []placement.Edit{{Keep: 10}}) {
			t.Errorf("nothing has changed: %+v", c.Edits)
		}
		claim()
		for range 3 {
			c := since(last)
			if !slices.Equal(c.Edits, one) {
				t.Errorf("after %d answers: %+v, want %+v", len(pictures), c.Edits, one)
			}
			pictures = append(pictures[:len(pictures):len(pictures)], c.Picture)
		}
		pictures = slices.Compact(pictures)
	}
	if c := since(pictures[0]); c.Edits != nil || f.answers.Len() != 2 {
		t.Errorf("the first of %d answers: %+v; %d are remembered", len(pictures), c.Edits, f.answers.Len())
	}
}

// TestAnswersThatAreNotCompared: candidates that depend on more than one tree, or on
// chance, are told whole each time, and so are those by a picture of which nothing is known.
func TestAnswersThatAreNotCompared(t *testing.T) {
	f := row(3)
	q := &placement.Query{Groups: []placement.Group{vcpu("", 1)}, Text: "q"}
	first := find(t, f, q, Manners{})
	if first.Picture == 0 || first.Edits != nil {
		t.Errorf("%d, %v", first.Picture, first.Edits)
	}
	again := *q
	again.Since = first.Picture
	if c := find(t, f, &again, Manners{}); !slices.Equal(c.Edits, []placement.Edit{{Keep: 3}}) || len(c.Requests) != 0 {
		t.Errorf("when nothing has changed: %+v, %d requests", c.Edits, len(c.Requests))
	}
	for name, m := range map[string]Manners{"breadth first": {BreadthFirst: true}, "random": {Random: rand.New(rand.NewPCG(1, 1))}} {
		if c := find(t, f, &again, m); c.Picture != 0 || c.Edits != nil || len(c.Requests) != 12 {
			t.Errorf("%s: %d, %v, %d requests", name, c.Picture, c.Edits, len(c.Requests))
		}
	}
	for name, change := range map[string]func(*placement.Query){
		"another question": func(q *placement.Query) { q.Text = "r" },
		"another picture":  func(q *placement.Query) { q.Since++ },
	} {
		other := again
		change(&other)
		if c := find(t, f, &other, Manners{}); c.Picture == 0 || c.Edits != nil || len(c.Requests) != 12 {
			t.Errorf("%s: %d, %v, %d requests", name, c.Picture, c.Edits, len(c.Requests))
		}
	}
	sharing := state("nfs", "", "nfs", 4, 0, placement.Sharing)
	sharing.Aggregates = []string{"rack"}
	f.Apply([]*placement.ProviderState{sharing}, nil)
	if c := find(t, f, &again, Manners{}); c.Picture != 0 || c.Edits != nil {
		t.Errorf("with one that shares: %d, %v", c.Picture, c.Edits)
	}
	if other := New(); other.View().picture == New().View().picture {
		t.Error("two forests number their pictures alike")
	}
}
