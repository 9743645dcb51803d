package store

import (
	"context"
	"slices"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/placement"
)

// Reshape moves inventories and the allocations on them between providers in one
// transaction: first each provider named in changes has its old and its new
// inventories, then the claims are carried out, then it has the new ones only.
func (s *Store) Reshape(ctx context.Context, now time.Time, changes []placement.InventoryChange, claims []placement.Claim) error {
	return s.write(ctx, now, func(w *writer) error {
		rows := make([]providerRow, len(changes))
		for i, c := range changes {
			var err error
			if rows[i], err = row(ctx, w, c.ProviderUUID); fault.Is(err, fault.NotFound) {
				return fault.Invalidf("Resource provider %s in inventories not found: %w", c.ProviderUUID, err).
					WithCode(placement.CodeProviderNotFound)
			} else if err != nil {
				return err
			}
			if rows[i].Generation != c.Generation {
				return placement.Conflicting("resource provider generation conflict for provider %s: actual: %d, given: %d",
					c.ProviderUUID, rows[i].Generation, c.Generation)
			}
		}
		for i, c := range changes {
			if len(c.Inventories) == 0 {
				continue
			}
			interim, err := w.union(ctx, rows[i], c.Inventories)
			if err != nil {
				return err
			}
			if err := w.setInventories(ctx, &rows[i], interim); err != nil {
				return err
			}
		}
		if err := w.claim(ctx, claims); err != nil {
			return err
		}
		for i, c := range changes {
			var err error
			if rows[i], err = row(ctx, w, c.ProviderUUID); err != nil {
				return err
			}
			if err := w.setInventories(ctx, &rows[i], c.Inventories); err != nil {
				return err
			}
		}
		return nil
	})
}

// union returns list and those of p's inventories whose class is not in it.
func (w *writer) union(ctx context.Context, p providerRow, list []placement.Inventory) ([]placement.Inventory, error) {
	existing, err := inventories(ctx, w, p.ID)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(list)
	for i := range existing {
		same := func(n placement.Inventory) bool { return n.Class == existing[i].Class }
		if !slices.ContainsFunc(list, same) {
			all = append(all, existing[i].inventory())
		}
	}
	return all, nil
}
