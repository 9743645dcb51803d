package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/image"
	"kilonova/service/image/store"
)

// resourceTypes are there from the beginning.
var resourceTypes = []string{"OS::Cinder::Volume", "OS::Glance::Image", "OS::Nova::Aggregate", "OS::Nova::Flavor", "OS::Nova::Server", "OS::Trove::Instance"}

const (
	readNamespace  = admin + " or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"
	writeNamespace = admin
)

// NamespaceWithAll is a namespace with what it defines.
type NamespaceWithAll struct {
	image.Namespace
	Definitions []image.Definition
}

// seeNamespace returns a namespace that the caller may know of, and enforces a
// rule upon it.
func (c *Control) seeNamespace(ctx context.Context, name, rule string) (*image.Namespace, error) {
	if strings.ContainsRune(name, 0) {
		return nil, store.NoNamespace("…")
	}
	n, err := c.store.Namespace(ctx, c.store.DB, name)
	if err != nil {
		return nil, err
	}
	target := auth.Target{"project_id": n.Owner, "visibility": string(n.Visibility)}
	if !policy.Allows(ctx, "get_metadef_namespace", target) {
		return nil, store.NoNamespace(name)
	}
	return n, policy.Enforce(ctx, rule, target)
}

// Namespaces lists the namespaces that the caller may see, with what they are
// for. marker is a namespace's name, "" the beginning.
func (c *Control) Namespaces(ctx context.Context, q image.NamespaceQuery, marker string) ([]NamespaceWithAll, error) {
	if err := policy.Enforce(ctx, "get_metadef_namespaces", auth.Own(ctx)); err != nil {
		return nil, err
	}
	caller := auth.From(ctx)
	q.Everything, q.Viewer = caller.IsAdmin(), caller.ProjectID
	if marker != "" {
		n, err := c.seeNamespace(ctx, marker, "get_metadef_namespace")
		if err != nil {
			return nil, err
		}
		q.Marker = n
	}
	list, err := c.store.Namespaces(ctx, q)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	defs, err := c.store.Definitions(ctx, image.DefAssociation, names...)
	if err != nil {
		return nil, err
	}
	all := make([]NamespaceWithAll, len(list))
	for i := range list {
		all[i] = NamespaceWithAll{list[i], defs[list[i].Name]}
	}
	return all, nil
}

// Namespace returns a namespace with all its definitions. For a resource type
// that it is for, its properties have the prefix of that type.
func (c *Control) Namespace(ctx context.Context, name, resourceType string) (*NamespaceWithAll, error) {
	n, err := c.seeNamespace(ctx, name, "get_metadef_namespace")
	if err != nil {
		return nil, err
	}
	defs, err := c.store.Definitions(ctx, "", name)
	if err != nil {
		return nil, err
	}
	all := &NamespaceWithAll{*n, defs[name]}
	at := slices.IndexFunc(all.Definitions, func(d image.Definition) bool {
		return d.Kind == image.DefAssociation && d.Name == resourceType
	})
	if at < 0 {
		return all, nil
	}
	prefix, _ := all.Definitions[at].Body["prefix"].(string)
	for i := range all.Definitions {
		if d := &all.Definitions[i]; d.Kind == image.DefProperty {
			d.Name = prefix + d.Name
		} else if list, ok := d.Body["properties"].(map[string]any); ok && d.Kind == image.DefObject {
			prefixed := map[string]any{}
			for k, v := range list {
				prefixed[prefix+k] = v
			}
			d.Body["properties"] = prefixed
		}
	}
	return all, nil
}

// CreateNamespace writes a namespace with its first definitions, all or nothing.
func (c *Control) CreateNamespace(ctx context.Context, n NamespaceWithAll) (*NamespaceWithAll, error) {
	if err := policy.Enforce(ctx, "modify_metadef_namespace", nil); err != nil {
		return nil, err
	}
	n.CreatedAt = c.stampNow()
	n.UpdatedAt = n.CreatedAt
	if n.Owner == "" {
		n.Owner = auth.From(ctx).ProjectID
	}
	if n.Visibility == "" {
		n.Visibility = image.Private
	}
	return &n, c.store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.store.InsertNamespace(ctx, tx, &n.Namespace); err != nil {
			return err
		}
		return c.insertDefinitions(ctx, tx, n.Name, n.CreatedAt, n.Definitions)
	})
}

func (c *Control) insertDefinitions(ctx context.Context, tx *db.Tx, namespace string, now time.Time, list []image.Definition) error {
	for i := range list {
		list[i].CreatedAt, list[i].UpdatedAt = now, now
		if list[i].Kind == image.DefAssociation {
			if err := c.store.EnsureResourceTypes(ctx, tx, now, list[i].Name); err != nil {
				return err
			}
		}
	}
	return c.store.InsertDefinitions(ctx, tx, namespace, list...)
}

// UpdateNamespace replaces what is said of a namespace itself.
func (c *Control) UpdateNamespace(ctx context.Context, name string, n image.Namespace) (*image.Namespace, error) {
	was, err := c.seeNamespace(ctx, name, "modify_metadef_namespace")
	if err != nil {
		return nil, err
	}
	n.CreatedAt, n.UpdatedAt = was.CreatedAt, c.stampNow()
	if n.Owner == "" {
		n.Owner = was.Owner
	}
	if n.Visibility == "" {
		n.Visibility = was.Visibility
	}
	return &n, c.store.Tx(ctx, func(tx *db.Tx) error { return c.store.SaveNamespace(ctx, tx, name, &n) })
}

// DeleteNamespace removes a namespace that is not protected, with all it defines.
func (c *Control) DeleteNamespace(ctx context.Context, name string) error {
	n, err := c.seeNamespace(ctx, name, "modify_metadef_namespace")
	if err != nil {
		return err
	}
	if n.Protected {
		return fault.Forbiddenf("Metadata definition namespace %s is protected and cannot be deleted.", name)
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error { return c.store.DeleteNamespace(ctx, tx, name) })
}

// Definitions lists a namespace's definitions of a kind, oldest first.
func (c *Control) Definitions(ctx context.Context, namespace string, kind image.DefinitionKind) ([]image.Definition, error) {
	if _, err := c.seeNamespace(ctx, namespace, "get_metadef_namespace"); err != nil {
		return nil, err
	}
	all, err := c.store.Definitions(ctx, kind, namespace)
	return all[namespace], err
}

// Definition returns one definition.
func (c *Control) Definition(ctx context.Context, namespace string, kind image.DefinitionKind, name string) (*image.Definition, error) {
	if _, err := c.seeNamespace(ctx, namespace, "get_metadef_namespace"); err != nil {
		return nil, err
	}
	if strings.ContainsRune(name, 0) {
		return nil, fault.NotFoundf("There is no such metadata definition in namespace=%.80s.", namespace)
	}
	return c.store.Definition(ctx, c.store.DB, namespace, kind, name)
}

// Define adds definitions to a namespace. replace first removes all that there
// are of their kind.
func (c *Control) Define(ctx context.Context, namespace string, kind image.DefinitionKind, replace bool, list ...image.Definition) ([]image.Definition, error) {
	if _, err := c.seeNamespace(ctx, namespace, "modify_metadef_namespace"); err != nil {
		return nil, err
	}
	return list, c.store.Tx(ctx, func(tx *db.Tx) error {
		if replace {
			if _, err := c.store.DeleteDefinition(ctx, tx, namespace, kind, ""); err != nil {
				return err
			}
		}
		return c.insertDefinitions(ctx, tx, namespace, c.stampNow(), list)
	})
}

// Redefine replaces a definition, and maybe its name.
func (c *Control) Redefine(ctx context.Context, namespace, name string, d image.Definition) (*image.Definition, error) {
	if _, err := c.seeNamespace(ctx, namespace, "modify_metadef_namespace"); err != nil {
		return nil, err
	}
	was, err := c.Definition(ctx, namespace, d.Kind, name)
	if err != nil {
		return nil, err
	}
	d.CreatedAt, d.UpdatedAt = was.CreatedAt, c.stampNow()
	return &d, c.store.Tx(ctx, func(tx *db.Tx) error { return c.store.SaveDefinition(ctx, tx, namespace, name, &d) })
}

// Undefine removes a definition, or with name "" all of a kind.
func (c *Control) Undefine(ctx context.Context, namespace string, kind image.DefinitionKind, name string) error {
	if _, err := c.seeNamespace(ctx, namespace, "modify_metadef_namespace"); err != nil {
		return err
	}
	if name != "" {
		if _, err := c.Definition(ctx, namespace, kind, name); err != nil {
			return err
		}
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		_, err := c.store.DeleteDefinition(ctx, tx, namespace, kind, name)
		return err
	})
}

// ResourceTypes lists the types of resources that namespaces may be for.
func (c *Control) ResourceTypes(ctx context.Context) ([]image.ResourceType, error) {
	if err := policy.Enforce(ctx, "get_metadef_namespaces", auth.Own(ctx)); err != nil {
		return nil, err
	}
	list, err := c.store.ResourceTypes(ctx)
	if err != nil || len(list) > 0 {
		return list, err
	}
	err = c.store.Tx(ctx, func(tx *db.Tx) error {
		return c.store.EnsureResourceTypes(ctx, tx, c.stampNow(), resourceTypes...)
	})
	if err != nil {
		return nil, err
	}
	return c.store.ResourceTypes(ctx)
}
