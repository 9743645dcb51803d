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

type inventoryRow struct {
	ProviderID int64   `db:"provider_id"`
	Class      string  `db:"resource_class"`
	Total      int64   `db:"total"`
	Reserved   int64   `db:"reserved"`
	MinUnit    int64   `db:"min_unit"`
	MaxUnit    int64   `db:"max_unit"`
	StepSize   int64   `db:"step_size"`
	Ratio      float64 `db:"allocation_ratio"`
	Used       int64   `db:"used"`
	UpdatedAt  db.Time `db:"updated_at"`
}

const inventoryColumns = `provider_id, resource_class, total, reserved, min_unit, max_unit, step_size, allocation_ratio, used, updated_at`

func (r *inventoryRow) inventory() placement.Inventory {
	return placement.Inventory{Class: r.Class, Total: r.Total, Reserved: r.Reserved, MinUnit: r.MinUnit, MaxUnit: r.MaxUnit,
		StepSize: r.StepSize, Ratio: r.Ratio, Used: r.Used, UpdatedAt: r.UpdatedAt.Time}
}

func (w *writer) rowOf(providerID int64, i placement.Inventory) inventoryRow {
	return inventoryRow{ProviderID: providerID, Class: i.Class, Total: i.Total, Reserved: i.Reserved, MinUnit: i.MinUnit,
		MaxUnit: i.MaxUnit, StepSize: i.StepSize, Ratio: i.Ratio, UpdatedAt: w.now}
}

// Inventories returns a provider and all that it has, by class.
func (s *Store) Inventories(ctx context.Context, uuid string) (placement.Provider, []placement.Inventory, error) {
	p, err := row(ctx, s.db, uuid)
	if err != nil {
		return placement.Provider{}, nil, err
	}
	rows, err := inventories(ctx, s.db, p.ID)
	list := make([]placement.Inventory, 0, len(rows))
	for i := range rows {
		list = append(list, rows[i].inventory())
	}
	return p.provider(), list, err
}

func inventories(ctx context.Context, q db.Querier, providerID int64) ([]inventoryRow, error) {
	return db.Select[inventoryRow](ctx, q, `SELECT `+inventoryColumns+` FROM inventories WHERE provider_id = ? ORDER BY resource_class`, providerID)
}

// SetInventories replaces all inventories of a provider and returns it as it is
// then. base is the generation that the caller knows; nil takes whatever there is.
func (s *Store) SetInventories(ctx context.Context, now time.Time, uuid string, base *int64, list []placement.Inventory) (placement.Provider, error) {
	var p providerRow
	err := s.write(ctx, now, func(w *writer) error {
		var err error
		if p, err = row(ctx, w, uuid); err != nil {
			return err
		}
		if base != nil && *base != p.Generation {
			return placement.Conflicting("resource provider generation conflict")
		}
		if err := w.setInventories(ctx, &p, list); err != nil {
			return err
		}
		return nil
	})
	return p.provider(), err
}

// setInventories replaces all inventories of p and raises its generation.
func (w *writer) setInventories(ctx context.Context, p *providerRow, list []placement.Inventory) error {
	if err := w.knowClasses(ctx, list); err != nil {
		return err
	}
	if err := w.advance(ctx, p.ID, p.Generation); err != nil { // first, for it locks
		return err
	}
	p.Generation++
	existing, err := inventories(ctx, w, p.ID)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, i := range list {
		wanted[i.Class] = true
	}
	had, gone := map[string]bool{}, []string{}
	for _, e := range existing {
		had[e.Class] = true
		if !wanted[e.Class] {
			gone = append(gone, e.Class)
		}
	}
	if err := w.deleteInventories(ctx, p, existing, gone); err != nil {
		return err
	}
	var added []inventoryRow
	for _, i := range list {
		if !had[i.Class] {
			added = append(added, w.rowOf(p.ID, i))
		} else if _, err := w.changeInventory(ctx, p.ID, i); err != nil {
			return err
		}
	}
	return db.Insert(ctx, w.Tx, "inventories", added...)
}

// changeInventory overwrites an inventory, whose usage stays as it is. It
// reports whether there is one.
func (w *writer) changeInventory(ctx context.Context, providerID int64, i placement.Inventory) (bool, error) {
	n, err := w.Exec(ctx, `UPDATE inventories SET total = ?, reserved = ?, min_unit = ?, max_unit = ?, step_size = ?,
		allocation_ratio = ?, updated_at = ? WHERE provider_id = ? AND resource_class = ?`,
		i.Total, i.Reserved, i.MinUnit, i.MaxUnit, i.StepSize, i.Ratio, w.now, providerID, i.Class)
	return n > 0, err
}

func (w *writer) deleteInventories(ctx context.Context, p *providerRow, existing []inventoryRow, gone []string) error {
	if len(gone) == 0 {
		return nil
	}
	var used []string
	for _, e := range existing {
		if e.Used > 0 && slices.Contains(gone, e.Class) {
			used = append(used, e.Class)
		}
	}
	if len(used) > 0 {
		slices.SortFunc(used, placement.CompareClasses)
		return fault.Conflictf("Inventory for '%s' on resource provider '%s' in use.", strings.Join(used, ", "), p.UUID).
			WithCode(placement.CodeInventoryInUse)
	}
	in, args := db.In(gone)
	_, err := w.Exec(ctx, `DELETE FROM inventories WHERE provider_id = ? AND resource_class IN `+in, append([]any{p.ID}, args...)...)
	return err
}

// AddInventory gives a provider an inventory of a class of which it has none.
func (s *Store) AddInventory(ctx context.Context, now time.Time, uuid string, i placement.Inventory) (placement.Provider, error) {
	var p providerRow
	err := s.write(ctx, now, func(w *writer) error {
		var err error
		if p, err = row(ctx, w, uuid); err != nil {
			return err
		}
		if err := w.knowClasses(ctx, []placement.Inventory{i}); err != nil {
			return err
		}
		if err := w.advance(ctx, p.ID, p.Generation); err != nil {
			return err
		}
		p.Generation++
		existing, err := inventories(ctx, w, p.ID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(existing, func(e inventoryRow) bool { return e.Class == i.Class }) {
			return placement.Conflicting("Resource provider %s has inventory of class %s already.", uuid, i.Class)
		}
		return db.Insert(ctx, w.Tx, "inventories", w.rowOf(p.ID, i))
	})
	return p.provider(), err
}

// UpdateInventory overwrites one inventory.
func (s *Store) UpdateInventory(ctx context.Context, now time.Time, uuid string, base int64, i placement.Inventory) (placement.Provider, error) {
	var p providerRow
	err := s.write(ctx, now, func(w *writer) error {
		var err error
		if p, err = row(ctx, w, uuid); err != nil {
			return err
		}
		if base != p.Generation {
			return placement.Conflicting("resource provider generation conflict")
		}
		if err := w.knowClasses(ctx, []placement.Inventory{i}); err != nil {
			return err
		}
		if err := w.advance(ctx, p.ID, p.Generation); err != nil {
			return err
		}
		p.Generation++
		found, err := w.changeInventory(ctx, p.ID, i)
		if err == nil && !found {
			return fault.Invalidf("No inventory record with resource class for resource provider %s: No inventory of class %s found.", uuid, i.Class)
		}
		return err
	})
	return p.provider(), err
}

// DeleteInventory removes one inventory. fault.Conflict with CodeInventoryInUse
// when it has allocations.
func (s *Store) DeleteInventory(ctx context.Context, now time.Time, uuid, class string) error {
	return s.write(ctx, now, func(w *writer) error {
		p, err := row(ctx, w, uuid)
		if err != nil {
			return err
		}
		if err := w.advance(ctx, p.ID, p.Generation); err != nil {
			return err
		}
		existing, err := inventories(ctx, w, p.ID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(existing, func(e inventoryRow) bool { return e.Class == class }) {
			return fault.NotFoundf("No inventory of class %.255s found for delete", class)
		}
		return w.deleteInventories(ctx, &p, existing, []string{class})
	})
}
