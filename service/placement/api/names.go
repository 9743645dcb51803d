package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/placement/control"
)

func (a *api) listTraits(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := checkQuery(r, map[string]string{"name": "", "associated": ""}); err != nil {
		return nil, err
	}
	var f control.TraitFilter
	if r.Query.Has("name") {
		text := last(r.Query["name"])
		op, value, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fault.Invalidf("Badly formatted name parameter. Expected name query string parameter in form: "+
				"?name=[in|startswith]:[name1,name2|prefix]. Got: \"%.255s\"", text)
		}
		switch op {
		case "in":
			f.Names = strings.Split(value, ",")
		case "startswith":
			f.Prefix = value
		}
	}
	if r.Query.Has("associated") {
		text := strings.ToLower(last(r.Query["associated"]))
		if text != "true" && text != "false" {
			return nil, fault.Invalidf(`The query parameter "associated" only accepts "true" or "false"`)
		}
		associated := text == "true"
		f.Associated = &associated
	}
	list, err := a.control.Traits(ctx, f)
	if err != nil {
		return nil, err
	}
	return a.viewTraits(r, list, nil), nil
}

func (a *api) showTrait(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	t, err := a.control.Trait(ctx, r.Path("name"))
	if err != nil {
		return nil, err
	}
	return a.fresh(r, rest.NoContent(), t.UpdatedAt), nil
}

func (a *api) putTrait(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	name := r.Path("name")
	added, err := a.control.AddTrait(ctx, name)
	if err != nil {
		return nil, err
	}
	t, err := a.control.Trait(ctx, name)
	if err != nil {
		return nil, err
	}
	return a.fresh(r, madeOrThere(added), t.UpdatedAt).With("Location", r.Link("/traits/"+name)), nil
}

func madeOrThere(added bool) *rest.Response {
	if added {
		return &rest.Response{Status: http.StatusCreated}
	}
	return rest.NoContent()
}

func (a *api) deleteTrait(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.DeleteTrait(ctx, r.Path("name")); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}

type classView struct {
	Name  string `json:"name"`
	Links []link `json:"links"`
}

func viewClass(base, name string) *classView {
	return &classView{name, []link{{"self", base + "/" + name}}}
}

const allClasses = "/resource_classes"

func (a *api) listClasses(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.control.Classes(ctx)
	if err != nil {
		return nil, err
	}
	base := relative(r, allClasses)
	views := make([]*classView, 0, len(list))
	var changed time.Time
	for _, c := range list {
		views = append(views, viewClass(base, c.Name))
		changed = a.latest(changed, c.UpdatedAt)
	}
	return a.fresh(r, rest.OK(map[string]any{"resource_classes": views}), changed), nil
}

func (a *api) showClass(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	c, err := a.control.Class(ctx, r.Path("name"))
	if err != nil {
		return nil, err
	}
	return a.fresh(r, rest.OK(viewClass(relative(r, allClasses), c.Name)), c.UpdatedAt), nil
}

type namedClass struct {
	Name string `json:"name" check:"required len=1..255 match=custom"`
}

func (a *api) createClass(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in namedClass
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := a.control.CreateClass(ctx, in.Name); err != nil {
		return nil, err
	}
	return (&rest.Response{Status: http.StatusCreated}).With("Location", r.Link(allClasses+"/"+in.Name)), nil
}

func (a *api) renameClass(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in namedClass
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if err := a.control.RenameClass(ctx, r.Path("name"), in.Name); err != nil {
		return nil, err
	}
	return rest.OK(viewClass(relative(r, allClasses), in.Name)), nil
}

func (a *api) ensureClass(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	name := r.Path("name")
	if err := checkString("['properties']['name']", rulesOf([]string{"len=1..255", "match=custom"}), name); err != nil {
		return nil, fault.Invalidf("JSON does not validate: %s", err.Error())
	}
	added, err := a.control.EnsureClass(ctx, name)
	if err != nil {
		return nil, err
	}
	return madeOrThere(added).With("Location", r.Link(allClasses+"/"+name)), nil
}

func (a *api) deleteClass(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.DeleteClass(ctx, r.Path("name")); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}
