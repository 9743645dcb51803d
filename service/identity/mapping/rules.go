package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// Schemas are the versions of rules that are understood.
var Schemas = []string{"1.0", "2.0", "3.0"}

// The limits of a mapping.
const (
	maxRules  = 1000
	maxValues = 1000
)

// Types of mapped users.
const (
	Ephemeral = "ephemeral" // made here when they first come
	Local     = "local"     // exist here already
)

// Rules are a mapping's, checked.
type Rules struct {
	schema string
	rules  []rule
}

type rule struct {
	Local  []local  `json:"local"`
	Remote []remote `json:"remote"`
}

// Domain names a domain, by id or name.
type Domain struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

type local struct {
	User     *User     `json:"user"`
	Group    *Group    `json:"group"`
	Groups   *string   `json:"groups"`
	GroupIDs *string   `json:"group_ids"`
	Domain   *Domain   `json:"domain"`
	Projects []Project `json:"projects"`
	Domains  []Scope   `json:"domains"`
}

// User is who a user is mapped to.
type User struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Email  string  `json:"email"`
	Domain *Domain `json:"domain"`
	Type   string  `json:"type"`
}

// Group is a group, by id, or by name and domain.
type Group struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Domain *Domain `json:"domain"`
}

// Role names a role.
type Role struct {
	Name string `json:"name"`
}

// Project is a project that the user gets roles on; it is made if need be.
type Project struct {
	Name   string  `json:"name"`
	Domain *Domain `json:"domain"`
	Roles  []Role  `json:"roles"`
}

// Scope is a domain that the user gets roles on.
type Scope struct {
	Domain
	Roles []Role `json:"roles"`
}

type remote struct {
	Type      string    `json:"type"`
	AnyOneOf  *[]string `json:"any_one_of"`
	NotAnyOf  *[]string `json:"not_any_of"`
	Blacklist *[]string `json:"blacklist"`
	Whitelist *[]string `json:"whitelist"`
	Regex     bool      `json:"regex"`

	patterns []*regexp.Regexp
}

// list is the values that a condition compares with; nil for one that only names
// an attribute.
func (r *remote) list() []string {
	for _, l := range []*[]string{r.AnyOneOf, r.NotAnyOf, r.Blacklist, r.Whitelist} {
		if l != nil {
			return *l
		}
	}
	return nil
}

// Parse reads the JSON of a mapping's rules. The error says what is wrong with them.
func Parse(schema string, text []byte) (*Rules, error) {
	if schema == "" {
		schema = "1.0"
	}
	if !slices.Contains(Schemas, schema) {
		return nil, fmt.Errorf("schema_version is one of %q, and not %.16q", Schemas, schema)
	}
	r := &Rules{schema: schema}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r.rules); err != nil {
		return nil, fmt.Errorf("the rules cannot be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind the rules")
	}
	if len(r.rules) == 0 || len(r.rules) > maxRules {
		return nil, fmt.Errorf("a mapping has between 1 and %d rules, and not %d", maxRules, len(r.rules))
	}
	for i := range r.rules {
		if err := r.check(&r.rules[i]); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
	}
	return r, nil
}

func (r *Rules) check(rule *rule) error {
	if rule.Local == nil {
		return errors.New("'local' is a required property")
	}
	if len(rule.Remote) == 0 {
		return errors.New("'remote' must have one condition at least")
	}
	for i := range rule.Remote {
		if err := rule.Remote[i].check(); err != nil {
			return err
		}
	}
	for _, l := range rule.Local {
		if err := r.checkLocal(l); err != nil {
			return err
		}
	}
	return nil
}

func (r *remote) check() error {
	if r.Type == "" {
		return errors.New("'type' is a required property of a remote condition")
	}
	n := 0
	for _, l := range []*[]string{r.AnyOneOf, r.NotAnyOf, r.Blacklist, r.Whitelist} {
		if l != nil {
			n++
		}
	}
	if n > 1 {
		return fmt.Errorf("the condition on %.64q has more than one of any_one_of, not_any_of, blacklist and whitelist", r.Type)
	}
	if len(r.list()) > maxValues {
		return fmt.Errorf("the condition on %.64q has more than %d values", r.Type, maxValues)
	}
	if !r.Regex {
		return nil
	}
	for _, text := range r.list() {
		p, err := regexp.Compile(text)
		if err != nil {
			return fmt.Errorf("the condition on %.64q has an expression that cannot be used: %w", r.Type, err)
		}
		r.patterns = append(r.patterns, p)
	}
	return nil
}

func (r *Rules) checkLocal(l local) error {
	if u := l.User; u != nil && u.Type != "" && u.Type != Ephemeral && u.Type != Local {
		return fmt.Errorf("the type of a user is ephemeral or local, and not %.64q", u.Type)
	}
	if g := l.Group; g != nil {
		byName := g.ID == "" && g.Name != "" && g.Domain != nil
		byID := g.ID != "" && g.Name == "" && g.Domain == nil
		if !byName && !byID {
			return errors.New("a group has either an id or a name and a domain")
		}
	}
	for _, p := range l.Projects {
		if p.Name == "" || p.Roles == nil {
			return errors.New("a project has a name and roles")
		}
		if p.Domain != nil && r.schema == "1.0" {
			return errors.New("the domain of a project needs schema_version 2.0")
		}
	}
	if l.Domains != nil && r.schema != "3.0" {
		return errors.New("roles on domains need schema_version 3.0")
	}
	for _, d := range l.Domains {
		if d.ID == "" && d.Name == "" || d.Roles == nil {
			return errors.New("a domain has an id or a name, and roles")
		}
	}
	return nil
}
