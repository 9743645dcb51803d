package identity

import "strings"

// DefaultDomainID is the domain of those who name none.
const DefaultDomainID = "default"

// Project owns resources of other services; as a domain (IsDomain) it owns
// users, groups and projects.
type Project struct {
	ID          string     `db:"id"`
	DomainID    string     `db:"domain_id"` // "" for a domain
	ParentID    string     `db:"parent_id"` // "" for a domain; the domain's for a project at its top
	Path        string     `db:"path"`      // the ids from the domain down to this one, joined with "/"
	Name        string     `db:"name"`      // unique in its domain
	Description string     `db:"description"`
	Enabled     bool       `db:"enabled"`
	IsDomain    bool       `db:"is_domain"`
	Options     Attributes `db:"options"`
	Extra       Attributes `db:"extra"`

	Tags []string // sorted
}

// Ancestors are the ids above the project, the domain first.
func (p *Project) Ancestors() []string {
	ids := strings.Split(p.Path, "/")
	return ids[:len(ids)-1]
}

// Depth is how many projects deep in its domain the project lies: 0 for a
// domain, 1 for a project at its top.
func (p *Project) Depth() int { return strings.Count(p.Path, "/") }

// ProjectChange is what a caller gives of a project, to make or to change it;
// nil is what it does not give.
type ProjectChange struct {
	Name        *string
	DomainID    *string
	ParentID    *string
	Description *string
	Enabled     *bool
	IsDomain    *bool
	Tags        *[]string
	Options     Attributes
	Extra       Attributes
}
