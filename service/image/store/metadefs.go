package store

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

type namespaceRow struct {
	Name        string           `db:"name"`
	DisplayName string           `db:"display_name"`
	Description string           `db:"description"`
	Visibility  image.Visibility `db:"visibility"`
	Protected   bool             `db:"protected"`
	Owner       string           `db:"owner"`
	CreatedAt   db.Time          `db:"created_at"`
	UpdatedAt   db.Time          `db:"updated_at"`
}

func (r *namespaceRow) namespace() image.Namespace {
	return image.Namespace{Name: r.Name, DisplayName: r.DisplayName, Description: r.Description, Visibility: r.Visibility,
		Protected: r.Protected, Owner: r.Owner, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time}
}

func namespaceRowOf(n *image.Namespace) namespaceRow {
	return namespaceRow{n.Name, n.DisplayName, n.Description, n.Visibility, n.Protected, n.Owner, db.At(n.CreatedAt), db.At(n.UpdatedAt)}
}

// Namespace reads a namespace; fault.NotFound if there is none.
func (s *Store) Namespace(ctx context.Context, q db.Querier, name string) (*image.Namespace, error) {
	r, err := db.Get[namespaceRow](ctx, q, `SELECT * FROM metadef_namespaces WHERE name = ?`, name)
	if errors.Is(err, db.ErrNoRow) {
		return nil, NoNamespace(name)
	}
	if err != nil {
		return nil, err
	}
	n := r.namespace()
	return &n, nil
}

// NoNamespace is the fault for a namespace that is not there, or not for the caller.
func NoNamespace(name string) error {
	return fault.NotFoundf("Metadata definition namespace=%.80s was not found.", name)
}

// Namespaces lists namespaces by age.
func (s *Store) Namespaces(ctx context.Context, q image.NamespaceQuery) ([]image.Namespace, error) {
	l := listQuery{}
	if !q.Everything {
		l.and(`(n.visibility = 'public' OR n.owner = ?)`, q.Viewer)
	}
	if q.Visibility != "" {
		l.and(`n.visibility = ?`, q.Visibility)
	}
	if len(q.ResourceTypes) > 0 {
		in, args := db.In(q.ResourceTypes)
		l.and(`EXISTS (SELECT 1 FROM metadef_definitions AS d WHERE d.namespace = n.name AND d.kind = 'association' AND d.name IN `+in+`)`, args...)
	}
	direction, compare := `DESC`, `<`
	if q.Asc {
		direction, compare = `ASC`, `>`
	}
	if q.Marker != nil {
		at := db.At(q.Marker.CreatedAt)
		l.and(`(n.created_at `+compare+` ? OR n.created_at = ? AND n.name `+compare+` ?)`, at, at, q.Marker.Name)
	}
	text := `SELECT n.* FROM metadef_namespaces AS n` + l.text() + ` ORDER BY n.created_at ` + direction + `, n.name ` + direction + ` LIMIT ?`
	list := []image.Namespace{}
	for r, err := range db.Each[namespaceRow](ctx, s.DB, text, append(l.args, q.Limit)...) {
		if err != nil {
			return nil, err
		}
		list = append(list, r.namespace())
	}
	return list, nil
}

// InsertNamespace writes a new namespace; fault.Conflict if its name is taken.
func (s *Store) InsertNamespace(ctx context.Context, tx *db.Tx, n *image.Namespace) error {
	return taken(db.Insert(ctx, tx, "metadef_namespaces", namespaceRowOf(n)), "namespace", n.Name)
}

func taken(err error, kind, name string) error {
	if db.IsUnique(err) {
		return fault.Conflictf("The metadata definition %s with name=%.80s already exists.", kind, name)
	}
	return err
}

// SaveNamespace writes a namespace, whose name may have changed.
func (s *Store) SaveNamespace(ctx context.Context, tx *db.Tx, was string, n *image.Namespace) error {
	_, err := tx.Exec(ctx, `UPDATE metadef_namespaces SET name = ?, display_name = ?, description = ?, visibility = ?, protected = ?,
		owner = ?, updated_at = ? WHERE name = ?`,
		n.Name, n.DisplayName, n.Description, string(n.Visibility), n.Protected, n.Owner, db.At(n.UpdatedAt), was)
	if err != nil || was == n.Name {
		return taken(err, "namespace", n.Name)
	}
	_, err = tx.Exec(ctx, `UPDATE metadef_definitions SET namespace = ? WHERE namespace = ?`, n.Name, was)
	return err
}

// DeleteNamespace removes a namespace with all its definitions.
func (s *Store) DeleteNamespace(ctx context.Context, tx *db.Tx, name string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM metadef_definitions WHERE namespace = ?`, name); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM metadef_namespaces WHERE name = ?`, name)
	return err
}

type definitionRow struct {
	Namespace string                  `db:"namespace"`
	Kind      image.DefinitionKind    `db:"kind"`
	Name      string                  `db:"name"`
	Body      db.JSON[map[string]any] `db:"body"`
	CreatedAt db.Time                 `db:"created_at"`
	UpdatedAt db.Time                 `db:"updated_at"`
}

func (r *definitionRow) definition() image.Definition {
	return image.Definition{Kind: r.Kind, Name: r.Name, Body: r.Body.V, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time}
}

// Definitions lists what namespaces define, by namespace, oldest first. kind ""
// stands for all kinds.
func (s *Store) Definitions(ctx context.Context, kind image.DefinitionKind, namespaces ...string) (map[string][]image.Definition, error) {
	all := map[string][]image.Definition{}
	if len(namespaces) == 0 {
		return all, nil
	}
	in, args := db.In(namespaces)
	args = append(args, string(kind), string(kind))
	for r, err := range db.Each[definitionRow](ctx, s.DB, `SELECT * FROM metadef_definitions
		WHERE namespace IN `+in+` AND (kind = ? OR ? = '') ORDER BY created_at, name`, args...) {
		if err != nil {
			return nil, err
		}
		all[r.Namespace] = append(all[r.Namespace], r.definition())
	}
	return all, nil
}

// Definition reads one definition; fault.NotFound if there is none.
func (s *Store) Definition(ctx context.Context, q db.Querier, namespace string, kind image.DefinitionKind, name string) (*image.Definition, error) {
	r, err := db.Get[definitionRow](ctx, q, `SELECT * FROM metadef_definitions WHERE namespace = ? AND kind = ? AND name = ?`, namespace, string(kind), name)
	if errors.Is(err, db.ErrNoRow) {
		return nil, fault.NotFoundf("The metadata definition %s with name=%.80s was not found in namespace=%.80s.", kind, name, namespace)
	}
	if err != nil {
		return nil, err
	}
	d := r.definition()
	return &d, nil
}

// InsertDefinitions writes new definitions; fault.Conflict if a name is taken.
func (s *Store) InsertDefinitions(ctx context.Context, tx *db.Tx, namespace string, list ...image.Definition) error {
	for _, d := range list {
		row := definitionRow{namespace, d.Kind, d.Name, db.AsJSON(d.Body), db.At(d.CreatedAt), db.At(d.UpdatedAt)}
		if err := taken(db.Insert(ctx, tx, "metadef_definitions", row), string(d.Kind), d.Name); err != nil {
			return err
		}
	}
	return nil
}

// SaveDefinition writes a definition, whose name may have changed.
func (s *Store) SaveDefinition(ctx context.Context, tx *db.Tx, namespace, was string, d *image.Definition) error {
	_, err := tx.Exec(ctx, `UPDATE metadef_definitions SET name = ?, body = ?, updated_at = ? WHERE namespace = ? AND kind = ? AND name = ?`,
		d.Name, db.AsJSON(d.Body), db.At(d.UpdatedAt), namespace, string(d.Kind), was)
	return taken(err, string(d.Kind), d.Name)
}

// DeleteDefinition removes one definition, or with name "" all of a kind, and
// returns how many there were.
func (s *Store) DeleteDefinition(ctx context.Context, tx *db.Tx, namespace string, kind image.DefinitionKind, name string) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM metadef_definitions WHERE namespace = ? AND kind = ? AND (name = ? OR ? = '')`, namespace, string(kind), name, name)
}

// ResourceTypes lists the types of resources that namespaces may be for.
func (s *Store) ResourceTypes(ctx context.Context) ([]image.ResourceType, error) {
	type row struct {
		Name      string  `db:"name"`
		CreatedAt db.Time `db:"created_at"`
		UpdatedAt db.Time `db:"updated_at"`
	}
	list := []image.ResourceType{}
	for r, err := range db.Each[row](ctx, s.DB, `SELECT * FROM metadef_resource_types ORDER BY name`) {
		if err != nil {
			return nil, err
		}
		list = append(list, image.ResourceType{Name: r.Name, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time})
	}
	return list, nil
}

// EnsureResourceTypes writes types of resources that are not there yet.
func (s *Store) EnsureResourceTypes(ctx context.Context, tx *db.Tx, now time.Time, names ...string) error {
	for _, name := range names {
		_, err := tx.Exec(ctx, `INSERT INTO metadef_resource_types (name, created_at, updated_at)
			SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM metadef_resource_types WHERE name = ?)`, name, db.At(now), db.At(now), name)
		if err != nil {
			return db.Raced(err)
		}
	}
	return nil
}
