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
	trees := map[*summary][]*summary{} // by root
	for _, s := range r.providers {
		trees[s.root] = append(trees[s.root], s)
	}
	found := newList(len(r.requests), memory)
	for i, asked := range r.requests {
		host := hostOf(asked)
		if host == nil || host.chosen {
			continue
		}
		host.chosen = true
		c := candidate(host, asked)
		if c.Allocations == nil { // it is all of the host
			c.Allocations = amountsOf(asked)
		}
		for suffix, resources := range open {
			for _, provider := range r.mappings[i][suffix] {
				leaveOut(c.Allocations, provider.id, resources)
			}
		}
		c.Free = map[string]map[string]int{}
		for _, s := range trees[host] {
			for _, u := range s.capacity {
				if !classes[u.Class] {
					continue
				}
				if c.Free[s.id] == nil {
					c.Free[s.id] = map[string]int{}
				}
				c.Free[s.id][u.Class] = u.Capacity - u.Used - c.Allocations[s.id][u.Class]
			}
		}
		found.add(c)
	}
	return found.all
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
