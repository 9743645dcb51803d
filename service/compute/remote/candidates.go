package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// Candidates implements compute.Placement. Of several ways to be on one host the
// first counts.
func (p *Placement) Candidates(ctx context.Context, q compute.CandidateQuery, memory []compute.Candidate) ([]compute.Candidate, error) {
	path := "/allocation_candidates?" + candidatesQuery(q).Encode()
	had, _ := p.answered.Get(path)
	found, err := p.ask(ctx, path, q, had, memory)
	if errors.Is(err, errEdits) {
		found, err = p.ask(ctx, path, q, nil, memory)
	}
	if err != nil || found.tag == "" {
		return found.candidates, err
	}
	if len(found.candidates) <= mostRemembered {
		p.answered.Add(path, &found)
	}
	return found.in(memory), nil
}

// ask asks a question to which there may be an earlier answer. What is made of memory
// has no tag.
func (p *Placement) ask(ctx context.Context, path string, q compute.CandidateQuery, had *answer, memory []compute.Candidate) (found answer, err error) {
	header := http.Header{"Accept": {candidateLines + ", application/json;q=0.9"}}
	if q.InTree == "" { // else it is of one host, and hardly asked again
		header.Set("A-IM", candidateDelta)
	}
	if had != nil {
		header.Set("If-None-Match", had.tag)
	}
	resp, err := p.client.Open(ctx, peer.Call{Method: "GET", Path: path, Header: header, Version: placementVersion})
	if err != nil {
		return found, err
	}
	defer resp.Body.Close()
	text, _ := p.texts.Get().(*bytes.Buffer)
	if text == nil {
		text = new(bytes.Buffer)
	}
	defer p.texts.Put(text)
	text.Reset()
	if _, err = text.ReadFrom(io.LimitReader(resp.Body, maxCandidates)); err != nil {
		return found, unreadable(err)
	}
	reply, err := readCandidates(text.Bytes())
	if err != nil {
		return found, unreadable(err)
	}
	defer reply.release()
	// Other forms come from other Placements, or from what stands before them, whose
	// tags are for a 304 and not for edits.
	if reply.reader != nil {
		found.tag = resp.Header.Get("ETag")
	}
	if found.tag != "" {
		memory = nil
	}
	if open := openGroups(q); len(open) > 0 {
		found.candidates = reply.openCandidates(open, memory)
	} else {
		found.candidates = reply.candidates(memory)
	}
	if resp.StatusCode == http.StatusIMUsed || len(reply.edits) > 0 {
		if found.tag == "" { // the caller would change what is remembered
			return found, unreadable(errEdits)
		}
		if found.candidates, err = had.edited(reply.edits, found.candidates); err != nil {
			return found, unreadable(err)
		}
	}
	return found, nil
}

func unreadable(err error) error {
	return fault.Wrap(err, fault.Unavailable, "The placement service gave an answer that cannot be read.")
}

// maxCandidates bounds an answer, in bytes.
const maxCandidates = 64 << 20

// candidatesReply is what Placement answers.
type candidatesReply struct {
	requests [][]allocation // each ordered by provider
	// mappings say for each request who gives each group, by suffix; nil where no
	// group has one.
	mappings  []map[string][]*summary
	providers []*summary
	edits     []edit // nil: it is whole

	reader *lineReader // whose memory it is; may be nil
}

// allocation is what would be claimed of a provider.
type allocation struct {
	of      *summary
	amounts []amount
}

type amount struct {
	class string
	n     int
}

// summary is what Placement says of a provider.
type summary struct {
	id       string
	root     *summary // of its tree; itself where there is none
	capacity compute.Capacity
	chosen   bool // it is a candidate already
}

func (a *allocation) has(class string) bool {
	return slices.ContainsFunc(a.amounts, func(x amount) bool { return x.class == class })
}

func (r *candidatesReply) candidates(memory []compute.Candidate) []compute.Candidate {
	found := newList(len(r.requests), memory)
	for _, asked := range r.requests {
		host := hostOf(asked)
		if host == nil || host.chosen {
			continue
		}
		host.chosen = true
		found.add(candidate(host, asked))
	}
	return found.all
}

// list is candidates in the making, with capacities of their own: in memory of others,
// as far as there is some, and else together in larger pieces.
type list struct {
	all  []compute.Candidate
	rest []compute.Usage // of the last piece
	more int             // candidates that will yet come, at most
}

func newList(n int, memory []compute.Candidate) *list {
	return &list{all: slices.Grow(memory[:0], n), more: n}
}

func (l *list) add(c compute.Candidate) {
	var own compute.Capacity
	if n := len(l.all); n < cap(l.all) {
		own = l.all[:n+1][n].Capacity[:0]
	}
	if n := len(c.Capacity); cap(own) < n {
		if len(l.rest) < n {
			l.rest = make([]compute.Usage, n*max(1, min(l.more, mostTogether)))
		}
		own, l.rest = l.rest[:0:n], l.rest[n:]
	}
	l.more--
	c.Capacity = append(own, c.Capacity...)
	l.all = append(l.all, c)
}

// mostTogether is for how many candidates memory is made at once.
const mostTogether = 128

// candidate reads a request for allocations.
func candidate(host *summary, asked []allocation) compute.Candidate {
	c := compute.Candidate{ProviderID: host.id}
	if len(asked) == 1 && asked[0].of == host { // most clouds have only such
		c.Capacity = host.capacity
		return c
	}
	for i := range asked {
		c.Capacity = merged(c.Capacity, asked[i].of.capacity, &asked[i])
	}
	c.Allocations = amountsOf(asked)
	return c
}

// amountsOf is what would be claimed, by provider and class.
func amountsOf(asked []allocation) map[string]map[string]int {
	all := make(map[string]map[string]int, len(asked))
	for _, a := range asked {
		of := make(map[string]int, len(a.amounts))
		for _, x := range a.amounts {
			of[x.class] = x.n
		}
		all[a.of.id] = of
	}
	return all
}

// hostOf is the host that would be claimed: the root of the providers, that of
// processors and memory where others share theirs with it. nil: nothing would be.
func hostOf(asked []allocation) *summary {
	if len(asked) == 0 {
		return nil
	}
	if len(asked) > 1 {
		for i := range asked {
			if asked[i].has("MEMORY_MB") || asked[i].has("PCPU") || asked[i].has("VCPU") {
				return asked[i].of.root
			}
		}
	}
	return asked[0].of.root
}

// merged adds the classes of another provider. Of a class that both have, the one
// counts of which some is asked.
func merged(all, more compute.Capacity, asked *allocation) compute.Capacity {
	all = slices.Clip(all)
	for _, u := range more {
		i := slices.IndexFunc(all, func(have compute.Usage) bool { return have.Class == u.Class })
		if i < 0 {
			all = append(all, u)
		} else if asked.has(u.Class) {
			all[i] = u
		}
	}
	return all
}

func candidatesQuery(q compute.CandidateQuery) url.Values {
	query := url.Values{"limit": {fmt.Sprint(q.Limit)}}
	root := slices.Clone(q.RootRequired)
	if len(q.Resources) > 0 {
		query.Set("resources", amounts(q.Resources))
		if required := traitsOf(q.Required, q.Forbidden); required != "" {
			query.Set("required", required)
		}
	} else if required := traitsOf(q.Required, q.Forbidden); required != "" { // all resources are in groups
		root = append(root, required)
	}
	if len(root) > 0 {
		query.Set("root_required", strings.Join(root, ","))
	}
	for _, g := range q.Groups {
		if len(g.Resources) > 0 {
			query.Set("resources"+g.Suffix, amounts(g.Resources))
		}
		if required := traitsOf(g.Required, g.Forbidden); required != "" {
			query.Set("required"+g.Suffix, required)
		}
	}
	for _, together := range q.SameSubtree {
		query.Add("same_subtree", strings.Join(together, ","))
	}
	if q.InTree != "" {
		if len(q.Resources) > 0 {
			query.Set("in_tree", q.InTree)
		}
		for _, g := range q.Groups {
			query.Set("in_tree"+g.Suffix, q.InTree)
		}
	}
	if q.GroupPolicy != "" {
		query.Set("group_policy", q.GroupPolicy)
	}
	for _, any := range q.MemberOf {
		query.Add("member_of", "in:"+strings.Join(any, ","))
	}
	if len(q.NotMemberOf) > 0 {
		query.Add("member_of", "!in:"+strings.Join(q.NotMemberOf, ","))
	}
	return query
}

func traitsOf(required, forbidden []string) string {
	all := slices.Clone(required)
	for _, t := range forbidden {
		all = append(all, "!"+t)
	}
	return strings.Join(all, ",")
}

func amounts(resources map[string]int) string {
	var all []string
	for class, amount := range resources {
		all = append(all, fmt.Sprintf("%s:%d", class, amount))
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}
