package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/network"
)

// requestsOf returns what ports take of their hosts, by port.
func requestsOf(ctx context.Context, q db.Querier, list []portRead) (map[string]*network.ResourceRequest, error) {
	var policies []string
	seen := map[string]bool{}
	for i := range list {
		if id := list[i].policy(); id != "" && !seen[id] {
			seen[id], policies = true, append(policies, id)
		}
	}
	if len(policies) == 0 {
		return nil, nil
	}
	rules, err := qosRules(ctx, q, policies)
	if err != nil {
		return nil, err
	}
	requests := map[string]*network.ResourceRequest{}
	for i := range list {
		r := &list[i]
		requests[r.ID] = network.RequestOf(r.ID, r.VNICType, r.Physical, rules[r.policy()])
	}
	return requests, nil
}

// policy is the policy that holds for a port: its own or else its network's.
func (r *portRead) policy() string {
	if r.QoSPolicy != "" {
		return r.QoSPolicy
	}
	return r.NetworkQoS
}
