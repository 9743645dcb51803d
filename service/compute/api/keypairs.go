package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

type keypairView struct {
	Name        string                   `json:"name"`
	PublicKey   string                   `json:"public_key"`
	Fingerprint string                   `json:"fingerprint"`
	Type        string                   `json:"type" mv:"2.2-"`
	UserID      *string                  `json:"user_id,omitempty"`
	PrivateKey  *string                  `json:"private_key,omitempty"`
	ID          *int64                   `json:"id,omitempty"`
	Deleted     *bool                    `json:"deleted,omitempty"`
	DeletedAt   rest.Opt[string]         `json:"deleted_at,omitzero"`
	CreatedAt   rest.Opt[rest.MicroTime] `json:"created_at,omitzero"`
	UpdatedAt   rest.Opt[string]         `json:"updated_at,omitzero"`
}

type keypairBody struct {
	Keypair *keypairView `json:"keypair"`
}

func briefKeypair(k compute.Keypair) *keypairView {
	return &keypairView{Name: k.Name, PublicKey: k.PublicKey, Fingerprint: k.Fingerprint, Type: k.Type}
}

// keyOwner reads whose keypairs are meant: since 2.10 administrators may say so.
func keyOwner(r *rest.Request) string {
	if r.Version.AtLeast("2.10") {
		return r.Query.Get("user_id")
	}
	return ""
}

func (a *api) listKeypairs(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	page, err := r.Page(a.most)
	if err != nil {
		return nil, err
	}
	if !r.Version.AtLeast("2.35") {
		page = rest.Page{}
	}
	limit := page.Limit
	if limit > 0 {
		limit++
	}
	keys, err := a.control.Keypairs(ctx, keyOwner(r), page.Marker, limit)
	if err != nil {
		return nil, err
	}
	more := page.Limit > 0 && len(keys) > page.Limit
	if more {
		keys = keys[:page.Limit]
	}
	return &rest.Response{Items: &rest.Items{Key: "keypairs",
		Each: func(yield func(any) error) error {
			for _, k := range keys {
				if err := yield(&keypairBody{briefKeypair(k)}); err != nil {
					return err
				}
			}
			return nil
		},
		Tail: func() map[string]any {
			if !more {
				return nil
			}
			return map[string]any{"keypairs_links": []link{{Rel: "next", Href: r.NextLink("/v2.1/os-keypairs", keys[len(keys)-1].Name)}}}
		}}}, nil
}

func (a *api) createKeypair(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Keypair struct {
			Name      string  `json:"name" check:"required len=1..255 name"`
			Type      string  `json:"type" mv:"2.2-" check:"enum=ssh|x509"`
			PublicKey *string `json:"public_key" check:"len=0..16384"`
			UserID    string  `json:"user_id" mv:"2.10-" check:"len=0..255"`
		} `json:"keypair" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Keypair
	if !r.Version.AtLeast("2.92") && !rest.Patterns["keypair"].MatchString(b.Name) || !rest.Patterns["keypairdots"].MatchString(b.Name) {
		return nil, fault.Invalidf("Invalid input for field/attribute name. Value: %s. Keypair data is invalid: Keypair name contains unsafe characters", b.Name)
	}
	public := ""
	if b.PublicKey != nil {
		if public = *b.PublicKey; public == "" {
			return nil, fault.Invalidf("Keypair data is invalid: an empty text is no public key.")
		}
	}
	if b.PublicKey == nil && r.Version.AtLeast("2.92") {
		return nil, fault.Invalidf("Invalid input for field/attribute keypair. 'public_key' is a required property.")
	}
	k, private, err := a.control.CreateKeypair(ctx, b.UserID, b.Name, firstOf(b.Type, "ssh"), public)
	if err != nil {
		return nil, err
	}
	v := briefKeypair(k)
	v.UserID = &k.UserID
	if private != "" {
		v.PrivateKey = &private
	}
	status := 201
	if !r.Version.AtLeast("2.2") {
		status = 200
	}
	return &rest.Response{Status: status, Body: &keypairBody{v}}, nil
}

func (a *api) showKeypair(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	k, err := a.control.Keypair(ctx, keyOwner(r), r.Path("name"))
	if err != nil {
		return nil, err
	}
	v := briefKeypair(k)
	no := false
	v.UserID, v.ID, v.Deleted = &k.UserID, &k.Seq, &no
	null := rest.Opt[string]{Set: true, Null: true}
	v.DeletedAt, v.UpdatedAt, v.CreatedAt = null, null, rest.Some(rest.MicroTime{Time: k.CreatedAt})
	return rest.OK(&keypairBody{v}), nil
}

func (a *api) deleteKeypair(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	status := 204
	if !r.Version.AtLeast("2.2") {
		status = 202
	}
	return &rest.Response{Status: status}, a.control.DeleteKeypair(ctx, keyOwner(r), r.Path("name"))
}
