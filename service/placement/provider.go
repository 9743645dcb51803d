package placement

import (
	"math"
	"time"
)

// MaxInt is the largest number that an inventory can hold, and so the largest
// amount that anybody can ask for: upstream's columns have 32 bits.
const MaxInt = math.MaxInt32

// MaxRatio is the largest allocation ratio: upstream's columns are single floats.
const MaxRatio = 3.40282e+38

// Provider is a resource provider: something that has inventory, or that stands
// between such things in a tree.
type Provider struct {
	UUID string
	Name string
	// Generation counts the changes of the provider's inventory, traits and
	// allocations, and since version 1.19 of its aggregates. Who changes the
	// provider says which generation that is based on.
	Generation int64
	ParentUUID string // "" for a root
	RootUUID   string // the provider's own UUID for a root
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Inventory is how much of one resource class a provider has.
type Inventory struct {
	Class    string
	Total    int64
	Reserved int64 // never given out
	MinUnit  int64 // of one allocation
	MaxUnit  int64
	StepSize int64 // an allocation is a multiple of it
	// Ratio is by how much the provider may be overcommitted.
	Ratio float64
	// Used is the sum of all allocations.
	Used      int64
	UpdatedAt time.Time
}

// Capacity is how much may be allocated in all: (total - reserved) * ratio,
// rounded down.
func (i *Inventory) Capacity() int64 {
	c := float64(i.Total-i.Reserved) * i.Ratio
	if c >= math.MaxInt64/2 {
		return math.MaxInt64 / 2
	}
	return int64(math.Trunc(c))
}

// Suits reports whether one allocation of amount has a size that the inventory
// gives out.
func (i *Inventory) Suits(amount int64) bool {
	return amount >= i.MinUnit && amount <= i.MaxUnit && amount%i.StepSize == 0
}

// HasRoom reports whether amount can be allocated now.
func (i *Inventory) HasRoom(amount int64) bool {
	return i.Suits(amount) && i.Used+amount <= i.Capacity()
}

// ProviderState is a provider with everything that the search for candidates
// looks at. It is never changed once it is shared: a newer state takes its place.
type ProviderState struct {
	Provider
	Inventories []Inventory // by class
	Traits      []string    // sorted
	Aggregates  []string    // UUIDs
}

// Inventory returns the inventory of a class, nil if there is none.
func (s *ProviderState) Inventory(class string) *Inventory {
	for i := range s.Inventories {
		if s.Inventories[i].Class == class {
			return &s.Inventories[i]
		}
	}
	return nil
}

// Named is a trait or a resource class, with the time of its last change; zero
// for standard ones, which are as old as the program.
type Named struct {
	Name      string
	UpdatedAt time.Time
}

// ProviderUpdate is what shall be different about a provider; nil leaves it.
type ProviderUpdate struct {
	Name   *string
	Parent *string // "" makes it a root
	// Move allows to give a provider that has a parent another one, or none.
	Move bool
}
