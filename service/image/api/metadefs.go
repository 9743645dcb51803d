package api

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
	"kilonova/service/image/control"
)

const namespacesPath = "/v2/metadefs/namespaces"

func (a *api) metadefRoutes() []rest.Route {
	one := namespacesPath + "/{ns}"
	routes := []rest.Route{
		{Method: "GET", Path: "/v2/metadefs/resource_types", Handle: a.listResourceTypes, Doc: "list the types of resources"},
		{Method: "GET", Path: namespacesPath, Handle: a.listNamespaces, Doc: "list namespaces of metadata definitions"},
		{Method: "POST", Path: namespacesPath, Handle: a.createNamespace, Doc: "create a namespace"},
		{Method: "GET", Path: one, Handle: a.showNamespace, Doc: "show a namespace with its definitions"},
		{Method: "PUT", Path: one, Handle: a.updateNamespace, Doc: "change a namespace"},
		{Method: "DELETE", Path: one, Handle: a.deleteNamespace, Doc: "delete a namespace"},
		{Method: "GET", Path: one + "/resource_types", Handle: a.listDefinitions(associations), Doc: "list what a namespace is for"},
		{Method: "POST", Path: one + "/resource_types", Handle: a.define(associations), Doc: "say what a namespace is for"},
		{Method: "DELETE", Path: one + "/resource_types/{name}", Handle: a.undefine(associations), Doc: "take it back"},
		{Method: "POST", Path: one + "/tags", Handle: a.defineTags, Doc: "replace a namespace's tags"},
		{Method: "POST", Path: one + "/tags/{name}", Handle: a.defineTag, Doc: "add a tag to a namespace"},
	}
	for _, k := range []definitions{objects, properties, tagDefinitions} {
		list := one + "/" + k.plural
		routes = append(routes,
			rest.Route{Method: "GET", Path: list, Handle: a.listDefinitions(k), Doc: "list a namespace's " + k.plural},
			rest.Route{Method: "DELETE", Path: list, Handle: a.undefine(k), Doc: "delete a namespace's " + k.plural},
			rest.Route{Method: "GET", Path: list + "/{name}", Handle: a.showDefinition(k), Doc: "show a definition"},
			rest.Route{Method: "PUT", Path: list + "/{name}", Handle: a.redefine(k), Doc: "change a definition"},
			rest.Route{Method: "DELETE", Path: list + "/{name}", Handle: a.undefine(k), Doc: "delete a definition"})
		if k.kind != image.DefTag {
			routes = append(routes, rest.Route{Method: "POST", Path: list, Handle: a.define(k), Doc: "add a definition"})
		}
	}
	return routes
}

// definitions is how the API speaks of a kind of definition.
type definitions struct {
	kind   image.DefinitionKind
	plural string
	listed string // the key of lists
	check  func(path string, body map[string]any) error
}

var (
	objects        = definitions{image.DefObject, "objects", "objects", checkObject}
	properties     = definitions{image.DefProperty, "properties", "properties", checkProperty}
	tagDefinitions = definitions{image.DefTag, "tags", "tags", checkTag}
	associations   = definitions{image.DefAssociation, "resource_types", "resource_type_associations", checkAssociation}
)

func timed(body map[string]any, created, updated time.Time) map[string]any {
	body["created_at"], body["updated_at"] = created.UTC().Format(stamp), updated.UTC().Format(stamp)
	return body
}

// viewDefinition is a definition as clients see it.
func viewDefinition(namespace string, d *image.Definition) map[string]any {
	v := maps.Clone(d.Body)
	if v == nil {
		v = map[string]any{}
	}
	v["name"] = d.Name
	switch d.Kind {
	case image.DefProperty:
		return v
	case image.DefObject:
		v["self"], v["schema"] = namespacesPath+"/"+namespace+"/objects/"+d.Name, "/v2/schemas/metadefs/object"
		for _, key := range []string{"properties", "required"} {
			if v[key] == nil {
				v[key] = map[string]any{}
				if key == "required" {
					v[key] = []string{}
				}
			}
		}
	}
	return timed(v, d.CreatedAt, d.UpdatedAt)
}

func viewNamespace(n *control.NamespaceWithAll) map[string]any {
	v := map[string]any{"namespace": n.Name, "visibility": n.Visibility, "protected": n.Protected, "owner": n.Owner,
		"self": namespacesPath + "/" + n.Name, "schema": "/v2/schemas/metadefs/namespace"}
	if n.DisplayName != "" {
		v["display_name"] = n.DisplayName
	}
	if n.Description != "" {
		v["description"] = n.Description
	}
	props := map[string]any{}
	for i := range n.Definitions {
		d := &n.Definitions[i]
		body := viewDefinition(n.Name, d)
		switch d.Kind {
		case image.DefProperty:
			delete(body, "name")
			props[d.Name] = body
		case image.DefTag:
			list, _ := v["tags"].([]any)
			v["tags"] = append(list, map[string]any{"name": d.Name})
		case image.DefObject:
			list, _ := v["objects"].([]any)
			v["objects"] = append(list, body)
		case image.DefAssociation:
			list, _ := v["resource_type_associations"].([]any)
			v["resource_type_associations"] = append(list, body)
		}
	}
	if len(props) > 0 {
		v["properties"] = props
	}
	return timed(v, n.CreatedAt, n.UpdatedAt)
}

// WriteNamespace is what ReadNamespace reads.
func WriteNamespace(n *control.NamespaceWithAll) map[string]any {
	v := viewNamespace(n)
	for _, name := range []string{"self", "schema", "created_at", "updated_at", "owner"} {
		delete(v, name)
	}
	return v
}

func (a *api) listResourceTypes(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	list, err := a.c.ResourceTypes(ctx)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, t := range list {
		views = append(views, timed(map[string]any{"name": t.Name}, t.CreatedAt, t.UpdatedAt))
	}
	return rest.OK(map[string]any{"resource_types": views}), nil
}

func (a *api) listNamespaces(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q := image.NamespaceQuery{Visibility: r.Query.Get("visibility"), Asc: r.Query.Get("sort_dir") == "asc"}
	var err error
	if q.Limit, err = a.limit(r.Query); err != nil {
		return nil, err
	}
	if v := q.Visibility; v != "" && v != "public" && v != "private" {
		return nil, fault.Invalidf("Invalid visibility value: %.64s", v)
	}
	if d := r.Query.Get("sort_dir"); d != "" && d != "asc" && d != "desc" {
		return nil, fault.Invalidf("Invalid sort direction: %.64s", d)
	}
	if types := r.Query.Get("resource_types"); types != "" {
		q.ResourceTypes = strings.Split(types, ",")
		if len(q.ResourceTypes) > maxFilters || strings.ContainsRune(types, 0) {
			return nil, fault.Invalidf("A list can be filtered by at most %d resource types.", maxFilters)
		}
	}
	list, err := a.c.Namespaces(ctx, q, r.Query.Get("marker"))
	if err != nil {
		return nil, err
	}
	views := make([]any, len(list))
	for i := range list {
		views[i] = viewNamespace(&list[i])
	}
	body := map[string]any{"namespaces": views, "first": page(r, namespacesPath, ""), "schema": "/v2/schemas/metadefs/namespaces"}
	if len(list) > 0 && len(list) == q.Limit {
		body["next"] = page(r, namespacesPath, list[len(list)-1].Name)
	}
	return rest.OK(body), nil
}

func (a *api) showNamespace(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	n, err := a.c.Namespace(ctx, r.Path("ns"), r.Query.Get("resource_type"))
	if err != nil {
		return nil, err
	}
	return rest.OK(viewNamespace(n)), nil
}

func (a *api) createNamespace(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	n, err := readNamespace(r)
	if err != nil {
		return nil, err
	}
	made, err := a.c.CreateNamespace(ctx, *n)
	if err != nil {
		return nil, err
	}
	return rest.Created(viewNamespace(made)).With("Location", r.Link(namespacesPath+"/"+made.Name)), nil
}

func (a *api) updateNamespace(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	n, err := readNamespace(r)
	if err != nil {
		return nil, err
	}
	made, err := a.c.UpdateNamespace(ctx, r.Path("ns"), n.Namespace)
	if err != nil {
		return nil, err
	}
	return rest.OK(viewNamespace(&control.NamespaceWithAll{Namespace: *made})), nil
}

func (a *api) deleteNamespace(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteNamespace(ctx, r.Path("ns"))
}

func (a *api) listDefinitions(k definitions) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		list, err := a.c.Definitions(ctx, r.Path("ns"), k.kind)
		if err != nil {
			return nil, err
		}
		if k.kind == image.DefProperty {
			all := map[string]any{}
			for i := range list {
				all[list[i].Name] = viewDefinition(r.Path("ns"), &list[i])
			}
			return rest.OK(map[string]any{k.listed: all}), nil
		}
		if marker := r.Query.Get("marker"); marker != "" {
			at := slices.IndexFunc(list, func(d image.Definition) bool { return d.Name == marker })
			if at < 0 {
				return nil, fault.NotFoundf("The marker %.80q is no definition of the namespace.", marker)
			}
			list = list[at+1:]
		}
		if r.Query.Has("limit") {
			limit, err := a.limit(r.Query)
			if err != nil {
				return nil, err
			}
			list = list[:min(limit, len(list))]
		}
		views := []any{}
		for i := range list {
			v := viewDefinition(r.Path("ns"), &list[i])
			if k.kind == image.DefTag {
				v = map[string]any{"name": list[i].Name}
			}
			views = append(views, v)
		}
		body := map[string]any{k.listed: views}
		if k.kind != image.DefAssociation {
			body["first"], body["schema"] = page(r, namespacesPath+"/"+r.Path("ns")+"/"+k.plural, ""), "/v2/schemas/metadefs/"+k.plural
		}
		return rest.OK(body), nil
	}
}

func (a *api) showDefinition(k definitions) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		name := r.Path("name")
		if t := r.Query.Get("resource_type"); t != "" && k.kind == image.DefProperty {
			prefix, err := a.prefix(ctx, r.Path("ns"), t)
			if err != nil {
				return nil, err
			}
			bare, ok := strings.CutPrefix(name, prefix)
			if !ok {
				return nil, fault.NotFoundf("Property %.80s does not start with the expected resource type association prefix of '%.80s'.", name, prefix)
			}
			name = bare
		}
		d, err := a.c.Definition(ctx, r.Path("ns"), k.kind, name)
		if err != nil {
			return nil, err
		}
		d.Name = r.Path("name")
		return rest.OK(viewDefinition(r.Path("ns"), d)), nil
	}
}

// prefix is what a namespace's properties begin with on a type of resource.
func (a *api) prefix(ctx context.Context, namespace, resourceType string) (string, error) {
	d, err := a.c.Definition(ctx, namespace, image.DefAssociation, resourceType)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	p, _ := d.Body["prefix"].(string)
	return p, nil
}

func (a *api) define(k definitions) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		d, err := readDefinition(r, k)
		if err != nil {
			return nil, err
		}
		made, err := a.c.Define(ctx, r.Path("ns"), k.kind, false, *d)
		if err != nil {
			return nil, err
		}
		return rest.Created(viewDefinition(r.Path("ns"), &made[0])).With("Location", r.Link(namespacesPath+"/"+r.Path("ns")+"/"+k.plural+"/"+d.Name)), nil
	}
}

func (a *api) redefine(k definitions) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		d, err := readDefinition(r, k)
		if err != nil {
			return nil, err
		}
		made, err := a.c.Redefine(ctx, r.Path("ns"), r.Path("name"), *d)
		if err != nil {
			return nil, err
		}
		return rest.OK(viewDefinition(r.Path("ns"), made)), nil
	}
}

func (a *api) undefine(k definitions) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		return rest.NoContent(), a.c.Undefine(ctx, r.Path("ns"), k.kind, r.Path("name"))
	}
}

func (a *api) defineTag(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := checkTag("tag", map[string]any{"name": r.Path("name")}); err != nil {
		return nil, err
	}
	made, err := a.c.Define(ctx, r.Path("ns"), image.DefTag, false, image.Definition{Kind: image.DefTag, Name: r.Path("name")})
	if err != nil {
		return nil, err
	}
	return rest.Created(viewDefinition(r.Path("ns"), &made[0])), nil
}

func (a *api) defineTags(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body map[string]any
	if err := decode(r, &body); err != nil {
		return nil, err
	}
	list, err := readList("tags", body["tags"], tagDefinitions)
	if err != nil {
		return nil, err
	}
	if list == nil {
		return nil, fault.Invalidf("Provided object does not match schema 'tags': 'tags' is a required property")
	}
	if _, err := a.c.Define(ctx, r.Path("ns"), image.DefTag, !strings.EqualFold(r.Header.Get("X-Openstack-Append"), "true"), list...); err != nil {
		return nil, err
	}
	views := []any{}
	for _, d := range list {
		views = append(views, map[string]any{"name": d.Name})
	}
	return rest.Created(map[string]any{"tags": views}), nil
}
