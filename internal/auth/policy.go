package auth

import (
	"context"
	"fmt"
	"strings"

	"kilonova/internal/fault"
)

// Policy is a service's table of rules: name -> rule in oslo.policy's language.
//
//	"os_compute_api:servers:show": "rule:project_reader_or_admin"
//
// A rule is made of role:NAME, rule:NAME, is_admin:True, system_scope:all,
// KEY:%(TARGET)s (the caller's KEY equals the target's TARGET), 'LITERAL':%(TARGET)s,
// @ (always), ! (never), "" (always), not, and, or, and parentheses.
// See https://docs.openstack.org/oslo.policy/latest/reference/api/oslo_policy.policy.html
type Policy struct{ rules map[string]check }

// Target is what a rule may compare the caller with, by upstream's names:
// "project_id", "user_id", "target.user.domain_id", ...
type Target map[string]string

// NewPolicy parses a table. References to missing rules are errors.
func NewPolicy(table map[string]string) (*Policy, error) {
	p := &Policy{rules: make(map[string]check, len(table))}
	for name, text := range table {
		c, err := parseRule(text)
		if err != nil {
			return nil, fmt.Errorf("policy: %s: %w", name, err)
		}
		p.rules[name] = c
	}
	for name, c := range p.rules {
		if err := p.references(c, map[string]bool{name: true}); err != nil {
			return nil, fmt.Errorf("policy: %s: %w", name, err)
		}
	}
	return p, nil
}

// MustPolicy is NewPolicy for tables that are part of the program.
func MustPolicy(table map[string]string) *Policy {
	p, err := NewPolicy(table)
	if err != nil {
		panic(err)
	}
	return p
}

// Allows reports what the rule says of the caller in ctx. Without a caller
// nothing is allowed; a rule that does not exist allows nobody.
func (p *Policy) Allows(ctx context.Context, rule string, target Target) bool {
	c := From(ctx)
	if c == nil {
		return false
	}
	if p = p.in(ctx, c); p == nil {
		return false
	}
	r, ok := p.rules[rule]
	return ok && r.allows(p, c, target)
}

// Enforce is Allows as an error: fault.Forbidden, in the words that clients know.
func (p *Policy) Enforce(ctx context.Context, rule string, target Target) error {
	if p.Allows(ctx, rule, target) {
		return nil
	}
	return fault.Forbiddenf("Policy doesn't allow %s to be performed.", rule)
}

// Own is the target of something that belongs to the caller's own project.
func Own(ctx context.Context) Target {
	c := From(ctx)
	if c == nil {
		return nil
	}
	return Target{"project_id": c.ProjectID, "user_id": c.UserID}
}

type check interface {
	allows(p *Policy, c *Caller, t Target) bool
}

type (
	always  bool
	role    string
	ruleRef string
	negated struct{ of check }
	all     []check
	anyOf   []check
	match   struct {
		key     string // of the caller, or 'literal'
		literal bool
		want    string // the target's key, or a literal
		target  bool
	}
)

func (a always) allows(*Policy, *Caller, Target) bool { return bool(a) }

func (r role) allows(_ *Policy, c *Caller, _ Target) bool { return c.HasRole(string(r)) }

func (r ruleRef) allows(p *Policy, c *Caller, t Target) bool {
	rule, ok := p.rules[string(r)]
	return ok && rule.allows(p, c, t)
}

func (n negated) allows(p *Policy, c *Caller, t Target) bool { return !n.of.allows(p, c, t) }

func (l all) allows(p *Policy, c *Caller, t Target) bool {
	for _, x := range l {
		if !x.allows(p, c, t) {
			return false
		}
	}
	return true
}

func (l anyOf) allows(p *Policy, c *Caller, t Target) bool {
	for _, x := range l {
		if x.allows(p, c, t) {
			return true
		}
	}
	return false
}

func (m match) allows(_ *Policy, c *Caller, t Target) bool {
	want := m.want
	if m.target {
		v, ok := t[m.want]
		if !ok {
			return false
		}
		want = v
	}
	if m.literal {
		return m.key == want
	}
	got := c.attribute(m.key)
	return got != "" && strings.EqualFold(got, want)
}

// attribute is what rules may ask of a caller, by upstream's names.
func (c *Caller) attribute(key string) string {
	switch key {
	case "user_id":
		return c.UserID
	case "project_id", "tenant", "tenant_id":
		return c.ProjectID
	case "domain_id":
		return c.DomainID
	case "user_domain_id":
		return c.UserDomainID
	case "project_domain_id":
		return c.ProjectDomainID
	case "system_scope":
		return c.System
	case "is_admin":
		return map[bool]string{true: "true", false: "false"}[c.IsAdmin()]
	}
	return ""
}

func (p *Policy) references(c check, above map[string]bool) error {
	switch c := c.(type) {
	case ruleRef:
		name := string(c)
		if above[name] {
			return fmt.Errorf("rule %s refers to itself", name)
		}
		r, ok := p.rules[name]
		if !ok {
			return fmt.Errorf("there is no rule %s", name)
		}
		above[name] = true
		defer delete(above, name)
		return p.references(r, above)
	case negated:
		return p.references(c.of, above)
	case all:
		for _, x := range c {
			if err := p.references(x, above); err != nil {
				return err
			}
		}
	case anyOf:
		for _, x := range c {
			if err := p.references(x, above); err != nil {
				return err
			}
		}
	}
	return nil
}
