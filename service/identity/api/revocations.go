package api

import (
	"context"
	"time"

	"kilonova/internal/rest"
)

// eventKeys are the attributes of revocation events for the kinds of revocations.
var eventKeys = map[string]string{"audit": "audit_id", "user": "user_id", "project": "project_id", "domain": "domain_id", "trust": "OS-TRUST:trust_id"}

func (a *api) listRevocations(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	since := time.Time{}
	if text := r.Query.Get("since"); text != "" {
		var err error
		if since, err = parseTime("since", text); err != nil {
			return nil, err
		}
	}
	list, err := a.c.Revocations(ctx, since)
	events := []any{}
	for _, e := range list {
		if key := eventKeys[e.Kind]; key != "" {
			events = append(events, map[string]any{key: e.Subject, "issued_before": zulu(e.IssuedBefore)})
		}
	}
	return rest.OK(map[string]any{"events": events, "links": map[string]any{"self": r.Link("/v3/OS-REVOKE/events"), "previous": nil, "next": nil}}), err
}
