package remote

import (
	"context"
	"net/http"
	"net/url"

	"kilonova/internal/peer"
	"kilonova/service/image"
)

// Limits are the identity service's, asked as this service's own user.
type Limits struct {
	Identity *peer.Client
	Region   string // whose limits count; those of no region count where it has none
}

var _ image.Limits = (*Limits)(nil)

type limit struct {
	Region   string `json:"region_id"`
	Resource string `json:"resource_name"`
	Default  int64  `json:"default_limit"`
	Limit    int64  `json:"resource_limit"`
}

// Limits implements image.Limits.
func (l *Limits) Limits(ctx context.Context, project string) (map[string]int64, error) {
	var services struct {
		Services []struct{ ID string }
	}
	if err := l.get(ctx, "services", url.Values{"type": {"image"}}, &services); err != nil {
		return nil, err
	}
	all := map[string]int64{}
	for _, s := range services.Services {
		var registered struct {
			Limits []limit `json:"registered_limits"`
		}
		if err := l.get(ctx, "registered_limits", url.Values{"service_id": {s.ID}}, &registered); err != nil {
			return nil, err
		}
		var own struct{ Limits []limit }
		if err := l.get(ctx, "limits", url.Values{"service_id": {s.ID}, "project_id": {project}}, &own); err != nil {
			return nil, err
		}
		for resource, r := range l.near(registered.Limits) {
			all[resource] = r.Default
			for _, o := range own.Limits {
				if o.Resource == resource && o.Region == r.Region {
					all[resource] = o.Limit
				}
			}
		}
	}
	return all, nil
}

// near picks of each resource the limit of our region, or of none.
func (l *Limits) near(list []limit) map[string]limit {
	chosen := map[string]limit{}
	for _, r := range list {
		if _, have := chosen[r.Resource]; r.Region == l.Region || r.Region == "" && !have {
			chosen[r.Resource] = r
		}
	}
	return chosen
}

func (l *Limits) get(ctx context.Context, what string, query url.Values, out any) error {
	return l.Identity.Do(ctx, peer.Call{Method: http.MethodGet, Path: "/v3/" + what + "?" + query.Encode(), Out: out})
}
