package api

import (
	"context"
	"encoding/json"
	"time"

	"kilonova/internal/rest"
)

// whyView is one decision about where a server goes.
type whyView struct {
	DecidedAt   rest.MicroTime  `json:"decided_at"`
	RequestID   string          `json:"request_id"`
	Host        *string         `json:"host"`
	Refusal     *string         `json:"refusal"`
	Driver      string          `json:"driver"`
	Took        float64         `json:"took_ms"`
	Together    int             `json:"decided_together"`
	Explanation json.RawMessage `json:"explanation"`
}

// own are the operations that upstream does not have.
func (a *api) own() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/servers/{id}/kilonova-placement", Handle: a.whyPlaced, Doc: "show why a server is where it is (Kilonova's own)"},
	}
}

func (a *api) whyPlaced(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	records, err := a.control.Placements(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	views := make([]whyView, len(records))
	for i, p := range records {
		views[i] = whyView{DecidedAt: rest.MicroTime{Time: p.DecidedAt}, RequestID: p.RequestID, Host: orNull(p.Host), Refusal: orNull(p.Refusal), Driver: p.Driver,
			Took: float64(p.Took) / float64(time.Millisecond), Together: p.Together, Explanation: p.Record}
	}
	return rest.OK(map[string]any{"placements": views}), nil
}
