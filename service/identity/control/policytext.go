package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Policies lists policy texts.
func (c *Control) Policies(ctx context.Context, q identity.Query) ([]identity.Policy, error) {
	if err := c.may(ctx, "identity:list_policies", nil); err != nil {
		return nil, err
	}
	return store.Policies(ctx, c.db, q)
}

// Policy returns a policy text.
func (c *Control) Policy(ctx context.Context, id string) (identity.Policy, error) {
	p, err := store.Policy(ctx, c.db, id)
	return p, c.seen(ctx, found(err, "policy", id), "identity:get_policy", nil)
}

// CreatePolicy keeps a policy text.
func (c *Control) CreatePolicy(ctx context.Context, p identity.Policy) (identity.Policy, error) {
	err := c.may(ctx, "identity:create_policy", nil)
	if err != nil {
		return p, err
	}
	if p.ID, err = c.newID(); err != nil {
		return p, err
	}
	return p, c.changing(ctx, func(tx *db.Tx) error { return store.AddPolicy(ctx, tx, p) })
}

// UpdatePolicy changes a policy text; nil leaves things as they are.
func (c *Control) UpdatePolicy(ctx context.Context, id string, kind, blob *string, extra identity.Attributes) (identity.Policy, error) {
	var p identity.Policy
	if err := c.may(ctx, "identity:update_policy", nil); err != nil {
		return p, err
	}
	return p, c.changing(ctx, func(tx *db.Tx) (err error) {
		if p, err = store.Policy(ctx, tx, id); err != nil {
			return found(err, "policy", id)
		}
		p.Type, p.Blob, p.Extra = value(kind, p.Type), value(blob, p.Blob), p.Extra.Merge(extra)
		return store.UpdatePolicy(ctx, tx, p)
	})
}

// DeletePolicy removes a policy text.
func (c *Control) DeletePolicy(ctx context.Context, id string) error {
	if err := c.may(ctx, "identity:delete_policy", nil); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return found(store.DeletePolicy(ctx, tx, id), "policy", id) })
}

// PolicyUse says which endpoints a policy text is for: one, those of a service,
// or those of a service in a region.
type PolicyUse struct{ PolicyID, EndpointID, ServiceID, RegionID string }

// allowUse checks the rule of a verb (create, check, delete), and that all that
// is named exists.
func (c *Control) allowUse(ctx context.Context, verb string, u PolicyUse) error {
	what := "endpoint"
	switch {
	case u.RegionID != "":
		what = "region_and_service"
	case u.ServiceID != "":
		what = "service"
	}
	if err := c.may(ctx, "identity:"+verb+"_policy_association_for_"+what, nil); err != nil {
		return err
	}
	if _, err := store.Policy(ctx, c.db, u.PolicyID); err != nil {
		return found(err, "policy", u.PolicyID)
	}
	if u.EndpointID != "" {
		_, err := store.Endpoint(ctx, c.db, u.EndpointID)
		return found(err, "endpoint", u.EndpointID)
	}
	if _, err := store.Service(ctx, c.db, u.ServiceID); err != nil {
		return found(err, "service", u.ServiceID)
	}
	if u.RegionID == "" {
		return nil
	}
	_, err := store.Region(ctx, c.db, u.RegionID)
	return found(err, "region", u.RegionID)
}

func (u PolicyUse) row() store.PolicyAssociation {
	return store.PolicyAssociation{EndpointID: u.EndpointID, ServiceID: u.ServiceID, RegionID: u.RegionID, PolicyID: u.PolicyID}
}

// UsePolicy associates a policy text with endpoints.
func (c *Control) UsePolicy(ctx context.Context, u PolicyUse) error {
	if err := c.allowUse(ctx, "create", u); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return store.SetPolicyAssociation(ctx, tx, u.row()) })
}

func noUse() error { return fault.NotFoundf("Could not find policy association.") }

// CheckPolicyUse is fault.NotFound where there is no such association.
func (c *Control) CheckPolicyUse(ctx context.Context, u PolicyUse) error {
	if err := c.allowUse(ctx, "check", u); err != nil {
		return err
	}
	all, err := store.PolicyAssociations(ctx, c.db)
	if err == nil && !slices.Contains(all, u.row()) {
		err = noUse()
	}
	return err
}

// EndPolicyUse ends an association.
func (c *Control) EndPolicyUse(ctx context.Context, u PolicyUse) error {
	if err := c.allowUse(ctx, "delete", u); err != nil {
		return err
	}
	err := c.changing(ctx, func(tx *db.Tx) error { return store.DeletePolicyAssociation(ctx, tx, u.row()) })
	if errors.Is(err, db.ErrNoRow) {
		err = noUse()
	}
	return err
}

// EndpointPolicy returns the policy text of an endpoint: its own, else that of
// its service in its region or those above, else that of its service.
func (c *Control) EndpointPolicy(ctx context.Context, endpointID string) (identity.Policy, error) {
	var p identity.Policy
	if err := c.may(ctx, "identity:get_policy_for_endpoint", nil); err != nil {
		return p, err
	}
	e, err := store.Endpoint(ctx, c.db, endpointID)
	if err != nil {
		return p, found(err, "endpoint", endpointID)
	}
	all, err := store.PolicyAssociations(ctx, c.db)
	if err != nil {
		return p, err
	}
	id, err := c.policyOf(ctx, all, e)
	if err != nil {
		return p, err
	}
	if id == "" {
		return p, noUse()
	}
	p, err = store.Policy(ctx, c.db, id)
	return p, found(err, "policy", id)
}

func (c *Control) policyOf(ctx context.Context, all []store.PolicyAssociation, e identity.Endpoint) (string, error) {
	find := func(endpoint, service, region string) string {
		for _, a := range all {
			if a.EndpointID == endpoint && a.ServiceID == service && a.RegionID == region {
				return a.PolicyID
			}
		}
		return ""
	}
	if id := find(e.ID, "", ""); id != "" {
		return id, nil
	}
	for region := e.RegionID; region != ""; {
		if id := find("", e.ServiceID, region); id != "" {
			return id, nil
		}
		r, err := store.Region(ctx, c.db, region)
		if errors.Is(err, db.ErrNoRow) {
			break
		}
		if err != nil {
			return "", err
		}
		region = r.ParentID
	}
	return find("", e.ServiceID, ""), nil
}

// PolicyEndpoints lists the endpoints whose policy text is this one.
func (c *Control) PolicyEndpoints(ctx context.Context, policyID string) ([]identity.Endpoint, error) {
	if err := c.may(ctx, "identity:list_endpoints_for_policy", nil); err != nil {
		return nil, err
	}
	if _, err := store.Policy(ctx, c.db, policyID); err != nil {
		return nil, found(err, "policy", policyID)
	}
	all, err := store.PolicyAssociations(ctx, c.db)
	if err != nil {
		return nil, err
	}
	endpoints, err := store.Endpoints(ctx, c.db, identity.Query{})
	if err != nil {
		return nil, err
	}
	var kept []identity.Endpoint
	for _, e := range endpoints {
		id, err := c.policyOf(ctx, all, e)
		if err != nil {
			return nil, err
		}
		if id == policyID {
			kept = append(kept, e)
		}
	}
	return kept, nil
}
