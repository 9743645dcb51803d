package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
	"kilonova/service/identity/control"
	"kilonova/service/identity/signature"
)

func ec2View(r *rest.Request, k *control.EC2Key) map[string]any {
	return object(r, "/users/"+k.UserID+"/credentials/OS-EC2/"+k.Access, nil, map[string]any{"user_id": k.UserID, "tenant_id": k.ProjectID,
		"access": k.Access, "secret": k.Secret, "trust_id": orNull(k.TrustID)})
}

func (a *api) listEC2Keys(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.EC2Keys(ctx, r.Path("user_id"))
	return collection(r, "credentials", list, identity.Query{}, ec2View, func(k *control.EC2Key) string { return k.Access }), err
}

func (a *api) showEC2Key(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	k, err := a.c.EC2Key(ctx, r.Path("user_id"), r.Path("access"))
	return one(r, "credential", &k, ec2View, http.StatusOK), err
}

func (a *api) createEC2Key(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var b struct {
		ProjectID string `json:"tenant_id" check:"required len=1..64"`
	}
	if err := r.Decode(&b); err != nil {
		return nil, err
	}
	k, err := a.c.CreateEC2Key(ctx, r.Path("user_id"), b.ProjectID)
	return one(r, "credential", &k, ec2View, http.StatusCreated), err
}

func (a *api) deleteEC2Key(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteEC2Key(ctx, r.Path("user_id"), r.Path("access"))
}

// signedBody is what EC2 and S3 servers send; the member has had three names.
type signedBody struct {
	Credentials *signed `json:"credentials"`
	Credential  *signed `json:"credential"`
	EC2         *signed `json:"ec2Credentials"`
}

type signed struct {
	Access    string         `json:"access"`
	Signature string         `json:"signature"`
	Host      string         `json:"host"`
	Verb      string         `json:"verb"`
	Path      string         `json:"path"`
	Params    map[string]any `json:"params"`
	Headers   map[string]any `json:"headers"`
	BodyHash  string         `json:"body_hash"`
	Token     string         `json:"token"`
}

func (a *api) signedBy(r *rest.Request) (*signed, error) {
	var b signedBody
	if err := r.Decode(&b); err != nil {
		return nil, err
	}
	for _, s := range []*signed{b.Credentials, b.Credential, b.EC2} {
		if s != nil && s.Access != "" {
			return s, nil
		}
	}
	return nil, fault.New(fault.Unauthenticated, "EC2 Signature not supplied")
}

func texts(m map[string]any) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = fmt.Sprint(v)
	}
	return out
}

func (a *api) ec2Token(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	s, err := a.signedBy(r)
	if err != nil {
		return nil, err
	}
	t, err := a.c.AuthenticateSigned(ctx, control.SignedRequest{Access: s.Access, Signature: s.Signature,
		Request: signature.Request{Verb: s.Verb, Host: s.Host, Path: s.Path, Params: texts(s.Params), Headers: texts(s.Headers), BodyHash: s.BodyHash}})
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"token": tokenView(t)}).With("X-Subject-Token", t.ID), nil
}

func (a *api) s3Token(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	s, err := a.signedBy(r)
	if err != nil {
		return nil, err
	}
	text, err := base64.URLEncoding.DecodeString(s.Token)
	if err != nil {
		text, err = base64.StdEncoding.DecodeString(s.Token)
	}
	if err != nil || len(text) == 0 {
		return nil, fault.Invalidf("Invalid input for field 'token': it is what was signed, in base64.")
	}
	t, err := a.c.AuthenticateSigned(ctx, control.SignedRequest{Access: s.Access, Signature: s.Signature, Text: text})
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"token": tokenView(t)}), nil
}
