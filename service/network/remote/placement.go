package remote

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/network"
)

// Placement is the Placement service as a network.Placement.
type Placement struct{ client *peer.Client }

var _ network.Placement = (*Placement)(nil)

// NewPlacement returns the Placement service of the dial table. own is this
// service's user there.
func NewPlacement(t peer.Table, own peer.Tokens) (*Placement, error) {
	client, err := t.Client("placement", own)
	return &Placement{client}, err
}

// placementVersion has consumer types and consumers' generations.
const placementVersion = "placement 1.38"

// tries bounds how often a change is made again because others were faster.
const tries = 5

func (p *Placement) do(ctx context.Context, method, path string, in, out any) error {
	return p.client.Do(ctx, peer.Call{Method: method, Path: path, In: in, Out: out, Version: placementVersion})
}

// overtaken reports whether somebody else has changed the same meanwhile.
func overtaken(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Code == "placement.concurrent_update"
}

type object = map[string]any

// ProviderNamed implements network.Placement.
func (p *Placement) ProviderNamed(ctx context.Context, name string) (string, error) {
	var out struct {
		Providers []struct {
			ID string `json:"uuid"`
		} `json:"resource_providers"`
	}
	if err := p.do(ctx, http.MethodGet, "/resource_providers?"+url.Values{"name": {name}}.Encode(), nil, &out); err != nil {
		return "", err
	}
	if len(out.Providers) == 0 {
		return "", fault.NotFoundf("Placement knows no resource provider %s.", name)
	}
	return out.Providers[0].ID, nil
}

// Publish implements network.Placement.
func (p *Placement) Publish(ctx context.Context, x network.Provider) error {
	path := "/resource_providers/" + url.PathEscape(x.ID)
	var now struct {
		Parent     *string `json:"parent_provider_uuid"`
		Generation int     `json:"generation"`
	}
	err := p.do(ctx, http.MethodGet, path, nil, &now)
	switch {
	case fault.Is(err, fault.NotFound):
		err = p.do(ctx, http.MethodPost, "/resource_providers", object{"uuid": x.ID, "name": x.Name, "parent_provider_uuid": x.Parent}, &now)
	case err == nil && (now.Parent == nil || *now.Parent != x.Parent): // the host's own provider is another one now
		err = p.do(ctx, http.MethodPut, path, object{"name": x.Name, "parent_provider_uuid": x.Parent}, &now)
	}
	if err != nil {
		return err
	}
	inventories := object{}
	for class, total := range x.Totals {
		inventories[class] = object{"total": total, "reserved": 0, "min_unit": 1, "max_unit": total, "step_size": 1, "allocation_ratio": 1.0}
	}
	var kept struct {
		Generation int `json:"resource_provider_generation"`
	}
	err = p.do(ctx, http.MethodPut, path+"/inventories", object{"resource_provider_generation": now.Generation, "inventories": inventories}, &kept)
	if err != nil {
		return err
	}
	for _, trait := range x.Traits {
		if err := p.do(ctx, http.MethodPut, "/traits/"+url.PathEscape(trait), nil, nil); err != nil {
			return err
		}
	}
	return p.do(ctx, http.MethodPut, path+"/traits", object{"resource_provider_generation": kept.Generation, "traits": x.Traits}, nil)
}

// Withdraw implements network.Placement.
func (p *Placement) Withdraw(ctx context.Context, id string) error {
	err := p.do(ctx, http.MethodDelete, "/resource_providers/"+url.PathEscape(id), nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// claim is what a consumer has, as it is read and written.
type claim struct {
	Allocations map[string]struct {
		Resources map[string]int `json:"resources"`
	} `json:"allocations"`
	ProjectID  string `json:"project_id"`
	UserID     string `json:"user_id"`
	Type       string `json:"consumer_type"`
	Generation *int   `json:"consumer_generation"`
}

// Reclaim implements network.Placement.
func (p *Placement) Reclaim(ctx context.Context, consumer string, amounts map[string]map[string]int) error {
	path := "/allocations/" + url.PathEscape(consumer)
	for range tries {
		var now claim
		if err := p.do(ctx, http.MethodGet, path, nil, &now); err != nil || len(now.Allocations) == 0 {
			return err
		}
		changed := false
		for provider, classes := range amounts {
			have, ok := now.Allocations[provider]
			if !ok {
				continue // the consumer has left it
			}
			for class, amount := range classes {
				if have.Resources[class] == amount {
					continue
				}
				changed = true
				if have.Resources[class] = amount; amount == 0 {
					delete(have.Resources, class)
				}
			}
			if now.Allocations[provider] = have; len(have.Resources) == 0 {
				delete(now.Allocations, provider)
			}
		}
		if !changed {
			return nil
		}
		if err := p.do(ctx, http.MethodPut, path, now, nil); !overtaken(err) {
			return err
		}
	}
	return fault.Conflictf("The claim of %s was changed by others %d times.", consumer, tries)
}
