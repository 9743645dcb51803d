package rest

import (
	"context"
	"net/http/httptest"
	"testing"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
)

// clock takes the tokens of a table, and late ones where it is asked to.
type clock map[string]*auth.Caller

func (c clock) Validate(_ context.Context, token string) (*auth.Caller, error) {
	if caller := c[token]; caller != nil {
		return caller, nil
	}
	return nil, fault.New(fault.Unauthenticated, "No.")
}

func (c clock) ValidateLate(ctx context.Context, token string) (*auth.Caller, error) {
	return c.Validate(ctx, map[string]string{"over": "user"}[token])
}

func TestServicesFinishWhatUsersBegan(t *testing.T) {
	rule := []auth.AccessRule{{Service: "compute", Method: "GET", Path: "/v2.1/else"}}
	s := testService()
	s.Validator = clock{"user": {ProjectID: "p", Roles: []string{"admin"}}, "service": {Roles: []string{"service"}}, "plain": {Roles: []string{"admin"}},
		"ruled": {ProjectID: "p", Roles: []string{"admin"}, AccessRules: rule}, "shut": {ProjectID: "p", Roles: []string{"admin"}, AccessRules: []auth.AccessRule{}}, "bound": {ProjectID: "p", Roles: []string{"admin"}, Thumbprint: "x"}}
	h := s.Handler()
	for _, x := range []struct {
		token, service string
		want           int
	}{
		{"user", "", 200}, {"user", "nobody's", 200}, {"over", "", 401}, {"over", "nobody's", 401}, {"over", "plain", 401}, {"over", "service", 200},
		{"revoked", "service", 401}, {"", "service", 401}, {"ruled", "", 401}, {"ruled", "plain", 401}, {"ruled", "service", 200},
		{"shut", "", 401}, {"shut", "service", 200}, {"bound", "", 401}, {"bound", "service", 200},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/v2.1/servers/x", nil)
		r.Header.Set("X-Auth-Token", x.token)
		if x.service != "" {
			r.Header.Set("X-Service-Token", x.service)
		}
		h.ServeHTTP(w, r)
		if w.Code != x.want {
			t.Errorf("%q with the service's %q: %d, want %d; %s", x.token, x.service, w.Code, x.want, w.Body)
		}
	}
}
