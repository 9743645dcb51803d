package api

import (
	"context"
	"io"
	"net/http"

	"kilonova/internal/rest"
)

// samlBody is a wish to be vouched for.
type samlBody struct {
	Identity *struct {
		Methods []string `json:"methods"`
		Token   *struct {
			ID string `json:"id"`
		} `json:"token"`
	} `json:"identity"`
	Scope *struct {
		Partner *struct {
			ID string `json:"id"`
		} `json:"service_provider"`
	} `json:"scope"`
}

func (a *api) samlResponse(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.assert(ctx, r, false)
}

func (a *api) samlEnvelope(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.assert(ctx, r, true)
}

func (a *api) assert(ctx context.Context, r *rest.Request, envelope bool) (*rest.Response, error) {
	b, extra, err := decode[samlBody](r, "auth")
	if err := only(extra, err); err != nil {
		return nil, err
	}
	switch {
	case b.Identity == nil || b.Identity.Token == nil || b.Identity.Token.ID == "":
		return nil, expecting("a token with an id", "identity")
	case b.Scope == nil || b.Scope.Partner == nil || b.Scope.Partner.ID == "":
		return nil, expecting("a service_provider with an id", "scope")
	}
	made, err := a.c.Assert(ctx, b.Identity.Token.ID, b.Scope.Partner.ID, envelope)
	if err != nil {
		return nil, err
	}
	return xml(made.XML).With("X-Sp-Url", made.Partner.URL).With("X-Auth-Url", made.Partner.AuthURL).With("Cache-Control", "no-store"), nil
}

// samlMetadata is our side as a SAML identity provider.
func (a *api) samlMetadata(context.Context, *rest.Request) (*rest.Response, error) {
	data, err := a.c.SAMLMetadata()
	if err != nil {
		return nil, err
	}
	return xml(data), nil
}

// xml is an answer that is no JSON.
func xml(data []byte) *rest.Response {
	resp := &rest.Response{Status: http.StatusOK, Stream: func(_ context.Context, w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
	return resp.With("Content-Type", "text/xml; charset=utf-8")
}
