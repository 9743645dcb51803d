package control

import (
	"context"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// claims reads the caller's own token again, for what a policy does not see: by
// what delegation it was got.
func (c *Control) claims(ctx context.Context) (*identity.Claims, error) {
	caller := auth.From(ctx)
	if caller == nil {
		return nil, unauthorized()
	}
	claims, err := c.form.Parse(caller.Token)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unauthenticated, "The request you have made requires authentication.")
	}
	return claims, nil
}

// mayDelegate refuses delegations made with tokens that are delegations
// themselves: with a restricted application credential always, with a trust
// unless trusts says that it may be.
func (c *Control) mayDelegate(ctx context.Context, trusts bool) (*identity.Claims, error) {
	claims, err := c.claims(ctx)
	if err != nil {
		return nil, err
	}
	if slices.Contains(claims.Methods, identity.MethodEC2) {
		return nil, fault.Forbiddenf("You are not authorized to perform the requested action: a token from an EC2 key pair cannot make or remove credentials or trusts.")
	}
	if claims.Thumbprint != "" {
		return nil, fault.Forbiddenf("You are not authorized to perform the requested action: a token that is bound to a certificate cannot make or remove credentials or trusts.")
	}
	if claims.AccessTokenID != "" {
		return nil, fault.Forbiddenf("You are not authorized to perform the requested action: a token from an OAuth 1 access token cannot make or remove credentials or trusts.")
	}
	if claims.TrustID != "" && !trusts {
		return nil, fault.Forbiddenf("You are not authorized to perform the requested action: a token from a trust cannot make or remove credentials.")
	}
	if claims.AppCredID == "" {
		return claims, nil
	}
	a, _, err := store.AppCredential(ctx, c.db, claims.AppCredID)
	if err != nil {
		return nil, found(err, "Application Credential", claims.AppCredID)
	}
	if !a.Unrestricted {
		return nil, fault.Forbiddenf("You are not authorized to perform the requested action: Using method 'application_credential' is not allowed for managing additional application credentials.")
	}
	return claims, nil
}

// rolesByRef resolves references to roles.
func (c *Control) rolesByRef(ctx context.Context, refs []identity.RoleRef) ([]identity.Role, error) {
	var roles []identity.Role
	seen := map[string]bool{}
	for _, ref := range refs {
		var r identity.Role
		var err error
		if ref.ID != "" {
			r, err = store.Role(ctx, c.db, ref.ID)
		} else {
			var list []identity.Role
			list, err = store.Roles(ctx, c.db, identity.Query{}.Where("name", ref.Name).Where("domain_id", ""))
			if err == nil && len(list) == 0 {
				return nil, notFound("role", ref.Name)
			}
			if len(list) > 0 {
				r = list[0]
			}
		}
		if err != nil {
			return nil, found(err, "role", ref.ID)
		}
		if !seen[r.ID] {
			seen[r.ID] = true
			roles = append(roles, r)
		}
	}
	return roles, nil
}
