package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Assertion is what an identity provider says of a user: attributes, each with
// its values.
type Assertion map[string][]string

// Result is who a user is here.
type Result struct {
	User     User
	GroupIDs []string
	Groups   []Group // by name and domain
	Projects []Project
	Domains  []Scope
}

// Apply maps an assertion. It is an error when no rule applies, or when one
// refers to something that its conditions do not yield.
func (r *Rules) Apply(a Assertion) (Result, error) {
	res := &Result{}
	hasUser, any := false, false
	for i := range r.rules {
		rule := &r.rules[i]
		matches, ok := rule.matches(a)
		if !ok {
			continue
		}
		for _, l := range rule.Local {
			any = true
			f := &filler{matches: matches}
			hasUser = r.add(res, l, f, hasUser)
			if f.err != nil {
				return Result{}, fmt.Errorf("rule %d: %w", i, f.err)
			}
		}
	}
	if !any {
		return Result{}, errors.New("no rule of the mapping fits what the identity provider says of the user")
	}
	if res.User.Type == "" {
		res.User.Type = Ephemeral
	}
	if res.User.Type != Ephemeral && res.User.Type != Local {
		return Result{}, fmt.Errorf("the type of a user is ephemeral or local, and not %.64q", res.User.Type)
	}
	slices.Sort(res.GroupIDs)
	res.GroupIDs = slices.Compact(res.GroupIDs)
	return *res, nil
}

// matches are the values of the rule's conditions; false when one does not hold.
func (rule *rule) matches(a Assertion) ([][]string, bool) {
	var all [][]string
	for i := range rule.Remote {
		r := &rule.Remote[i]
		values := a[r.Type]
		if len(values) == 0 {
			return nil, false
		}
		var in, out []string
		for _, v := range values {
			if r.fits(v) {
				in = append(in, v)
			} else {
				out = append(out, v)
			}
		}
		switch {
		case r.AnyOneOf != nil:
			if len(in) == 0 {
				return nil, false
			}
		case r.NotAnyOf != nil:
			if len(in) > 0 {
				return nil, false
			}
		case r.Blacklist != nil:
			all = append(all, out)
		case r.Whitelist != nil:
			all = append(all, in)
		default:
			all = append(all, values)
		}
	}
	return all, true
}

func (r *remote) fits(value string) bool {
	if !r.Regex {
		return slices.Contains(r.list(), value)
	}
	for _, p := range r.patterns {
		if p.MatchString(value) {
			return true
		}
	}
	return false
}

// add puts a local part into the result. Of several users the first counts.
func (r *Rules) add(res *Result, l local, f *filler, hasUser bool) bool {
	if l.User != nil && !hasUser {
		u := l.User
		res.User = User{ID: f.text(u.ID), Name: f.text(u.Name), Email: f.text(u.Email), Type: f.text(u.Type), Domain: f.domain(u.Domain)}
		if u.Domain == nil && r.schema != "1.0" {
			res.User.Domain = f.domain(l.Domain)
		}
		hasUser = true
	}
	if g := l.Group; g != nil {
		if g.ID != "" {
			res.GroupIDs = append(res.GroupIDs, f.text(g.ID))
		} else {
			res.Groups = append(res.Groups, Group{Name: f.text(g.Name), Domain: f.domain(g.Domain)})
		}
	}
	if l.Groups != nil {
		res.Groups = append(res.Groups, f.groups(*l.Groups, l.Domain)...)
	}
	if l.GroupIDs != nil {
		res.GroupIDs = append(res.GroupIDs, f.values(*l.GroupIDs)...)
	}
	for _, p := range l.Projects {
		filled := Project{Name: f.text(p.Name), Domain: f.domain(p.Domain), Roles: f.roles(p.Roles)}
		if p.Domain == nil && r.schema != "1.0" {
			filled.Domain = f.domain(l.Domain)
		}
		res.Projects = append(res.Projects, filled)
	}
	for _, d := range l.Domains {
		res.Domains = append(res.Domains, Scope{Domain: *f.domain(&d.Domain), Roles: f.roles(d.Roles)})
	}
	return hasUser
}

// filler puts matches into texts.
type filler struct {
	matches [][]string
	err     error
}

// place returns the values that {N} stands for.
func (f *filler) place(name string) []string {
	n, err := strconv.Atoi(name)
	if err != nil || n < 0 || n >= len(f.matches) {
		if f.err == nil {
			f.err = fmt.Errorf("{%.16s} stands for nothing: the rule's conditions yield %d lists of values", name, len(f.matches))
		}
		return nil
	}
	return f.matches[n]
}

// text fills a text: one value stands as it is, several as a list.
func (f *filler) text(s string) string {
	if len(f.matches) == 0 { // upstream then leaves the local part as it is
		return s
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		if len(s) > 1 && s[1] == s[0] { // {{ and }} are braces
			b.WriteByte(s[0])
			s = s[2:]
			continue
		}
		name, rest, ok := strings.Cut(s[1:], "}")
		if s[0] == '}' || !ok {
			f.err = errors.Join(f.err, errors.New("a brace is alone"))
			break
		}
		switch values := f.place(name); len(values) {
		case 1:
			b.WriteString(values[0])
		default:
			b.WriteString("['" + strings.Join(values, "', '") + "']")
		}
		s = rest
	}
	return b.String()
}

// values is a text that may be a list: {N} alone stands for all values.
func (f *filler) values(s string) []string {
	if len(f.matches) > 0 && strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}") && strings.Count(s, "{") == 1 && strings.Count(s, "}") == 1 {
		return f.place(s[1 : len(s)-1])
	}
	return []string{f.text(s)}
}

// groups are the groups of a text of names, or of JSON objects with names and domains.
func (f *filler) groups(s string, domain *Domain) []Group {
	var all []Group
	for _, v := range f.values(s) {
		if text, ok := strings.CutPrefix(v, "JSON:"); ok {
			var g Group
			if err := json.Unmarshal([]byte(text), &g); err != nil || g.Name == "" {
				f.err = errors.Join(f.err, fmt.Errorf("a group that begins with JSON: is an object with a name and a domain, and not %.64q", text))
				continue
			}
			if g.Domain != nil {
				all = append(all, Group{Name: g.Name, Domain: g.Domain})
				continue
			}
			v = g.Name
		}
		if domain == nil {
			f.err = errors.Join(f.err, errors.New("both 'groups' and 'domain' keywords must be specified"))
			continue
		}
		all = append(all, Group{Name: v, Domain: f.domain(domain)})
	}
	return all
}

func (f *filler) domain(d *Domain) *Domain {
	if d == nil {
		return nil
	}
	return &Domain{ID: f.text(d.ID), Name: f.text(d.Name)}
}

func (f *filler) roles(list []Role) []Role {
	filled := make([]Role, len(list))
	for i, r := range list {
		filled[i].Name = f.text(r.Name)
	}
	return filled
}
