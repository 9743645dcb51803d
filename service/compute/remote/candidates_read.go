package remote

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"kilonova/service/compute"
)

// readCandidates reads Placement's answer in either form.
func readCandidates(text []byte) (*candidatesReply, error) {
	if bytes.HasPrefix(text, []byte(`C`)) { // no JSON does
		return readLines(text)
	}
	return readJSON(text)
}

// readJSON reads the answer as everybody's Placement writes it. A provider of which
// nothing is said in provider_summaries has nothing.
func readJSON(text []byte) (*candidatesReply, error) {
	var in struct {
		Requests []struct {
			Allocations map[string]struct {
				Resources map[string]int `json:"resources"`
			} `json:"allocations"`
			Mappings map[string][]string `json:"mappings"`
		} `json:"allocation_requests"`
		Summaries map[string]struct {
			Root      string                                  `json:"root_provider_uuid"`
			Resources map[string]struct{ Capacity, Used int } `json:"resources"`
		} `json:"provider_summaries"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	out := &candidatesReply{}
	byID := make(map[string]*summary, len(in.Summaries))
	of := func(id string) *summary {
		s := byID[id]
		if s == nil {
			s = &summary{id: id}
			s.root = s
			byID[id], out.providers = s, append(out.providers, s)
		}
		return s
	}
	for _, id := range slices.Sorted(maps.Keys(in.Summaries)) {
		from := in.Summaries[id]
		s := of(id)
		if from.Root != "" {
			s.root = of(from.Root)
		}
		for _, class := range slices.Sorted(maps.Keys(from.Resources)) {
			u := from.Resources[class]
			s.capacity = append(s.capacity, compute.Usage{Class: class, Capacity: u.Capacity, Used: u.Used})
		}
	}
	for _, r := range in.Requests {
		var all []allocation
		for _, id := range slices.Sorted(maps.Keys(r.Allocations)) {
			a := allocation{of: of(id)}
			for _, class := range slices.Sorted(maps.Keys(r.Allocations[id].Resources)) {
				a.amounts = append(a.amounts, amount{class, r.Allocations[id].Resources[class]})
			}
			all = append(all, a)
		}
		out.requests = append(out.requests, all)
		mapped := make(map[string][]*summary, len(r.Mappings))
		for suffix, ids := range r.Mappings {
			for _, id := range ids {
				mapped[suffix] = append(mapped[suffix], of(id))
			}
		}
		out.mappings = append(out.mappings, mapped)
	}
	return out, nil
}
