package control

import (
	"context"
	"slices"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// enoughMethods holds a log-in against the rules that its user may have for
// several methods at once. The error of one that must go on is an
// *identity.Receipt.
func (c *Control) enoughMethods(ctx context.Context, s *session) error {
	if !s.user.Options.True(identity.MultiFactorEnabled) || s.appCred != nil {
		return nil
	}
	rules := methodRules(s.user)
	for _, rule := range rules {
		if !slices.ContainsFunc(rule, func(method string) bool { return !slices.Contains(s.methods, method) }) {
			return nil
		}
	}
	if len(rules) == 0 {
		return nil
	}
	r, err := c.receipt(ctx, s, rules)
	if err != nil {
		return err
	}
	return fault.Wrap(r, fault.Unauthenticated, "%s", r.Error())
}

// methodRules are the combinations of methods that are enough for a user.
func methodRules(u identity.User) [][]string {
	list, _ := u.Options[identity.MultiFactorRules].([]any)
	var rules [][]string
	for _, e := range list {
		methods, _ := e.([]any)
		var rule []string
		for _, m := range methods {
			if name, ok := m.(string); ok {
				rule = append(rule, name)
			}
		}
		if len(rule) > 0 {
			rules = append(rules, rule)
		}
	}
	return rules
}

// receipt notes how far a log-in has come. It is sealed with keys of its own, so
// that it can never be taken for a token.
func (c *Control) receipt(ctx context.Context, s *session, rules [][]string) (*identity.Receipt, error) {
	_, domain, err := c.standingUser(ctx, s.user.ID)
	if err != nil {
		return nil, tokenRefused(err)
	}
	now := c.now()
	r := &identity.Receipt{User: s.user, Domain: domain, Methods: s.methods, Rules: rules, IssuedAt: now, Expires: now.Add(seconds(c.options.Receipt.Expiration))}
	audit, err := c.newSecret(16)
	if err != nil {
		return nil, err
	}
	r.ID, err = c.receipts.Issue(&identity.Claims{UserID: s.user.ID, Methods: s.methods, IssuedAt: now, Expires: r.Expires.Truncate(time.Microsecond), AuditIDs: []string{audit}})
	return r, err
}

// addReceipt counts the methods of an earlier step of the same user's log-in.
func (c *Control) addReceipt(ctx context.Context, text string, s *session) error {
	claims, err := c.receipts.Parse(text)
	if err != nil || !c.now().Before(claims.Expires) || claims.UserID != s.user.ID {
		return unauthorized()
	}
	until, err := store.RevokedUpTo(ctx, c.db, []string{s.user.ID, s.user.DomainID})
	if err != nil {
		return err
	}
	if !claims.IssuedAt.After(until) { // another password since then
		return unauthorized()
	}
	for _, m := range claims.Methods {
		if !slices.Contains(s.methods, m) {
			s.methods = append(s.methods, m)
		}
	}
	return nil
}
