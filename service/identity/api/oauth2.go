package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

func (a *api) oauth2Routes() []rest.Route {
	const path = "/v3/OS-OAUTH2/token"
	routes := []rest.Route{{Method: "POST", Path: path, Public: true, Handle: a.oauth2Token, Doc: "get an OAuth 2 access token"}}
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} { // refused in OAuth 2's own form
		routes = append(routes, rest.Route{Method: method, Path: path, Public: true, Handle: a.oauth2Method, Doc: "not allowed"})
	}
	return routes
}

// oauth2Error is RFC 6749's answer to what cannot be done.
func oauth2Error(status int, code, description string) *rest.Response {
	resp := &rest.Response{Status: status, Body: map[string]string{"error": code, "error_description": description}}
	return resp.With("Cache-Control", "no-store")
}

func (a *api) oauth2Method(context.Context, *rest.Request) (*rest.Response, error) {
	return oauth2Error(http.StatusMethodNotAllowed, "other_error", "The method is not allowed for the requested URL.").With("Allow", "POST"), nil
}

// clientUnknown is a 401 that says where to log in.
func clientUnknown(r *rest.Request, description string) *rest.Response {
	return oauth2Error(http.StatusUnauthorized, "invalid_client", description).With("WWW-Authenticate", `Keystone uri="`+r.Link("")+`"`)
}

func (a *api) oauth2Token(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	data, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(data))
	if err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form = url.Values{}
	}
	cert := rest.Thumbprint(r.Request)
	id, secret, basic := r.BasicAuth()
	if !basic && cert == "" {
		return clientUnknown(r, "OAuth2.0 client authorization is required."), nil
	}
	switch grant := form.Get("grant_type"); grant {
	case "client_credentials":
	case "":
		return oauth2Error(http.StatusBadRequest, "invalid_request", "The parameter grant_type is required."), nil
	default:
		return oauth2Error(http.StatusBadRequest, "unsupported_grant_type", "The parameter grant_type "+clipped(grant)+" is not supported."), nil
	}
	var t *identity.Token
	switch {
	case basic && id != "" && secret != "":
		t, err = a.c.OAuth2Secret(ctx, id, secret)
	case !basic && form.Get("client_id") != "":
		t, err = a.c.OAuth2Certificate(ctx, form.Get("client_id"), r.TLS.PeerCertificates[0], cert)
	default:
		return clientUnknown(r, "OAuth2.0 client authorization is invalid."), nil
	}
	switch {
	case fault.Is(err, fault.Unauthenticated):
		return clientUnknown(r, "Client authentication failed."), nil
	case fault.Is(err, fault.Invalid):
		return oauth2Error(http.StatusBadRequest, "invalid_request", err.Error()), nil
	case err != nil:
		return nil, err
	}
	resp := rest.OK(map[string]any{"access_token": t.ID, "token_type": "Bearer", "expires_in": int(t.Expires.Sub(t.IssuedAt) / time.Second)})
	return resp.With("Cache-Control", "no-store"), nil
}

func clipped(s string) string { return s[:min(len(s), 64)] }

// goneRoutes are of tokens that were certificates: upstream has refused them for
// years, and says so.
func (a *api) goneRoutes() []rest.Route {
	gone := func(context.Context, *rest.Request) (*rest.Response, error) {
		return nil, fault.New(fault.Gone, "This API is no longer available due to the removal of support for PKI tokens.")
	}
	refused := func(context.Context, *rest.Request) (*rest.Response, error) {
		return nil, fault.Forbiddenf("You are not authorized to perform the requested action: tokens are not stored, so that there is no list of revoked ones.")
	}
	return []rest.Route{
		{Method: "GET", Path: "/v3/OS-SIMPLE-CERT/ca", Public: true, Handle: gone, Doc: "removed upstream: answers 410"},
		{Method: "GET", Path: "/v3/OS-SIMPLE-CERT/certificates", Public: true, Handle: gone, Doc: "removed upstream: answers 410"},
		{Method: "GET", Path: "/v3/auth/tokens/OS-PKI/revoked", Public: true, Handle: refused, Doc: "removed upstream: answers 403"},
	}
}
