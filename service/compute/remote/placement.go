package remote

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// Placement is the Placement service.
type Placement struct {
	client   *peer.Client
	texts    sync.Pool                   // that candidates are read from: *bytes.Buffer, of some a tenth of a megabyte
	answered *lru.Cache[string, *answer] // by question
}

// NewPlacement returns the service that a client reaches.
func NewPlacement(client *peer.Client) *Placement {
	answered, err := lru.New[string, *answer](mostAnswers)
	if err != nil {
		panic(err) // it is for sizes below 1
	}
	return &Placement{client: client, answered: answered}
}

var _ compute.Placement = (*Placement)(nil)

// placementVersion is what this client speaks: consumer types and the later
// forms of allocations.
const placementVersion = "placement 1.38"

func (p *Placement) do(ctx context.Context, method, path string, in, out any) error {
	return p.client.Do(ctx, peer.Call{Method: method, Path: path, In: in, Out: out, Version: placementVersion})
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
	body := allocations{Allocations: allocationsOf(providerID, c), ProjectID: c.ProjectID, UserID: c.UserID, Type: "INSTANCE"}
	for range claims {
		err := p.do(ctx, "PUT", path, body, nil)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Conflict || f.Code != "placement.concurrent_update" {
			return roomless(err)
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
		body[c.ServerID] = allocations{Allocations: allocationsOf(c.ProviderID, c.Claim),
			ProjectID: c.ProjectID, UserID: c.UserID, Type: "INSTANCE"}
	}
	return roomless(p.do(ctx, "POST", "/allocations", body, nil))
}

// roomless makes a conflict of a claim on a provider that is no more, its host having
// been removed since the choice: another host may do, as where there is no room.
func roomless(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.Invalid && strings.Contains(f.Message, "that does not exist") {
		return fault.New(fault.Conflict, "%w", err)
	}
	return err
}

func allocationsOf(providerID string, c compute.Claim) map[string]map[string]any {
	if len(c.Allocations) == 0 {
		return map[string]map[string]any{providerID: {"resources": c.Resources}}
	}
	all := make(map[string]map[string]any, len(c.Allocations))
	for id, resources := range c.Allocations {
		all[id] = map[string]any{"resources": resources}
	}
	return all
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

// KnowsTrait implements compute.Placement.
func (p *Placement) KnowsTrait(ctx context.Context, trait string) (bool, error) {
	err := p.do(ctx, "GET", "/traits/"+url.PathEscape(trait), nil, nil)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
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

// AggregatesOf implements compute.Placement.
func (p *Placement) AggregatesOf(ctx context.Context, providerID string) ([]string, error) {
	var now struct {
		Aggregates []string `json:"aggregates"`
	}
	err := p.do(ctx, "GET", "/resource_providers/"+url.PathEscape(providerID)+"/aggregates", nil, &now)
	return now.Aggregates, err
}

// Withdraw implements compute.Placement.
func (p *Placement) Withdraw(ctx context.Context, providerID string) error {
	return p.do(ctx, "DELETE", "/resource_providers/"+url.PathEscape(providerID), nil, nil)
}
