package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// Placement is the Placement service.
type Placement struct{ Client *peer.Client }

var _ compute.Placement = (*Placement)(nil)

// placementVersion is what this client speaks: consumer types and the later
// forms of allocations.
const placementVersion = "placement 1.38"

func (p *Placement) do(ctx context.Context, method, path string, in, out any) error {
	return p.Client.Do(ctx, peer.Call{Method: method, Path: path, In: in, Out: out, Version: placementVersion})
}

// Candidates implements compute.Placement.
func (p *Placement) Candidates(ctx context.Context, resources map[string]int, required, forbidden []string, limit int) ([]compute.Candidate, error) {
	var asked []string
	for class, amount := range resources {
		asked = append(asked, fmt.Sprintf("%s:%d", class, amount))
	}
	slices.Sort(asked)
	traits := slices.Clone(required)
	for _, t := range forbidden {
		traits = append(traits, "!"+t)
	}
	query := url.Values{"resources": {strings.Join(asked, ",")}, "limit": {fmt.Sprint(limit)}}
	if len(traits) > 0 {
		query.Set("required", strings.Join(traits, ","))
	}
	var out struct {
		Requests []struct {
			Allocations map[string]json.RawMessage `json:"allocations"`
		} `json:"allocation_requests"`
		Summaries map[string]struct {
			Resources map[string]struct{ Capacity, Used int } `json:"resources"`
		} `json:"provider_summaries"`
	}
	if err := p.do(ctx, "GET", "/allocation_candidates?"+query.Encode(), nil, &out); err != nil {
		return nil, err
	}
	var all []compute.Candidate
	for _, r := range out.Requests {
		for id := range r.Allocations {
			c := compute.Candidate{ProviderID: id, Capacity: map[string]compute.Usage{}}
			for class, u := range out.Summaries[id].Resources {
				c.Capacity[class] = compute.Usage(u)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

type allocations struct {
	Allocations map[string]map[string]any `json:"allocations"`
	ProjectID   string                    `json:"project_id"`
	UserID      string                    `json:"user_id"`
	Type        string                    `json:"consumer_type"`
	Generation  *int                      `json:"consumer_generation"`
}

// claims bounds how often a claim is written again because the consumer's
// generation has moved.
const claims = 5

// Claim implements compute.Placement.
func (p *Placement) Claim(ctx context.Context, providerID string, c compute.Claim) error {
	path := "/allocations/" + url.PathEscape(c.ServerID)
	body := allocations{Allocations: map[string]map[string]any{providerID: {"resources": c.Resources}}, ProjectID: c.ProjectID, UserID: c.UserID, Type: "INSTANCE"}
	for range claims {
		err := p.do(ctx, "PUT", path, body, nil)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Conflict || f.Code != "placement.concurrent_update" {
			return err
		}
		var now struct {
			Allocations map[string]any `json:"allocations"`
			Generation  *int           `json:"consumer_generation"`
		}
		if err := p.do(ctx, "GET", path, nil, &now); err != nil {
			return err
		}
		body.Generation = nil
		if len(now.Allocations) > 0 {
			body.Generation = now.Generation
		}
	}
	return fault.Conflictf("The claim of server %s on %s was overtaken %d times.", c.ServerID, providerID, claims)
}

// ClaimAll implements compute.Placement.
func (p *Placement) ClaimAll(ctx context.Context, claims []compute.PlacedClaim) error {
	body := make(map[string]allocations, len(claims))
	for _, c := range claims {
		body[c.ServerID] = allocations{Allocations: map[string]map[string]any{c.ProviderID: {"resources": c.Resources}},
			ProjectID: c.ProjectID, UserID: c.UserID, Type: "INSTANCE"}
	}
	return p.do(ctx, "POST", "/allocations", body, nil)
}

// Release implements compute.Placement.
func (p *Placement) Release(ctx context.Context, serverID string) error {
	err := p.do(ctx, "DELETE", "/allocations/"+url.PathEscape(serverID), nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

type provider struct {
	ID         string `json:"uuid"`
	Name       string `json:"name"`
	Generation int    `json:"generation"`
}

// Publish implements compute.Placement.
func (p *Placement) Publish(ctx context.Context, providerID, name string, inventory map[string]compute.Inventory, traits []string) error {
	path := "/resource_providers/" + url.PathEscape(providerID)
	var rp provider
	err := p.do(ctx, "GET", path, nil, &rp)
	if fault.Is(err, fault.NotFound) {
		err = p.do(ctx, "POST", "/resource_providers", object{"uuid": providerID, "name": name}, &rp)
	}
	if err != nil {
		return err
	}
	var kept struct {
		Generation int `json:"resource_provider_generation"`
	}
	err = p.do(ctx, "PUT", path+"/inventories", object{"resource_provider_generation": rp.Generation, "inventories": inventory}, &kept)
	if err != nil {
		return err
	}
	return p.do(ctx, "PUT", path+"/traits", object{"resource_provider_generation": kept.Generation, "traits": traits}, nil)
}

// Join implements compute.Placement.
func (p *Placement) Join(ctx context.Context, providerID string, into, outOf []string) error {
	path := "/resource_providers/" + url.PathEscape(providerID) + "/aggregates"
	for range claims {
		var now struct {
			Aggregates []string `json:"aggregates"`
			Generation int      `json:"resource_provider_generation"`
		}
		if err := p.do(ctx, "GET", path, nil, &now); err != nil {
			return err
		}
		want := slices.DeleteFunc(slices.Concat(now.Aggregates, into), func(id string) bool { return slices.Contains(outOf, id) })
		slices.Sort(want)
		want = slices.Compact(want)
		slices.Sort(now.Aggregates)
		if slices.Equal(want, now.Aggregates) {
			return nil
		}
		err := p.do(ctx, "PUT", path, object{"aggregates": want, "resource_provider_generation": now.Generation}, nil)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "placement.concurrent_update" {
			return err
		}
	}
	return fault.Conflictf("The aggregates of resource provider %s were changed by others %d times.", providerID, claims)
}

// Withdraw implements compute.Placement.
func (p *Placement) Withdraw(ctx context.Context, providerID string) error {
	return p.do(ctx, "DELETE", "/resource_providers/"+url.PathEscape(providerID), nil, nil)
}
