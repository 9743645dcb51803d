package control

import (
	"context"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/identity"
)

func newPolicy() (*auth.Policy, map[string]string) {
	checks, scopes := map[string]string{}, map[string]string{}
	for _, r := range rules {
		checks[r.name], scopes[r.name] = r.check, r.scopes
	}
	return auth.MustPolicy(checks), scopes
}

// may enforces a rule for the caller in ctx: the scope of its token first, then
// what the rule says of target.
func (c *Control) may(ctx context.Context, rule string, target auth.Target) error {
	caller := auth.From(ctx)
	if caller == nil {
		return unauthorized()
	}
	scope := "p"
	switch {
	case caller.System != "":
		scope = "s"
	case caller.DomainID != "":
		scope = "d"
	}
	if allowed := c.scopes[rule]; allowed != "" && !strings.Contains(allowed, scope) || !c.policy.Allows(ctx, rule, target) {
		return fault.Forbiddenf("You are not authorized to perform the requested action: %s.", rule)
	}
	return nil
}

func unauthorized() error {
	return fault.New(fault.Unauthenticated, "The request you have made requires authentication.")
}

// callerDomain is the domain that a domain-scoped caller is confined to in
// lists; "" for others.
func callerDomain(ctx context.Context) string {
	if caller := auth.From(ctx); caller != nil {
		return caller.DomainID
	}
	return ""
}

// domainTarget is the target of rules about lists.
func domainTarget(ctx context.Context) auth.Target {
	d := callerDomain(ctx)
	return auth.Target{"target.domain_id": d, "domain_id": d, "target.domain.id": d, "target.group.domain_id": d}
}

// confined adds to a list's query the domain that the caller is confined to.
func confined(ctx context.Context, q identity.Query) identity.Query {
	if d := callerDomain(ctx); d != "" {
		return q.Where("domain_id", d)
	}
	return q
}

// orNone is how rules see what is not there.
func orNone(s string) string {
	if s == "" {
		return "None"
	}
	return s
}

func userTarget(u identity.User) auth.Target {
	return auth.Target{"user_id": u.ID, "target.user.id": u.ID, "target.user.domain_id": orNone(u.DomainID)}
}

func projectTarget(p identity.Project) auth.Target {
	return auth.Target{"target.project.id": p.ID, "target.project.domain_id": orNone(p.DomainID), "target.domain.id": p.ID}
}

func groupTarget(g identity.Group) auth.Target {
	return auth.Target{"target.group.id": g.ID, "target.group.domain_id": orNone(g.DomainID)}
}

func roleTarget(r identity.Role) auth.Target {
	return auth.Target{"target.role.id": r.ID, "target.role.name": r.Name, "target.role.domain_id": orNone(r.DomainID)}
}

// join is the union of targets.
func join(targets ...auth.Target) auth.Target {
	all := auth.Target{}
	for _, t := range targets {
		for k, v := range t {
			all[k] = v
		}
	}
	return all
}

// self returns the caller's own user id; "" without a caller.
func self(ctx context.Context) string {
	if caller := auth.From(ctx); caller != nil {
		return caller.UserID
	}
	return ""
}

// seen returns what the rule says, and only then err, of the look-up before: who may
// not see a thing is not told whether it exists.
func (c *Control) seen(ctx context.Context, err error, rule string, target auth.Target) error {
	if refused := c.may(ctx, rule, target); refused != nil {
		return refused
	}
	return err
}
