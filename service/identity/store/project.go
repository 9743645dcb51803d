package store

import (
	"context"
	"slices"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

var projectColumns = map[string]string{"id": "id", "name": "name", "domain_id": "domain_id", "parent_id": "parent_id", "enabled": "enabled",
	"is_domain": "is_domain", "description": "description"}

// Project returns a project or domain.
func Project(ctx context.Context, q db.Querier, id string) (identity.Project, error) {
	p, err := pick[identity.Project](ctx, q, "projects", id)
	if err != nil {
		return p, err
	}
	p.Tags, err = ProjectTags(ctx, q, id)
	return p, err
}

// ProjectByName returns the project with a name in a domain; domainID "" stands
// for the domains themselves.
func ProjectByName(ctx context.Context, q db.Querier, domainID, name string) (identity.Project, error) {
	return db.Get[identity.Project](ctx, q, `SELECT `+columns[identity.Project]()+` FROM projects WHERE domain_id = ? AND name = ?`, domainID, name)
}

// Projects lists projects; ids, if not nil, are the only ones looked at.
func Projects(ctx context.Context, q db.Querier, query identity.Query, tags identity.TagQuery, ids []string) ([]identity.Project, error) {
	var where clause
	if ids != nil {
		in, args := db.In(ids)
		where.add("id IN "+in, args...)
	}
	tagged := func(list []string, term string) {
		in, args := db.In(list)
		where.add("id "+term+" (SELECT project_id FROM project_tags WHERE name IN "+in+")", args...)
	}
	for _, tag := range tags.All {
		tagged([]string{tag}, "IN")
	}
	if len(tags.Any) > 0 {
		tagged(tags.Any, "IN")
	}
	if len(tags.NotAll) > 0 {
		in, args := db.In(tags.NotAll)
		where.add("id NOT IN (SELECT project_id FROM project_tags WHERE name IN "+in+" GROUP BY project_id HAVING COUNT(*) = ?)", append(args, len(tags.NotAll))...)
	}
	if len(tags.NotAny) > 0 {
		tagged(tags.NotAny, "NOT IN")
	}
	projects, err := list[identity.Project](ctx, q, "projects", projectColumns, query, where)
	if err != nil {
		return nil, err
	}
	return projects, addTags(ctx, q, projects)
}

// Subtree lists what lies below p, those nearer to it first.
func Subtree(ctx context.Context, q db.Querier, p identity.Project) ([]identity.Project, error) {
	projects, err := db.Select[identity.Project](ctx, q, `SELECT `+columns[identity.Project]()+` FROM projects WHERE path > ? AND path < ?`, p.Path+"/", p.Path+"0")
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(projects, func(a, b identity.Project) int { return a.Depth() - b.Depth() })
	return projects, addTags(ctx, q, projects)
}

// addTags fills in the tags of a list in one query.
func addTags(ctx context.Context, q db.Querier, projects []identity.Project) error {
	if len(projects) == 0 {
		return nil
	}
	byID := make(map[string]*identity.Project, len(projects))
	ids := make([]string, len(projects))
	for i := range projects {
		ids[i] = projects[i].ID
		byID[ids[i]] = &projects[i]
	}
	for part := range slices.Chunk(ids, 1000) {
		in, args := db.In(part)
		type tag struct {
			ProjectID string `db:"project_id"`
			Name      string `db:"name"`
		}
		for t, err := range db.Each[tag](ctx, q, `SELECT project_id, name FROM project_tags WHERE project_id IN `+in+` ORDER BY name`, args...) {
			if err != nil {
				return err
			}
			p := byID[t.ProjectID]
			p.Tags = append(p.Tags, t.Name)
		}
	}
	return nil
}

// ProjectTags lists the tags of a project.
func ProjectTags(ctx context.Context, q db.Querier, id string) ([]string, error) {
	return db.Select[string](ctx, q, `SELECT name FROM project_tags WHERE project_id = ? ORDER BY name`, id)
}

type projectTag struct {
	ProjectID string `db:"project_id"`
	Name      string `db:"name"`
}

// SetProjectTags replaces the tags of a project.
func SetProjectTags(ctx context.Context, tx *db.Tx, id string, tags []string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM project_tags WHERE project_id = ?`, id); err != nil {
		return err
	}
	var rows []projectTag
	for _, t := range tags {
		rows = append(rows, projectTag{id, t})
	}
	return db.Raced(db.Insert(ctx, tx, "project_tags", rows...))
}

// AddProject writes a new project with its tags.
func AddProject(ctx context.Context, tx *db.Tx, p identity.Project) error {
	if err := db.Insert(ctx, tx, "projects", p); err != nil {
		return err
	}
	return SetProjectTags(ctx, tx, p.ID, p.Tags)
}

// UpdateProject writes a changed project with its tags.
func UpdateProject(ctx context.Context, tx *db.Tx, p identity.Project) error {
	if err := update(ctx, tx, "projects", p); err != nil {
		return err
	}
	return SetProjectTags(ctx, tx, p.ID, p.Tags)
}

// DeleteProject removes a project or domain with all that is said of it: grants,
// credentials, trusts, limits. What a domain owns must be gone before.
func DeleteProject(ctx context.Context, tx *db.Tx, id string) error {
	for _, statement := range []string{
		`DELETE FROM grants WHERE target_id = ?`,
		`DELETE FROM credentials WHERE project_id = ?`,
		`DELETE FROM trusts WHERE project_id = ?`,
		`DELETE FROM limits WHERE project_id = ?`,
		`DELETE FROM limits WHERE domain_id = ?`,
		`UPDATE users SET default_project_id = '' WHERE default_project_id = ?`,
	} {
		if _, err := tx.Exec(ctx, statement, id); err != nil {
			return err
		}
	}
	return remove(ctx, tx, "projects", id)
}

// ProjectHead returns a project or domain without its tags.
func ProjectHead(ctx context.Context, q db.Querier, id string) (identity.Project, error) {
	return pick[identity.Project](ctx, q, "projects", id)
}

// Head is what tokens need to know of a project or domain.
type Head struct {
	ID       string `db:"id"`
	DomainID string `db:"domain_id"`
	Path     string `db:"path"`
	Name     string `db:"name"`
	Enabled  bool   `db:"enabled"`
	IsDomain bool   `db:"is_domain"`
}

// Heads returns those of two projects or domains that exist.
func Heads(ctx context.Context, q db.Querier, id1, id2 string) ([]Head, error) {
	return db.Select[Head](ctx, q, `SELECT id, domain_id, path, name, enabled, is_domain FROM projects WHERE id IN (?, ?)`, id1, id2)
}
