package api

import (
	"bytes"
	"context"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute/control"
)

func (a *api) tags() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/servers/{id}/tags", Versions: "2.26-", Handle: a.listTags, Doc: "list tags of server"},
		{Method: "PUT", Path: "/servers/{id}/tags", Versions: "2.26-", Handle: a.replaceTags, Doc: "replace tags of server"},
		{Method: "DELETE", Path: "/servers/{id}/tags", Versions: "2.26-", Handle: a.deleteTags, Doc: "delete all tags of server"},
		{Method: "GET", Path: "/servers/{id}/tags/{tag}", Versions: "2.26-", Handle: a.showTag, Doc: "check whether server has tag"},
		{Method: "PUT", Path: "/servers/{id}/tags/{tag}", Versions: "2.26-", Handle: a.addTag, Doc: "add tag to server"},
		{Method: "DELETE", Path: "/servers/{id}/tags/{tag}", Versions: "2.26-", Handle: a.deleteTag, Doc: "delete tag of server"},
	}
}

type tagsView struct {
	Tags []string `json:"tags"`
}

func (a *api) listTags(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	tags, err := a.control.Tags(ctx, r.Path("id"), "index")
	if err != nil {
		return nil, err
	}
	return rest.OK(&tagsView{orNone(tags)}), nil
}

func (a *api) replaceTags(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Tags *[]string `json:"tags" check:"required len=0..50"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if err := checkTags(*body.Tags); err != nil {
		return nil, err
	}
	tags, err := a.control.ChangeTags(ctx, r.Path("id"), "update_all", "update tags", func([]string) ([]string, error) { return distinct(*body.Tags), nil })
	if err != nil {
		return nil, err
	}
	return rest.OK(&tagsView{orNone(tags)}), nil
}

func (a *api) deleteTags(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	_, err := a.control.ChangeTags(ctx, r.Path("id"), "delete_all", "delete tags", func([]string) ([]string, error) { return nil, nil })
	return rest.NoContent(), err
}

func (a *api) showTag(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	tags, err := a.control.Tags(ctx, r.Path("id"), "show")
	if err != nil {
		return nil, err
	}
	if tag := r.Path("tag"); !slices.Contains(tags, tag) {
		return nil, noTag(r.Path("id"), tag)
	}
	return rest.NoContent(), nil
}

func noTag(id, tag string) error {
	return fault.NotFoundf("Server %s has no tag '%.64s'", id, tag)
}

func (a *api) addTag(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if data, err := r.Bytes(); err != nil {
		return nil, err
	} else if text := string(bytes.TrimSpace(data)); text != "" && text != "null" {
		return nil, fault.Invalidf("Invalid input for field/attribute body. Value: %.64s. It is not of type 'null'", text)
	}
	id, tag := r.Path("id"), r.Path("tag")
	had := false
	_, err := a.control.ChangeTags(ctx, id, "update", "update tag", func(tags []string) ([]string, error) {
		if !tagFits(tag) {
			return nil, fault.Invalidf("Tag '%.64s' is invalid. It must be a non empty string without characters '/' and ',', of at most 60 characters.", tag)
		}
		if had = slices.Contains(tags, tag); had {
			return tags, nil
		}
		if len(tags) >= control.MaxTags {
			return nil, fault.Invalidf("The number of tags exceeded the per-server limit %d", control.MaxTags)
		}
		return append(tags, tag), nil
	})
	if err != nil || had {
		return rest.NoContent(), err
	}
	return (&rest.Response{Status: 201}).With("Location", r.Link("/v2.1/servers/"+id+"/tags/"+url.PathEscape(tag))), nil
}

func (a *api) deleteTag(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, tag := r.Path("id"), r.Path("tag")
	_, err := a.control.ChangeTags(ctx, id, "delete", "delete tag", func(tags []string) ([]string, error) {
		i := slices.Index(tags, tag)
		if i < 0 {
			return nil, noTag(id, tag)
		}
		return slices.Delete(tags, i, i+1), nil
	})
	return rest.NoContent(), err
}

func tagFits(tag string) bool {
	return tag != "" && utf8.RuneCountInString(tag) <= 60 && !strings.ContainsAny(tag, ",/")
}

func checkTags(tags []string) error {
	for i, tag := range tags {
		if !tagFits(tag) {
			return fault.Invalidf("Invalid input for field/attribute tags/%d. Value: %.64s. A tag has 1 to 60 characters, none of them '/' or ','.", i, tag)
		}
	}
	return nil
}

// distinct keeps the first of each.
func distinct(list []string) []string {
	var out []string
	for _, x := range list {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
