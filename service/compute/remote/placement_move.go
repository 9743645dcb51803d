package remote

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// held is what a consumer has claimed, as it is read.
type held struct {
	Allocations map[string]struct {
		Resources map[string]int `json:"resources"`
	} `json:"allocations"`
	ProjectID  string `json:"project_id"`
	UserID     string `json:"user_id"`
	Type       string `json:"consumer_type"`
	Generation *int   `json:"consumer_generation"`
}

func (p *Placement) held(ctx context.Context, consumer string) (held, error) {
	var now held
	err := p.do(ctx, "GET", "/allocations/"+url.PathEscape(consumer), nil, &now)
	if len(now.Allocations) == 0 {
		now.Generation = nil // no consumer yet
	}
	return now, err
}

// Transfer implements compute.Placement.
func (p *Placement) Transfer(ctx context.Context, from, to, toType string, keep bool) error {
	for range claims {
		source, err := p.held(ctx, from)
		if err != nil || len(source.Allocations) == 0 {
			return err
		}
		target, err := p.held(ctx, to)
		if err != nil || keep && len(target.Allocations) > 0 {
			return err
		}
		moved := allocations{Allocations: map[string]map[string]any{}, ProjectID: source.ProjectID, UserID: source.UserID, Type: toType, Generation: target.Generation}
		for provider, a := range source.Allocations {
			moved.Allocations[provider] = map[string]any{"resources": a.Resources}
		}
		emptied := allocations{Allocations: map[string]map[string]any{}, ProjectID: source.ProjectID, UserID: source.UserID, Type: source.Type, Generation: source.Generation}
		err = p.do(ctx, "POST", "/allocations", map[string]allocations{from: emptied, to: moved}, nil)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.Conflict || f.Code != "placement.concurrent_update" {
			return err
		}
	}
	return fault.Conflictf("The claim of %s could not be given to %s: it was overtaken %d times.", from, to, claims)
}

// Holdings implements compute.Placement.
func (p *Placement) Holdings(ctx context.Context, consumer string) ([]compute.Holding, error) {
	now, err := p.held(ctx, consumer)
	if err != nil {
		return nil, err
	}
	var all []compute.Holding
	for _, id := range slices.Sorted(maps.Keys(now.Allocations)) {
		var of struct {
			Traits []string `json:"traits"`
		}
		if err := p.do(ctx, "GET", "/resource_providers/"+url.PathEscape(id)+"/traits", nil, &of); err != nil {
			return nil, err
		}
		all = append(all, compute.Holding{ProviderID: id, Resources: now.Allocations[id].Resources, Traits: of.Traits})
	}
	return all, nil
}

// Reclaim implements compute.Placement.
func (p *Placement) Reclaim(ctx context.Context, consumer string, amounts map[string]map[string]int) error {
	for range claims {
		now, err := p.held(ctx, consumer)
		if err != nil || len(now.Allocations) == 0 {
			return err
		}
		body := allocations{Allocations: map[string]map[string]any{}, ProjectID: now.ProjectID, UserID: now.UserID, Type: now.Type, Generation: now.Generation}
		for id, a := range now.Allocations {
			body.Allocations[id] = map[string]any{"resources": a.Resources}
		}
		if !reclaimed(body.Allocations, now, amounts) {
			return nil
		}
		err = p.do(ctx, "PUT", "/allocations/"+url.PathEscape(consumer), body, nil)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "placement.concurrent_update" {
			return err
		}
	}
	return fault.Conflictf("The claim of %s was changed by others %d times.", consumer, claims)
}

// reclaimed changes the amounts of what is held, and reports whether any was another.
func reclaimed(body map[string]map[string]any, now held, amounts map[string]map[string]int) bool {
	changed := false
	for id, classes := range amounts {
		resources := maps.Clone(now.Allocations[id].Resources)
		if resources == nil {
			resources = map[string]int{}
		}
		for class, n := range classes {
			changed = changed || resources[class] != n
			if resources[class] = n; n == 0 {
				delete(resources, class)
			}
		}
		if body[id] = map[string]any{"resources": resources}; len(resources) == 0 {
			delete(body, id)
		}
	}
	return changed
}
