package placement

import "time"

// UnknownConsumer is how a consumer without a type is shown; such are those that
// were made before version 1.38.
const UnknownConsumer = "unknown"

// Amount is a quantity of one resource class.
type Amount struct {
	Class  string
	Amount int64
}

// Consumer is who uses resources: a server, a migration, a port. It exists as
// long as it has allocations.
type Consumer struct {
	UUID string
	// Generation counts the changes of the consumer's allocations, from 1.
	Generation int64
	ProjectID  string
	UserID     string
	Type       string // "" when none was ever given
}

// Allocation is what one consumer uses of one class of one provider.
type Allocation struct {
	ConsumerUUID       string
	ConsumerGeneration int64
	ProviderUUID       string
	ProviderGeneration int64
	Class              string
	Used               int64
	CreatedAt          time.Time
}

// Claim replaces all allocations of one consumer.
type Claim struct {
	ConsumerUUID string
	ProjectID    string
	UserID       string
	Type         string // "": leave as it is
	// CheckGeneration makes the claim fail when the consumer's generation is not
	// Generation; a nil Generation says that the consumer must not exist.
	CheckGeneration bool
	Generation      *int64
	// Allocations has what the consumer shall use, by provider. None means that
	// the consumer gives everything back.
	Allocations []ProviderAmounts
}

// ProviderAmounts is what somebody wants of one provider.
type ProviderAmounts struct {
	ProviderUUID string
	Amounts      []Amount
}

// InventoryChange replaces all inventories of one provider.
type InventoryChange struct {
	ProviderUUID string
	Generation   int64 // that the change is based on
	Inventories  []Inventory
}

// Usage is the sum of what consumers of one type use.
type Usage struct {
	ConsumerType string // "" when it was not asked for
	Consumers    int64
	Class        string
	Used         int64
}

// UsageFilter selects consumers.
type UsageFilter struct {
	ProjectID string
	UserID    string // "" all
	Type      string // a consumer type; UnknownConsumer for those without; "" all
}
