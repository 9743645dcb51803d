package api

import (
	"context"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

// maxAttribute bounds what a trusted proxy says of a user in one header, in bytes.
const maxAttribute = 16 << 10

// external is the user that a trusted proxy has authenticated; nil for none.
func (a *api) external(r *rest.Request) *identity.ExternalAuth {
	header, _ := a.c.ProxyHeaders()
	name := r.Header.Get(header)
	if name == "" || !a.c.TrustsProxy(r.RemoteAddr) {
		return nil
	}
	return &identity.ExternalAuth{User: name, Domain: r.Header.Get("X-Remote-Domain")}
}

// mappedAuth is what an identity provider says of the request's user: in a token
// of its own, or by headers of a trusted proxy, named as CGI names them.
func (a *api) mappedAuth(r *rest.Request, idp, protocol string) *identity.MappedAuth {
	m := &identity.MappedAuth{IdentityProvider: idp, Protocol: protocol}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		m.Bearer = strings.TrimSpace(token)
	}
	if !a.c.TrustsProxy(r.RemoteAddr) {
		return m
	}
	m.Assertion = map[string][]string{}
	userHeader, prefix := a.c.ProxyHeaders()
	for name, values := range r.Header {
		cgi := "HTTP_" + strings.ReplaceAll(strings.ToUpper(name), "-", "_")
		if len(values) != 1 || len(values[0]) > maxAttribute || !strings.HasPrefix(cgi, prefix) || name == "X-Auth-Token" || name == "Authorization" || name == "Cookie" {
			continue
		}
		m.Assertion[cgi] = strings.Split(values[0], ";")
	}
	if user := r.Header.Get(userHeader); user != "" {
		m.Assertion["REMOTE_USER"] = []string{user}
	}
	return m
}

// federatedAuth logs in at an address of the provider's own.
func (a *api) federatedAuth(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	t, err := a.federatedToken(ctx, r, r.Path("idp_id"), r.Path("protocol_id"))
	if err != nil {
		return nil, err
	}
	return rest.Created(map[string]any{"token": tokenView(t)}).With("X-Subject-Token", t.ID), nil
}

func (a *api) federatedToken(ctx context.Context, r *rest.Request, idp, protocol string) (*identity.Token, error) {
	return a.c.Authenticate(ctx, identity.AuthRequest{Methods: []string{identity.MethodMapped}, Mapped: a.mappedAuth(r, idp, protocol)}, false)
}

// webSSO logs in a browser and sends it to the dashboard that it came from, with
// the token.
func (a *api) webSSO(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	origin := r.Query.Get("origin")
	if origin == "" {
		return nil, fault.Invalidf("Request must have an origin query parameter")
	}
	if u, err := url.Parse(origin); err == nil { // hosts are the same in any case
		u.Host = strings.ToLower(u.Host)
		origin = u.String()
	}
	if !a.c.TrustsDashboard(origin) {
		return nil, fault.New(fault.Unauthenticated, "%.255s is not a trusted dashboard host", origin)
	}
	idp, protocol := r.Path("idp_id"), r.Path("protocol_id")
	if idp == "" {
		var err error
		if idp, err = a.c.ProviderByRemoteID(ctx, protocol, a.mappedAuth(r, "", protocol).Assertion); err != nil {
			return nil, err
		}
	}
	t, err := a.federatedToken(ctx, r, idp, protocol)
	if err != nil {
		return nil, err
	}
	resp := &rest.Response{Status: http.StatusOK, Stream: func(_ context.Context, w io.Writer) error {
		return ssoPage.Execute(w, map[string]string{"Host": origin, "Token": t.ID})
	}}
	return resp.With("Content-Type", "text/html; charset=utf-8").With("Cache-Control", "no-store"), nil
}

// ssoPage posts the token to the dashboard.
var ssoPage = template.Must(template.New("sso").Parse(`<!DOCTYPE html>
<html>
  <head><meta charset="utf-8"><title>Signing in</title></head>
  <body>
    <form id="sso" name="sso" action="{{.Host}}" method="post">
      Please wait...
      <br>
      <input type="hidden" name="token" id="token" value="{{.Token}}">
      <noscript><input type="submit" name="submit_no_javascript" id="submit_no_javascript" value="If your JavaScript is disabled, please click to continue"></noscript>
    </form>
    <script>window.onload = function() { document.forms['sso'].submit(); }</script>
  </body>
</html>
`))
