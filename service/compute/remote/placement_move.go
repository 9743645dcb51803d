package remote

import (
	"context"
	"errors"
	"net/url"

	"kilonova/internal/fault"
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
