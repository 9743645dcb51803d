package control

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/service/placement"
)

// ConsumerAllocations returns a consumer and what it uses; no allocations if
// there is no such consumer.
func (c *Control) ConsumerAllocations(ctx context.Context, uuid string) (placement.Consumer, []placement.Allocation, error) {
	return c.store.ConsumerAllocations(ctx, uuid)
}

// ProviderAllocations returns a provider and what consumers use of it.
func (c *Control) ProviderAllocations(ctx context.Context, uuid string) (placement.Provider, []placement.Allocation, error) {
	return c.store.ProviderAllocations(ctx, uuid)
}

// Claim replaces what one consumer uses.
func (c *Control) Claim(ctx context.Context, claim placement.Claim) error {
	err := c.store.Claim(ctx, c.now(), c.owned([]placement.Claim{claim}))
	c.picture.hasClaimed()
	if isUnknownClass(err) {
		return rephrase(err, fault.Invalid, "Unable to allocate inventory for consumer %s", claim.ConsumerUUID)
	}
	return claimFailure(err)
}

// ClaimAll replaces what several consumers use, all or none.
func (c *Control) ClaimAll(ctx context.Context, claims []placement.Claim) error {
	err := c.store.Claim(ctx, c.now(), c.owned(claims))
	c.picture.hasClaimed()
	if isUnknownClass(err) {
		return rephrase(err, fault.Invalid, "Unable to allocate inventory")
	}
	return claimFailure(err)
}

// claimFailure tells apart what does not fit and what has changed meanwhile.
func claimFailure(err error) error {
	if fault.Is(err, fault.Conflict) && codeOf(err) == "" {
		return rephrase(err, fault.Conflict, "Unable to allocate inventory")
	}
	return err
}

// owned gives claims without an owner one: callers before version 1.8 name none.
func (c *Control) owned(claims []placement.Claim) []placement.Claim {
	for i := range claims {
		if claims[i].ProjectID == "" {
			claims[i].ProjectID, claims[i].UserID = c.options.IncompleteProjectID, c.options.IncompleteUserID
		}
	}
	return claims
}

// Release gives back all that a consumer uses.
func (c *Control) Release(ctx context.Context, consumer string) error {
	return c.store.Release(ctx, c.now(), consumer)
}

// Reshape moves inventories between providers together with the allocations on
// them.
func (c *Control) Reshape(ctx context.Context, changes []placement.InventoryChange, claims []placement.Claim) error {
	err := c.store.Reshape(ctx, c.now(), changes, c.owned(claims))
	switch code := codeOf(err); {
	case isUnknownClass(err):
		return rephrase(err, fault.Invalid, "malformed reshaper data")
	case fault.Is(err, fault.Conflict) && code == placement.CodeInventoryInUse:
		return rephrase(err, fault.Conflict, "update conflict")
	}
	return claimFailure(err)
}

// Usages sums what a project's consumers use; byType apart by type of consumer.
func (c *Control) Usages(ctx context.Context, f placement.UsageFilter, byType bool) ([]placement.Usage, error) {
	return c.store.Usages(ctx, f, byType)
}
