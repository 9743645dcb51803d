package api

import (
	"context"
	"net/http"

	"kilonova/internal/rest"
	"kilonova/service/identity"
)

type credentialBody struct {
	UserID    rest.Opt[string] `json:"user_id" check:"len=1..64"`
	ProjectID rest.Opt[string] `json:"project_id" check:"len=0..64"`
	Type      rest.Opt[string] `json:"type" check:"len=1..255"`
	Blob      rest.Opt[string] `json:"blob"`
}

func (b credentialBody) change(extra identity.Attributes) identity.CredentialChange {
	return identity.CredentialChange{UserID: nullable(b.UserID), ProjectID: text(b.ProjectID), Type: nullable(b.Type), Blob: nullable(b.Blob), Extra: extra}
}

func (a *api) listCredentials(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "user_id", "type")
	if err != nil {
		return nil, err
	}
	list, err := a.c.Credentials(ctx, q)
	return collection(r, "credentials", list, q, credentialView, func(c *identity.Credential) string { return c.ID }), err
}

func (a *api) showCredential(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	c, err := a.c.Credential(ctx, r.Path("credential_id"))
	return one(r, "credential", &c, credentialView, http.StatusOK), err
}

func (a *api) createCredential(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[credentialBody](r, "credential")
	if err != nil {
		return nil, err
	}
	if err := need("blob", b.Blob.V, "type", b.Type.V, "user_id", b.UserID.V); err != nil {
		return nil, err
	}
	c, err := a.c.CreateCredential(ctx, b.change(extra))
	return one(r, "credential", &c, credentialView, http.StatusCreated), err
}

func (a *api) updateCredential(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[credentialBody](r, "credential", r.Path("credential_id"))
	if err != nil {
		return nil, err
	}
	c, err := a.c.UpdateCredential(ctx, r.Path("credential_id"), b.change(extra))
	return one(r, "credential", &c, credentialView, http.StatusOK), err
}

func (a *api) deleteCredential(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteCredential(ctx, r.Path("credential_id"))
}
