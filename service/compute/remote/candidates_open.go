package remote

import "kilonova/service/compute"

// openGroups are the groups of a question of which who asks decides who gives them,
// by suffix.
func openGroups(q compute.CandidateQuery) map[string]map[string]int {
	open := map[string]map[string]int{}
	for _, g := range q.Groups {
		if g.Open {
			open[g.Suffix] = g.Resources
		}
	}
	return open
}

// openCandidates is candidates for a question with open groups: these are left out of
// what would be claimed, and what the providers of the host's tree have left of such
// classes is said.
func (r *candidatesReply) openCandidates(open map[string]map[string]int, memory []compute.Candidate) []compute.Candidate {
	classes := map[string]bool{}
	for _, resources := range open {
		for class := range resources {
			classes[class] = true
		}
	}
	trees := map[string][]string{} // by root
	for id := range r.providers {
		root := r.rootOf(id)
		trees[root] = append(trees[root], id)
	}
	all := memory[:0]
	seen := map[string]bool{}
	for i, asked := range r.requests {
		c := r.candidate(asked)
		if c.ProviderID == "" || seen[c.ProviderID] {
			continue
		}
		seen[c.ProviderID] = true
		if c.Allocations == nil { // it is all of the host
			c.Allocations = map[string]map[string]int{c.ProviderID: {}}
			for _, a := range asked[0].amounts {
				c.Allocations[c.ProviderID][a.class] = a.n
			}
		}
		for suffix, resources := range open {
			for _, provider := range r.mappings[i][suffix] {
				leaveOut(c.Allocations, provider, resources)
			}
		}
		c.Free = map[string]map[string]int{}
		for _, id := range trees[c.ProviderID] {
			for _, u := range r.providers[id].capacity {
				if !classes[u.Class] {
					continue
				}
				if c.Free[id] == nil {
					c.Free[id] = map[string]int{}
				}
				c.Free[id][u.Class] = u.Capacity - u.Used - c.Allocations[id][u.Class]
			}
		}
		all = keep(all, c)
	}
	return all
}

// leaveOut takes resources of a provider off what would be claimed.
func leaveOut(allocations map[string]map[string]int, provider string, resources map[string]int) {
	have := allocations[provider]
	if have == nil {
		return
	}
	for class, n := range resources {
		if have[class] -= n; have[class] <= 0 {
			delete(have, class)
		}
	}
	if len(have) == 0 {
		delete(allocations, provider)
	}
}
