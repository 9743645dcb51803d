package control

import (
	"context"
	"slices"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// FlavorQuery selects flavors.
type FlavorQuery struct {
	// Public: nil both kinds, for administrators; others always see what they may use.
	Public     *bool
	MinRAM     int
	MinDisk    int
	SortKey    string // of FlavorSortKeys
	Descending bool
	Marker     string
	Limit      int
}

// FlavorSortKeys compare flavors by the API's sort keys.
var FlavorSortKeys = map[string]func(a, b compute.Flavor) int{
	"flavorid":     func(a, b compute.Flavor) int { return strings.Compare(a.ID, b.ID) },
	"name":         func(a, b compute.Flavor) int { return strings.Compare(a.Name, b.Name) },
	"memory_mb":    func(a, b compute.Flavor) int { return a.MemoryMB - b.MemoryMB },
	"vcpus":        func(a, b compute.Flavor) int { return a.VCPUs - b.VCPUs },
	"root_gb":      func(a, b compute.Flavor) int { return a.RootGB - b.RootGB },
	"ephemeral_gb": func(a, b compute.Flavor) int { return a.EphemeralGB - b.EphemeralGB },
	"swap":         func(a, b compute.Flavor) int { return a.SwapMB - b.SwapMB },
	"created_at":   func(a, b compute.Flavor) int { return a.CreatedAt.Compare(b.CreatedAt) },
	"updated_at":   func(a, b compute.Flavor) int { return 0 },
	"id":           func(a, b compute.Flavor) int { return 0 },
	"rxtx_factor":  func(a, b compute.Flavor) int { return 0 },
	"is_public":    func(a, b compute.Flavor) int { return 0 },
	"disabled":     func(a, b compute.Flavor) int { return 0 },
}

// Flavors lists the flavors that the caller may see.
func (c *Control) Flavors(ctx context.Context, q FlavorQuery) ([]compute.Flavor, error) {
	caller := auth.From(ctx)
	all, err := c.Store.Flavors(ctx, c.Store.DB)
	if err != nil {
		return nil, err
	}
	given, err := c.Store.ProjectFlavors(ctx, c.Store.DB, caller.ProjectID)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(f compute.Flavor) bool {
		hidden := !f.Public && !slices.Contains(given, f.ID)
		if caller.IsAdmin() {
			hidden = q.Public != nil && *q.Public != f.Public
		}
		return hidden || f.MemoryMB < q.MinRAM || f.RootGB < q.MinDisk
	})
	slices.SortStableFunc(all, FlavorSortKeys[q.SortKey])
	if q.Descending {
		slices.Reverse(all)
	}
	if q.Marker != "" {
		i := slices.IndexFunc(all, func(f compute.Flavor) bool { return f.ID == q.Marker })
		if i < 0 {
			return nil, fault.Invalidf("marker [%s] not found", q.Marker)
		}
		all = all[i+1:]
	}
	return all[:min(q.Limit, len(all))], nil
}

// Flavor returns a flavor that the caller may see.
func (c *Control) Flavor(ctx context.Context, id string) (compute.Flavor, error) {
	return c.usableFlavor(ctx, id)
}

func (c *Control) usableFlavor(ctx context.Context, id string) (compute.Flavor, error) {
	f, err := c.Store.Flavor(ctx, c.Store.DB, id)
	if err != nil {
		return f, err
	}
	if caller := auth.From(ctx); !f.Public && !caller.IsAdmin() {
		projects, err := c.Store.FlavorProjects(ctx, c.Store.DB, id)
		if err != nil {
			return f, err
		}
		if !slices.Contains(projects, caller.ProjectID) {
			return f, fault.NotFoundf("Flavor %s could not be found.", id)
		}
	}
	return f, nil
}

// CreateFlavor makes a flavor. An empty id is filled.
func (c *Control) CreateFlavor(ctx context.Context, f compute.Flavor) (compute.Flavor, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-flavor-manage:create", nil); err != nil {
		return f, err
	}
	if f.ID == "" || f.ID == "auto" {
		f.ID = newID()
	}
	f.CreatedAt = c.Now()
	return f, c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.InsertFlavor(ctx, tx, f); err != nil {
			return err
		}
		return c.tellFlavor(ctx, tx, "create", f)
	})
}

// DescribeFlavor changes a flavor's description.
func (c *Control) DescribeFlavor(ctx context.Context, id string, description *string) (compute.Flavor, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-flavor-manage:update", nil); err != nil {
		return compute.Flavor{}, err
	}
	return c.changeFlavor(ctx, id, func(f *compute.Flavor) error {
		f.Description = description
		return nil
	})
}

// DeleteFlavor removes a flavor; servers keep what they were made from.
func (c *Control) DeleteFlavor(ctx context.Context, id string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-flavor-manage:delete", nil); err != nil {
		return err
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		f, err := c.Store.Flavor(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := c.tellFlavor(ctx, tx, "delete", f); err != nil {
			return err
		}
		return c.Store.DeleteFlavor(ctx, tx, id)
	})
}

func (c *Control) changeFlavor(ctx context.Context, id string, change func(*compute.Flavor) error) (f compute.Flavor, err error) {
	err = c.Store.Tx(ctx, func(tx *db.Tx) error {
		if f, err = c.Store.Flavor(ctx, tx, id); err != nil {
			return err
		}
		if err := change(&f); err != nil {
			return err
		}
		if err := c.Store.UpdateFlavor(ctx, tx, f); err != nil {
			return err
		}
		return c.tellFlavor(ctx, tx, "update", f)
	})
	return f, err
}

// ExtraSpecs returns a flavor's extra specs.
func (c *Control) ExtraSpecs(ctx context.Context, id string) (map[string]string, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-flavor-extra-specs:index", auth.Own(ctx)); err != nil {
		return nil, err
	}
	f, err := c.usableFlavor(ctx, id)
	return f.ExtraSpecs, err
}

// SetExtraSpecs adds or changes extra specs; only is true when the one key must
// exist already.
func (c *Control) SetExtraSpecs(ctx context.Context, id string, specs map[string]string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-flavor-extra-specs:create", nil); err != nil {
		return err
	}
	_, err := c.changeFlavor(ctx, id, func(f *compute.Flavor) error {
		merged := map[string]string{}
		for _, m := range []map[string]string{f.ExtraSpecs, specs} {
			for k, v := range m {
				merged[k] = v
			}
		}
		f.ExtraSpecs = merged
		return nil
	})
	return err
}

// DeleteExtraSpec removes one; fault.NotFound if it is not there.
func (c *Control) DeleteExtraSpec(ctx context.Context, id, key string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-flavor-extra-specs:delete", nil); err != nil {
		return err
	}
	_, err := c.changeFlavor(ctx, id, func(f *compute.Flavor) error {
		if _, ok := f.ExtraSpecs[key]; !ok {
			return fault.NotFoundf("Flavor %s has no extra specs with key %s.", id, key)
		}
		delete(f.ExtraSpecs, key)
		return nil
	})
	return err
}

// FlavorAccess lists the projects that may use a flavor that is not public.
func (c *Control) FlavorAccess(ctx context.Context, id string) ([]string, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-flavor-access", nil); err != nil {
		return nil, err
	}
	f, err := c.Store.Flavor(ctx, c.Store.DB, id)
	if err != nil {
		return nil, err
	}
	if f.Public {
		return nil, fault.NotFoundf("Access list not available for public flavors.")
	}
	return c.Store.FlavorProjects(ctx, c.Store.DB, id)
}

// ChangeFlavorAccess gives or takes a project the use of a flavor.
func (c *Control) ChangeFlavorAccess(ctx context.Context, id, projectID string, allow bool) ([]string, error) {
	rule, change := "os_compute_api:os-flavor-access:add_tenant_access", c.Store.AllowFlavor
	if !allow {
		rule, change = "os_compute_api:os-flavor-access:remove_tenant_access", c.Store.RefuseFlavor
	}
	if err := c.Policy.Enforce(ctx, rule, nil); err != nil {
		return nil, err
	}
	var projects []string
	err := c.Store.Tx(ctx, func(tx *db.Tx) error {
		f, err := c.Store.Flavor(ctx, tx, id)
		if err != nil {
			return err
		}
		if f.Public {
			return fault.Conflictf("Can not add access to a public flavor.")
		}
		if err := change(ctx, tx, id, projectID); err != nil {
			return err
		}
		projects, err = c.Store.FlavorProjects(ctx, tx, id)
		return err
	})
	return projects, err
}
