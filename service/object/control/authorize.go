package control

import (
	"context"
	"slices"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/object"
)

// ask is what somebody wants to do.
type ask struct {
	object.Path
	Method string
	ACL    string // the container's access list that counts; "" none
	Write  bool   // it is the list for writing
}

type visitKey struct{}

// Visit is how somebody comes, besides the token.
type Visit struct {
	Referrer string
	// Granted is set for who has shown a signature of the account's or the
	// container's key: the account, or with a container only that.
	Granted *object.Path
}

// WithVisit returns a context that carries v.
func WithVisit(ctx context.Context, v Visit) context.Context {
	return context.WithValue(ctx, visitKey{}, v)
}

// granted is ctx for somebody who has shown a key.
func granted(ctx context.Context, p object.Path) context.Context {
	v, _ := ctx.Value(visitKey{}).(Visit)
	v.Granted = &p
	return WithVisit(auth.With(ctx, nil), v)
}

// may decides as upstream's keystoneauth does. owner: the caller may also see and
// change what is the account's own, such as keys and access lists.
func (c *Control) may(ctx context.Context, a ask) (owner bool, err error) {
	visit, _ := ctx.Value(visitKey{}).(Visit)
	caller := auth.From(ctx)
	if g := visit.Granted; g != nil {
		if g.Account == a.Account && (g.Container == "" || g.Container == a.Container) {
			return false, nil
		}
		return false, denied(caller)
	}
	acl, err := object.ParseACL(a.ACL, a.Write)
	if err != nil { // it was checked when it came
		return false, err
	}
	if caller != nil {
		if caller.HasRole(strings.ToLower(c.o.ResellerAdminRole)) {
			return true, nil
		}
		if a.Method == "DELETE" && a.Container == "" {
			return false, denied(caller) // accounts are deleted by those who sell them
		}
		if acl.AllowsUser(caller.ProjectID, caller.UserID) {
			return false, nil
		}
	}
	if !a.Write && acl.AllowsReferrer(visit.Referrer) && (a.Object != "" || acl.Listings) {
		return c.isOwner(caller, a.Account), nil
	}
	switch {
	case c.isOwner(caller, a.Account):
		return true, nil
	case caller != nil && acl.AllowsRole(caller.Roles) && c.accountOf(caller) == a.Account:
		return false, nil
	}
	return false, denied(caller)
}

// isOwner reports whether the account is the caller's project's, and the caller one
// of those who act for it.
func (c *Control) isOwner(caller *auth.Caller, account string) bool {
	return caller != nil && c.accountOf(caller) == account &&
		slices.ContainsFunc(c.o.OperatorRoles, func(r string) bool { return caller.HasRole(strings.ToLower(strings.TrimSpace(r))) })
}

// accountOf is the name of a caller's account, "" without a project.
func (c *Control) accountOf(caller *auth.Caller) string {
	if caller.ProjectID == "" {
		return ""
	}
	return c.o.ResellerPrefix + caller.ProjectID
}

// AccountOf is the name of a project's account.
func (c *Control) AccountOf(projectID string) string { return c.o.ResellerPrefix + projectID }

func denied(caller *auth.Caller) error {
	if caller == nil {
		return fault.New(fault.Unauthenticated, "This server could not verify that you are authorized to access the document you requested.")
	}
	return fault.Forbiddenf("Access was denied to this resource.")
}

// known refuses names of accounts that are nobody's here.
func (c *Control) known(account string) error {
	if rest, ok := strings.CutPrefix(account, c.o.ResellerPrefix); !ok || rest == "" || len(account) > c.o.Constraints.MaxAccountNameLength {
		return notThere()
	}
	return nil
}
