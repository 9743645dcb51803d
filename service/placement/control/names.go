package control

import (
	"context"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/placement"
)

// TraitFilter selects traits of a list.
type TraitFilter struct {
	Names      []string // nil: all
	Prefix     string
	Associated *bool // whether any provider has it; nil: either
}

// Traits returns the traits that match, standard ones first.
func (c *Control) Traits(ctx context.Context, f TraitFilter) ([]placement.Named, error) {
	known, err := c.known(ctx)
	if err != nil {
		return nil, err
	}
	var associated []string
	if f.Associated != nil {
		if associated, err = c.store.AssociatedTraits(ctx); err != nil {
			return nil, err
		}
	}
	list := make([]placement.Named, 0, len(known.traits))
	for _, t := range known.traits {
		if f.Names != nil && !slices.Contains(f.Names, t.Name) || !strings.HasPrefix(t.Name, f.Prefix) {
			continue
		}
		if f.Associated != nil && slices.Contains(associated, t.Name) != *f.Associated {
			continue
		}
		list = append(list, t)
	}
	return list, nil
}

// Trait returns one trait.
func (c *Control) Trait(ctx context.Context, name string) (placement.Named, error) {
	known, err := c.known(ctx)
	if err != nil {
		return placement.Named{}, err
	}
	i, ok := known.trait[name]
	if !ok {
		return placement.Named{}, placement.NoSuchTrait(name)
	}
	return known.traits[i], nil
}

// AddTrait makes a custom trait and reports whether it is new.
func (c *Control) AddTrait(ctx context.Context, name string) (bool, error) {
	if !placement.IsCustomName(name) {
		return false, fault.Invalidf("The trait is invalid. A valid trait must be no longer than 255 characters, " +
			`start with the prefix "CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"`)
	}
	return c.store.AddTrait(ctx, c.now(), name)
}

// DeleteTrait removes a custom trait that no provider has.
func (c *Control) DeleteTrait(ctx context.Context, name string) error {
	if placement.IsStandardTrait(name) {
		return fault.Invalidf("Cannot delete standard trait %s.", name)
	}
	return c.store.DeleteTrait(ctx, c.now(), name)
}

// ProviderTraits returns a provider and its traits, with their ages.
func (c *Control) ProviderTraits(ctx context.Context, uuid string) (placement.Provider, []placement.Named, error) {
	p, traits, err := c.store.ProviderTraits(ctx, uuid)
	if err != nil {
		return p, nil, err
	}
	list, err := c.aged(ctx, traits)
	return p, list, err
}

// SetProviderTraits replaces the traits of a provider whose generation is base,
// and returns it with them.
func (c *Control) SetProviderTraits(ctx context.Context, uuid string, base int64, traits []string) (placement.Provider, []placement.Named, error) {
	slices.Sort(traits)
	traits = slices.Compact(traits)
	p, err := c.store.SetTraits(ctx, c.now(), uuid, &base, traits)
	if err != nil {
		return p, nil, err
	}
	list, err := c.aged(ctx, traits)
	return p, list, err
}

// ClearProviderTraits takes all traits from a provider.
func (c *Control) ClearProviderTraits(ctx context.Context, uuid string) error {
	_, err := c.store.SetTraits(ctx, c.now(), uuid, nil, nil)
	return err
}

func (c *Control) aged(ctx context.Context, traits []string) ([]placement.Named, error) {
	known, err := c.known(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]placement.Named, 0, len(traits))
	for _, name := range traits {
		t := placement.Named{Name: name}
		if i, ok := known.trait[name]; ok {
			t = known.traits[i]
		}
		list = append(list, t)
	}
	return list, nil
}

// Classes returns all resource classes, standard ones first.
func (c *Control) Classes(ctx context.Context) ([]placement.Named, error) {
	known, err := c.known(ctx)
	if err != nil {
		return nil, err
	}
	return known.classes, nil
}

// Class returns one resource class.
func (c *Control) Class(ctx context.Context, name string) (placement.Named, error) {
	known, err := c.known(ctx)
	if err != nil {
		return placement.Named{}, err
	}
	i, ok := known.class[name]
	if !ok {
		return placement.Named{}, placement.NoSuchClass(name)
	}
	return known.classes[i], nil
}

// CreateClass makes a custom resource class that must not exist yet.
func (c *Control) CreateClass(ctx context.Context, name string) error {
	added, err := c.store.AddClass(ctx, c.now(), name)
	if err == nil && !added {
		err = fault.Conflictf("Conflicting resource class already exists: %s", name)
	}
	return err
}

// EnsureClass makes a custom resource class if need be and reports whether it is
// new.
func (c *Control) EnsureClass(ctx context.Context, name string) (bool, error) {
	return c.store.AddClass(ctx, c.now(), name)
}

// RenameClass gives a custom resource class another name: until version 1.6.
func (c *Control) RenameClass(ctx context.Context, from, to string) error {
	if placement.IsStandardClass(from) {
		return fault.Invalidf("Cannot update standard resource class %s", from)
	}
	return c.store.RenameClass(ctx, c.now(), from, to)
}

// DeleteClass removes a custom resource class that is in no inventory.
func (c *Control) DeleteClass(ctx context.Context, name string) error {
	if placement.IsStandardClass(name) {
		return fault.Invalidf("Error in delete resource class: Cannot delete standard resource class %s.", name)
	}
	err := c.store.DeleteClass(ctx, c.now(), name)
	if fault.Is(err, fault.Conflict) {
		err = rephrase(err, fault.Conflict, "Error in delete resource class")
	}
	return err
}
