package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

// federatedBody is who a user is to one identity provider.
type federatedBody struct {
	IdentityProvider string `json:"idp_id" check:"len=1..64"`
	Protocols        []struct {
		ID       string `json:"protocol_id" check:"len=1..64"`
		UniqueID string `json:"unique_id" check:"len=1..255"`
	} `json:"protocols"`
}

// maxFederated bounds to how many protocols of providers a user is somebody.
const maxFederated = 1000

// federatedChange is what a caller says of who a user is to identity providers;
// nothing changes nothing.
func federatedChange(list []federatedBody) (all []identity.FederatedUser, err error) {
	for _, b := range list {
		if b.IdentityProvider == "" || len(b.Protocols) == 0 {
			return nil, fault.Invalidf("Invalid input for field 'federated': 'idp_id' and 'protocols' are required properties.")
		}
		for _, p := range b.Protocols {
			if p.ID == "" || p.UniqueID == "" {
				return nil, fault.Invalidf("Invalid input for field 'federated/protocols': 'protocol_id' and 'unique_id' are required properties.")
			}
			all = append(all, identity.FederatedUser{IdentityProvider: b.IdentityProvider, Protocol: p.ID, UniqueID: p.UniqueID})
		}
	}
	if len(all) > maxFederated {
		return nil, fault.Invalidf("Invalid input for field 'federated': it has %d protocols, and may have %d.", len(all), maxFederated)
	}
	return all, nil
}

// federatedUser answers with a user and who it is to identity providers.
func (a *api) federatedUser(ctx context.Context, r *rest.Request, u *identity.User, status int) (*rest.Response, error) {
	as, err := a.c.FederatedAs(ctx, []identity.User{*u})
	return one(r, "user", u, federatedView(as), status), err
}

// federatedView is userView with who each user is to identity providers.
func federatedView(as map[string][]identity.FederatedUser) func(*rest.Request, *identity.User) map[string]any {
	return func(r *rest.Request, u *identity.User) map[string]any {
		v := userView(r, u)
		var list []map[string]any
		for _, f := range as[u.ID] {
			protocol := map[string]any{"protocol_id": f.Protocol, "unique_id": f.UniqueID}
			if n := len(list); n > 0 && list[n-1]["idp_id"] == f.IdentityProvider {
				list[n-1]["protocols"] = append(list[n-1]["protocols"].([]any), protocol)
				continue
			}
			list = append(list, map[string]any{"idp_id": f.IdentityProvider, "protocols": []any{protocol}})
		}
		if list != nil {
			v["federated"] = list
		}
		return v
	}
}
