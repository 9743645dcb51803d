package control

import (
	"context"
	"slices"
	"strings"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity/store"
)

// maxTags is how many tags a project may have.
const maxTags = 80

func checkTags(tags []string) error {
	if len(tags) > maxTags {
		return fault.Invalidf("Invalid input for field 'tags'. It has more than %d items.", maxTags)
	}
	seen := map[string]bool{}
	for _, t := range tags {
		if t == "" || len([]rune(t)) > 255 || strings.ContainsAny(t, ",/") {
			return fault.Invalidf("Invalid input for field 'tags'. A tag has 1 to 255 characters and neither ',' nor '/': %s", clip(t))
		}
		if seen[t] {
			return fault.Invalidf("Invalid input for field 'tags'. %s is there twice.", t)
		}
		seen[t] = true
	}
	return nil
}

// Tags lists the tags of a project.
func (c *Control) Tags(ctx context.Context, id string) ([]string, error) {
	p, err := c.project(ctx, id, "identity:list_project_tags")
	return p.Tags, err
}

// CheckTag is fault.NotFound when a project does not have a tag.
func (c *Control) CheckTag(ctx context.Context, id, tag string) error {
	p, err := c.project(ctx, id, "identity:get_project_tag")
	if err == nil && !slices.Contains(p.Tags, tag) {
		err = notFound("project tag", tag)
	}
	return err
}

// SetTags replaces the tags of a project.
func (c *Control) SetTags(ctx context.Context, id string, tags []string) ([]string, error) {
	rule := "identity:update_project_tags"
	if len(tags) == 0 {
		rule = "identity:delete_project_tags"
	}
	if _, err := c.project(ctx, id, rule); err != nil {
		return nil, err
	}
	return c.changeTags(ctx, id, func([]string) ([]string, error) { return tags, nil })
}

// AddTag gives a project a tag. It is no error when it has it already.
func (c *Control) AddTag(ctx context.Context, id, tag string) error {
	if _, err := c.project(ctx, id, "identity:create_project_tag"); err != nil {
		return err
	}
	_, err := c.changeTags(ctx, id, func(tags []string) ([]string, error) {
		if slices.Contains(tags, tag) {
			return tags, nil
		}
		return append(tags, tag), nil
	})
	return err
}

// RemoveTag takes a tag off a project.
func (c *Control) RemoveTag(ctx context.Context, id, tag string) error {
	if _, err := c.project(ctx, id, "identity:delete_project_tag"); err != nil {
		return err
	}
	_, err := c.changeTags(ctx, id, func(tags []string) ([]string, error) {
		i := slices.Index(tags, tag)
		if i < 0 {
			return nil, notFound("project tag", tag)
		}
		return slices.Delete(tags, i, i+1), nil
	})
	return err
}

func (c *Control) changeTags(ctx context.Context, id string, change func([]string) ([]string, error)) (tags []string, err error) {
	err = c.changing(ctx, func(tx *db.Tx) error {
		p, err := store.Project(ctx, tx, id)
		if err != nil {
			return found(err, "project", id)
		}
		if tags, err = change(p.Tags); err != nil {
			return err
		}
		if err := checkTags(tags); err != nil {
			return err
		}
		return store.SetProjectTags(ctx, tx, id, tags)
	})
	slices.Sort(tags)
	return tags, err
}
