package remote

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"kilonova/service/compute"
)

// candidatesReply is what Placement answers.
type candidatesReply struct {
	Requests []struct {
		Allocations map[string]struct {
			Resources map[string]int `json:"resources"`
		} `json:"allocations"`
	} `json:"allocation_requests"`
	Summaries map[string]struct {
		Root      string                                  `json:"root_provider_uuid"`
		Resources map[string]struct{ Capacity, Used int } `json:"resources"`
	} `json:"provider_summaries"`
}

// Candidates implements compute.Placement. Of several ways to be on one host the
// first counts.
func (p *Placement) Candidates(ctx context.Context, q compute.CandidateQuery) ([]compute.Candidate, error) {
	var out candidatesReply
	if err := p.do(ctx, "GET", "/allocation_candidates?"+candidatesQuery(q).Encode(), nil, &out); err != nil {
		return nil, err
	}
	all := make([]compute.Candidate, 0, len(out.Requests))
	seen := make(map[string]bool, len(out.Requests))
	for i := range out.Requests {
		c := out.candidate(i)
		if c.ProviderID != "" && !seen[c.ProviderID] {
			seen[c.ProviderID] = true
			all = append(all, c)
		}
	}
	return all, nil
}

// candidate reads the i-th request for allocations. Its host is the root of the
// providers, that of processors and memory where others share theirs with it.
func (r *candidatesReply) candidate(i int) compute.Candidate {
	asked := r.Requests[i].Allocations
	c := compute.Candidate{Capacity: map[string]compute.Usage{}}
	of := "" // the class that tells the host
	for _, id := range slices.Sorted(maps.Keys(asked)) {
		summary := r.Summaries[id]
		root := summary.Root
		if root == "" {
			root = id
		}
		for _, class := range []string{"MEMORY_MB", "PCPU", "VCPU"} {
			if _, has := asked[id].Resources[class]; has && of == "" {
				c.ProviderID, of = root, class
			}
		}
		if c.ProviderID == "" {
			c.ProviderID = root
		}
		for class, u := range summary.Resources {
			if _, other := c.Capacity[class]; !other || asked[id].Resources[class] > 0 {
				c.Capacity[class] = compute.Usage(u)
			}
		}
	}
	if _, whole := asked[c.ProviderID]; whole && len(asked) == 1 {
		return c
	}
	c.Allocations = make(map[string]map[string]int, len(asked))
	for id, a := range asked {
		c.Allocations[id] = a.Resources
	}
	return c
}

func candidatesQuery(q compute.CandidateQuery) url.Values {
	query := url.Values{"limit": {fmt.Sprint(q.Limit)}}
	if required := traitsOf(q.Required, q.Forbidden); len(q.Resources) > 0 {
		query.Set("resources", amounts(q.Resources))
		if required != "" {
			query.Set("required", required)
		}
	} else if required != "" { // all resources are in groups
		query.Set("root_required", required)
	}
	for _, g := range q.Groups {
		if len(g.Resources) > 0 {
			query.Set("resources"+g.Suffix, amounts(g.Resources))
		}
		if required := traitsOf(g.Required, g.Forbidden); required != "" {
			query.Set("required"+g.Suffix, required)
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
