package remote

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// Candidates implements compute.Placement. Of several ways to be on one host the
// first counts.
func (p *Placement) Candidates(ctx context.Context, q compute.CandidateQuery, memory []compute.Candidate) ([]compute.Candidate, error) {
	text, _ := p.answers.Get().(*bytes.Buffer)
	if text == nil {
		text = new(bytes.Buffer)
	}
	defer p.answers.Put(text)
	text.Reset()
	if err := p.do(ctx, "GET", "/allocation_candidates?"+candidatesQuery(q).Encode(), nil, text); err != nil {
		return nil, err
	}
	open := openGroups(q)
	reply, err := readCandidates(text.Bytes(), len(open) > 0)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The placement service gave an answer that cannot be read.")
	}
	defer reply.release()
	if len(open) > 0 {
		return reply.openCandidates(open, memory), nil
	}
	return reply.candidates(memory), nil
}

// candidatesReply is what Placement answers.
type candidatesReply struct {
	requests  [][]allocation      // each ordered by provider
	providers map[string]*summary // by id
	// mappings say for each request who gives each group, by suffix, where somebody
	// wants to know.
	mappings []map[string][]string

	reader *plainReader // whose memory it is; may be nil
}

// allocation is what would be claimed of a provider.
type allocation struct {
	provider string
	amounts  []amount
}

type amount struct {
	class string
	n     int
}

// summary is what Placement says of a provider.
type summary struct {
	root     string // of its tree
	capacity compute.Capacity
	chosen   bool // its provider is a candidate already
}

func (a *allocation) of(class string) (n int, asked bool) {
	for _, x := range a.amounts {
		if x.class == class {
			return x.n, true
		}
	}
	return 0, false
}

func (r *candidatesReply) candidates(memory []compute.Candidate) []compute.Candidate {
	all := slices.Grow(memory[:0], len(r.requests))
	for _, asked := range r.requests {
		c := r.candidate(asked)
		if c.ProviderID == "" {
			continue
		}
		s := r.providers[c.ProviderID]
		if s == nil { // Placement says nothing of the root itself
			s = &summary{}
			r.providers[c.ProviderID] = s
		}
		if !s.chosen {
			s.chosen = true
			all = keep(all, c)
		}
	}
	return all
}

// keep appends a candidate. The reply's memory goes, so that its capacity gets
// memory of its own: that of whoever had the place before, if there is any.
func keep(all []compute.Candidate, c compute.Candidate) []compute.Candidate {
	var own compute.Capacity
	if n := len(all); n < cap(all) {
		own = all[:n+1][n].Capacity[:0]
	}
	c.Capacity = append(own, c.Capacity...)
	return append(all, c)
}

// rootOf returns the root of a provider's tree.
func (r *candidatesReply) rootOf(provider string) string {
	if s := r.providers[provider]; s != nil && s.root != "" {
		return s.root
	}
	return provider
}

// candidate reads a request for allocations. Its host is the root of the
// providers, that of processors and memory where others share theirs with it.
func (r *candidatesReply) candidate(asked []allocation) compute.Candidate {
	var c compute.Candidate
	if len(asked) == 1 { // most clouds have only such
		id := asked[0].provider
		s := r.providers[id]
		c.ProviderID = id
		if s != nil {
			c.Capacity = s.capacity
		}
		if s == nil || s.root == "" || s.root == id {
			return c
		}
		c.ProviderID = s.root
	} else {
		c.ProviderID = r.hostOf(asked)
		for i := range asked {
			if s := r.providers[asked[i].provider]; s != nil {
				c.Capacity = merged(c.Capacity, s.capacity, &asked[i])
			}
		}
	}
	c.Allocations = make(map[string]map[string]int, len(asked))
	for _, a := range asked {
		c.Allocations[a.provider] = make(map[string]int, len(a.amounts))
		for _, x := range a.amounts {
			c.Allocations[a.provider][x.class] = x.n
		}
	}
	return c
}

func (r *candidatesReply) hostOf(asked []allocation) string {
	for i := range asked {
		for _, class := range []string{"MEMORY_MB", "PCPU", "VCPU"} {
			if _, has := asked[i].of(class); has {
				return r.rootOf(asked[i].provider)
			}
		}
	}
	if len(asked) == 0 {
		return ""
	}
	return r.rootOf(asked[0].provider)
}

// merged adds the classes of another provider. Of a class that both have, the one
// counts of which some is asked.
func merged(all, more compute.Capacity, asked *allocation) compute.Capacity {
	all = slices.Clip(all)
	for _, u := range more {
		i := slices.IndexFunc(all, func(have compute.Usage) bool { return have.Class == u.Class })
		if i < 0 {
			all = append(all, u)
		} else if n, _ := asked.of(u.Class); n > 0 {
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
