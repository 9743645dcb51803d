package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/placement"
)

type nameRow struct {
	Name      string  `db:"name"`
	UpdatedAt db.Time `db:"updated_at"`
}

func (s *Store) custom(ctx context.Context, table string) ([]placement.Named, error) {
	rows, err := db.Select[nameRow](ctx, s.db, `SELECT name, updated_at FROM `+table+` ORDER BY name`)
	list := make([]placement.Named, 0, len(rows))
	for _, r := range rows {
		list = append(list, placement.Named{Name: r.Name, UpdatedAt: r.UpdatedAt.Time})
	}
	return list, err
}

// CustomTraits returns the traits that operators made, by name.
func (s *Store) CustomTraits(ctx context.Context) ([]placement.Named, error) {
	return s.custom(ctx, "traits")
}

// CustomClasses returns the resource classes that operators made, by name.
func (s *Store) CustomClasses(ctx context.Context) ([]placement.Named, error) {
	return s.custom(ctx, "resource_classes")
}

// addName inserts a name and reports whether it is new.
func (s *Store) addName(ctx context.Context, now time.Time, table, name string) (added bool, err error) {
	err = s.write(ctx, now, func(w *writer) error {
		n, err := w.Exec(ctx, `INSERT INTO `+table+` (name, updated_at)
			SELECT ?, ? FROM (SELECT 1 AS one) AS once WHERE NOT EXISTS (SELECT 1 FROM `+table+` WHERE name = ?)`, name, w.now.UnixMicro(), name)
		added = n > 0
		w.names = added
		return err
	})
	return added, err
}

// AddTrait makes a custom trait and reports whether it is new.
func (s *Store) AddTrait(ctx context.Context, now time.Time, name string) (bool, error) {
	return s.addName(ctx, now, "traits", name)
}

// AddClass makes a custom resource class and reports whether it is new.
func (s *Store) AddClass(ctx context.Context, now time.Time, name string) (bool, error) {
	return s.addName(ctx, now, "resource_classes", name)
}

// known returns which of the names exist in table, and keeps them there until
// the transaction ends.
func (w *writer) known(ctx context.Context, table string, names []string) (map[string]bool, error) {
	found := map[string]bool{}
	if len(names) == 0 {
		return found, nil
	}
	in, args := db.In(names)
	rows, err := db.Select[string](ctx, w, `SELECT name FROM `+table+` WHERE name IN `+in+` ORDER BY name`+w.ForUpdate(), args...)
	for _, name := range rows {
		found[name] = true
	}
	return found, err
}

// knowClasses refuses inventories of resource classes that do not exist.
func (w *writer) knowClasses(ctx context.Context, list []placement.Inventory) error {
	classes := make([]string, 0, len(list))
	for _, i := range list {
		classes = append(classes, i.Class)
	}
	return w.mustKnowClasses(ctx, classes)
}

// mustKnowClasses returns an UnknownClass if one of the classes does not exist.
func (w *writer) mustKnowClasses(ctx context.Context, classes []string) error {
	custom := slices.DeleteFunc(slices.Clone(classes), placement.IsStandardClass)
	found, err := w.known(ctx, "resource_classes", custom)
	if err != nil {
		return err
	}
	for _, c := range custom {
		if !found[c] {
			return placement.UnknownClass(c)
		}
	}
	return nil
}

// DeleteTrait removes a custom trait that no provider has.
func (s *Store) DeleteTrait(ctx context.Context, now time.Time, name string) error {
	return s.write(ctx, now, func(w *writer) error {
		found, err := w.known(ctx, "traits", []string{name})
		if err != nil {
			return err
		}
		if !found[name] {
			return placement.NoSuchTrait(name)
		}
		users, err := db.Select[int64](ctx, w, `SELECT provider_id FROM provider_traits WHERE trait = ? LIMIT 1`, name)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return fault.Conflictf("The trait %s is in use by a resource provider.", name)
		}
		w.names = true
		_, err = w.Exec(ctx, `DELETE FROM traits WHERE name = ?`, name)
		return err
	})
}

// DeleteClass removes a custom resource class that no provider has inventory of.
func (s *Store) DeleteClass(ctx context.Context, now time.Time, name string) error {
	return s.write(ctx, now, func(w *writer) error {
		found, err := w.known(ctx, "resource_classes", []string{name})
		if err != nil {
			return err
		}
		if !found[name] {
			return placement.NoSuchClass(name)
		}
		users, err := db.Select[int64](ctx, w, `SELECT provider_id FROM inventories WHERE resource_class = ? LIMIT 1`, name)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return fault.Conflictf("Cannot delete resource class %s. Class is in use in inventory.", name)
		}
		w.names = true
		_, err = w.Exec(ctx, `DELETE FROM resource_classes WHERE name = ?`, name)
		return err
	})
}

// RenameClass gives a custom resource class another name, wherever it is used.
func (s *Store) RenameClass(ctx context.Context, now time.Time, from, to string) error {
	return s.write(ctx, now, func(w *writer) error {
		found, err := w.known(ctx, "resource_classes", []string{from, to})
		if err != nil {
			return err
		}
		if !found[from] {
			return placement.NoSuchClass(from)
		}
		if from == to {
			return nil
		}
		if found[to] {
			return fault.Conflictf("Resource class already exists: %s", to)
		}
		users, err := db.Select[int64](ctx, w, `SELECT provider_id FROM inventories WHERE resource_class = ?`, from)
		if err != nil {
			return err
		}
		for _, id := range users {
			w.touched[id] = true
		}
		w.names = true
		if _, err := w.Exec(ctx, `UPDATE resource_classes SET name = ?, updated_at = ? WHERE name = ?`, to, w.now, from); err != nil {
			return err
		}
		for _, table := range []string{"inventories", "allocations"} {
			if _, err := w.Exec(ctx, `UPDATE `+table+` SET resource_class = ? WHERE resource_class = ?`, to, from); err != nil {
				return err
			}
		}
		return nil
	})
}

// AssociatedTraits returns the names of the traits that any provider has.
func (s *Store) AssociatedTraits(ctx context.Context) ([]string, error) {
	return db.Select[string](ctx, s.db, `SELECT DISTINCT trait FROM provider_traits ORDER BY trait`)
}

// ProviderTraits returns a provider and its traits.
func (s *Store) ProviderTraits(ctx context.Context, uuid string) (placement.Provider, []string, error) {
	p, err := row(ctx, s.db, uuid)
	if err != nil {
		return placement.Provider{}, nil, err
	}
	traits, err := db.Select[string](ctx, s.db, `SELECT trait FROM provider_traits WHERE provider_id = ? ORDER BY trait`, p.ID)
	return p.provider(), traits, err
}

// SetTraits replaces a provider's traits; the same traits are no change. base is
// the generation that the caller knows; nil takes whatever there is.
func (s *Store) SetTraits(ctx context.Context, now time.Time, uuid string, base *int64, traits []string) (placement.Provider, error) {
	var p providerRow
	err := s.write(ctx, now, func(w *writer) error {
		var err error
		if p, err = row(ctx, w, uuid); err != nil {
			return err
		}
		if base != nil && *base != p.Generation {
			return placement.Conflicting("Resource provider's generation already changed. Please update the generation and try again.")
		}
		if err := w.knowTraits(ctx, traits); err != nil {
			return err
		}
		have, err := db.Select[string](ctx, w, `SELECT trait FROM provider_traits WHERE provider_id = ? ORDER BY trait`, p.ID)
		if err != nil || slices.Equal(have, traits) {
			return err
		}
		if err := w.advance(ctx, p.ID, p.Generation); err != nil {
			return err
		}
		p.Generation++
		return w.replaceSet(ctx, "provider_traits", "trait", p.ID, traits)
	})
	return p.provider(), err
}

func (w *writer) knowTraits(ctx context.Context, traits []string) error {
	custom := slices.DeleteFunc(slices.Clone(traits), placement.IsStandardTrait)
	found, err := w.known(ctx, "traits", custom)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(custom, func(t string) bool { return found[t] })
	if len(missing) > 0 {
		return fault.Invalidf("No such trait %.1024s", strings.Join(missing, ", "))
	}
	return nil
}

// replaceSet makes values all that table has for a provider.
func (w *writer) replaceSet(ctx context.Context, table, column string, providerID int64, values []string) error {
	if _, err := w.Exec(ctx, `DELETE FROM `+table+` WHERE provider_id = ?`, providerID); err != nil {
		return err
	}
	const perStatement = 500
	for values := range slices.Chunk(values, perStatement) {
		args := make([]any, 0, 2*len(values))
		for _, v := range values {
			args = append(args, providerID, v)
		}
		rows := strings.TrimSuffix(strings.Repeat("(?, ?), ", len(values)), ", ")
		if _, err := w.Exec(ctx, `INSERT INTO `+table+` (provider_id, `+column+`) VALUES `+rows, args...); err != nil {
			return err
		}
	}
	return nil
}

// Aggregates returns a provider and the aggregates that it is in.
func (s *Store) Aggregates(ctx context.Context, uuid string) (placement.Provider, []string, error) {
	p, err := row(ctx, s.db, uuid)
	if err != nil {
		return placement.Provider{}, nil, err
	}
	list, err := db.Select[string](ctx, s.db, `SELECT aggregate FROM provider_aggregates WHERE provider_id = ? ORDER BY aggregate`, p.ID)
	return p.provider(), list, err
}

// SetAggregates replaces the aggregates of a provider. With a base generation
// the provider's generation is checked and raised; without one, as before
// version 1.19, neither.
func (s *Store) SetAggregates(ctx context.Context, now time.Time, uuid string, base *int64, aggregates []string) (placement.Provider, error) {
	var p providerRow
	err := s.write(ctx, now, func(w *writer) error {
		var err error
		if p, err = row(ctx, w, uuid); err != nil {
			return err
		}
		if base != nil {
			if *base != p.Generation {
				return placement.Conflicting("Resource provider's generation already changed. Please update the generation and try again.")
			}
			if err := w.advance(ctx, p.ID, p.Generation); err != nil {
				return err
			}
			p.Generation++
		}
		w.touched[p.ID] = true
		return w.replaceSet(ctx, "provider_aggregates", "aggregate", p.ID, aggregates)
	})
	return p.provider(), err
}
