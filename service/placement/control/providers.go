package control

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/service/placement"
)

// Provider returns one provider.
func (c *Control) Provider(ctx context.Context, uuid string) (placement.Provider, error) {
	return c.store.Provider(ctx, uuid)
}

// CreateProvider adds a provider with the UUID, name and parent of p.
func (c *Control) CreateProvider(ctx context.Context, p placement.Provider) (placement.Provider, error) {
	created, err := c.store.CreateProvider(ctx, c.now(), p)
	if fault.Is(err, fault.Invalid) {
		return created, rephrase(err, fault.Invalid, "Unable to create resource provider %q, %s", p.Name, p.UUID)
	}
	return created, err
}

// UpdateProvider changes a provider's name, its parent, or both.
func (c *Control) UpdateProvider(ctx context.Context, uuid string, u placement.ProviderUpdate) (placement.Provider, error) {
	updated, err := c.store.UpdateProvider(ctx, c.now(), uuid, u)
	if fault.Is(err, fault.Invalid) {
		return updated, rephrase(err, fault.Invalid, "Unable to save resource provider %s", uuid)
	}
	return updated, err
}

// DeleteProvider removes a provider without children and allocations.
func (c *Control) DeleteProvider(ctx context.Context, uuid string) error {
	return c.store.DeleteProvider(ctx, c.now(), uuid)
}

// Aggregates returns a provider and the aggregates that it is in.
func (c *Control) Aggregates(ctx context.Context, uuid string) (placement.Provider, []string, error) {
	return c.store.Aggregates(ctx, uuid)
}

// SetAggregates replaces a provider's aggregates. A nil base neither checks nor
// raises the generation.
func (c *Control) SetAggregates(ctx context.Context, uuid string, base *int64, aggregates []string) (placement.Provider, error) {
	p, err := c.store.SetAggregates(ctx, c.now(), uuid, base, aggregates)
	if fault.Is(err, fault.Conflict) {
		err = rephrase(err, fault.Conflict, "Update conflict")
	}
	return p, err
}
