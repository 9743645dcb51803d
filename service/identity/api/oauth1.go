package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

func (a *api) oauth1Routes() []rest.Route {
	const tokens = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
	return []rest.Route{
		{Method: "GET", Path: "/v3/OS-OAUTH1/consumers", Handle: a.listConsumers, Doc: "list OAuth 1 consumers"},
		{Method: "POST", Path: "/v3/OS-OAUTH1/consumers", Handle: a.createConsumer, Doc: "create an OAuth 1 consumer"},
		{Method: "GET", Path: "/v3/OS-OAUTH1/consumers/{consumer_id}", Handle: a.showConsumer, Doc: "show an OAuth 1 consumer"},
		{Method: "PATCH", Path: "/v3/OS-OAUTH1/consumers/{consumer_id}", Handle: a.updateConsumer, Doc: "update an OAuth 1 consumer"},
		{Method: "DELETE", Path: "/v3/OS-OAUTH1/consumers/{consumer_id}", Handle: a.deleteConsumer, Doc: "delete an OAuth 1 consumer"},
		{Method: "POST", Path: "/v3/OS-OAUTH1/request_token", Public: true, Handle: a.createRequestToken, Doc: "get an OAuth 1 request token"},
		{Method: "PUT", Path: "/v3/OS-OAUTH1/authorize/{request_token_id}", Handle: a.authorizeRequestToken, Doc: "authorize an OAuth 1 request token"},
		{Method: "POST", Path: "/v3/OS-OAUTH1/access_token", Public: true, Handle: a.createAccessToken, Doc: "get an OAuth 1 access token"},
		{Method: "GET", Path: tokens, Handle: a.listAccessTokens, Doc: "list the OAuth 1 access tokens of a user"},
		{Method: "GET", Path: tokens + "/{access_token_id}", Handle: a.showAccessToken, Doc: "show an OAuth 1 access token"},
		{Method: "DELETE", Path: tokens + "/{access_token_id}", Handle: a.deleteAccessToken, Doc: "delete an OAuth 1 access token"},
		{Method: "GET", Path: tokens + "/{access_token_id}/roles", Handle: a.accessTokenRoles, Doc: "list the roles of an OAuth 1 access token"},
		{Method: "GET", Path: tokens + "/{access_token_id}/roles/{role_id}", Handle: a.accessTokenRole, Doc: "show a role of an OAuth 1 access token"},
	}
}

// signedCall is the request as its client signed it.
func signedCall(r *rest.Request) *identity.SignedCall {
	address := r.Link(r.URL.EscapedPath())
	if r.URL.RawQuery != "" {
		address += "?" + r.URL.RawQuery
	}
	return &identity.SignedCall{Method: r.Method, URL: address, Authorization: r.Header.Get("Authorization")}
}

// form answers with a token in the form of OAuth 1.
func form(id, secret string, expires time.Time) *rest.Response {
	text := "oauth_token=" + url.QueryEscape(id) + "&oauth_token_secret=" + url.QueryEscape(secret)
	if !expires.IsZero() {
		text += "&oauth_expires_at=" + expires.Format("2006-01-02T15:04:05.000000Z")
	}
	resp := &rest.Response{Status: http.StatusCreated, Stream: func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}}
	return resp.With("Content-Type", "application/x-www-form-urlencoded")
}

func (a *api) createRequestToken(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	t, err := a.c.CreateRequestToken(ctx, *signedCall(r), r.Header.Get("Requested-Project-Id"))
	if err != nil {
		return nil, err
	}
	return form(t.ID, t.Secret, t.Expires), nil
}

func (a *api) createAccessToken(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	t, err := a.c.CreateAccessToken(ctx, *signedCall(r))
	if err != nil {
		return nil, err
	}
	return form(t.ID, t.Secret, t.Expires), nil
}

func (a *api) authorizeRequestToken(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var b struct {
		Roles []roleRef `json:"roles"`
	}
	if err := r.Decode(&b); err != nil {
		return nil, err
	}
	for _, role := range b.Roles {
		if (role.ID == "") == (role.Name == "") {
			return nil, fault.Invalidf("Invalid input for field 'roles': each has either an id or a name.")
		}
	}
	verifier, err := a.c.AuthorizeRequestToken(ctx, r.Path("request_token_id"), roleRefs(b.Roles))
	return rest.OK(map[string]any{"token": map[string]string{"oauth_verifier": verifier}}), err
}

func consumerView(r *rest.Request, c *identity.Consumer) map[string]any {
	v := map[string]any{"id": c.ID, "description": c.Description}
	if c.Secret != "" {
		v["secret"] = c.Secret
	}
	return object(r, "/OS-OAUTH1/consumers/"+c.ID, c.Extra, v)
}

type consumerBody struct {
	Description rest.Opt[string] `json:"description" check:"len=0..4096"`
}

func (a *api) listConsumers(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r)
	if err != nil {
		return nil, err
	}
	list, err := a.c.Consumers(ctx, q)
	return collection(r, "consumers", list, q, consumerView, func(c *identity.Consumer) string { return c.ID }), err
}

func (a *api) createConsumer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[consumerBody](r, "consumer")
	if err != nil {
		return nil, err
	}
	delete(extra, "secret")
	c, err := a.c.CreateConsumer(ctx, nullable(b.Description), extra)
	return one(r, "consumer", &c, consumerView, http.StatusCreated), err
}

func (a *api) showConsumer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	c, err := a.c.Consumer(ctx, r.Path("consumer_id"))
	return one(r, "consumer", &c, consumerView, http.StatusOK), err
}

func (a *api) updateConsumer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[consumerBody](r, "consumer", r.Path("consumer_id"))
	if err != nil {
		return nil, err
	}
	if _, given := extra["secret"]; given {
		return nil, fault.Invalidf("The secret of a consumer cannot be changed.")
	}
	c, err := a.c.UpdateConsumer(ctx, r.Path("consumer_id"), nullable(b.Description), extra)
	return one(r, "consumer", &c, consumerView, http.StatusOK), err
}

func (a *api) deleteConsumer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteConsumer(ctx, r.Path("consumer_id"))
}

func accessTokenView(r *rest.Request, t *identity.AccessToken) map[string]any {
	v := object(r, "/users/"+t.UserID+"/OS-OAUTH1/access_tokens/"+t.ID, nil, map[string]any{"id": t.ID, "consumer_id": t.ConsumerID, "project_id": t.ProjectID,
		"authorizing_user_id": t.UserID, "expires_at": zulu(t.Expires)})
	v["links"].(map[string]string)["roles"] = strings.TrimSuffix(v["links"].(map[string]string)["self"], "/") + "/roles"
	return v
}

func (a *api) listAccessTokens(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.AccessTokens(ctx, r.Path("user_id"))
	return collection(r, "access_tokens", list, identity.Query{}, accessTokenView, func(t *identity.AccessToken) string { return t.ID }), err
}

func (a *api) showAccessToken(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	t, err := a.c.AccessToken(ctx, r.Path("user_id"), r.Path("access_token_id"))
	return one(r, "access_token", &t, accessTokenView, http.StatusOK), err
}

func (a *api) deleteAccessToken(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteAccessToken(ctx, r.Path("user_id"), r.Path("access_token_id"))
}

func (a *api) accessTokenRoles(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.AccessTokenRoles(ctx, r.Path("user_id"), r.Path("access_token_id"), false)
	return collection(r, "roles", list, identity.Query{}, roleView, func(o *identity.Role) string { return o.ID }), err
}

func (a *api) accessTokenRole(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.AccessTokenRoles(ctx, r.Path("user_id"), r.Path("access_token_id"), true)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].ID == r.Path("role_id") {
			return one(r, "role", &list[i], roleView, http.StatusOK), nil
		}
	}
	return nil, fault.NotFoundf("Could not find role: %s.", r.Path("role_id"))
}
