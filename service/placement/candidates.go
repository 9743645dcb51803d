package placement

// Group is one part of a request: the resources that shall come from one
// provider, or, for the group with the suffix "", from one tree and what shares
// with it.
type Group struct {
	Suffix    string
	Resources []Amount
	// Required is a conjunction of disjunctions of traits.
	Required  [][]string
	Forbidden []string
	// MemberOf is a conjunction of disjunctions of aggregates.
	MemberOf     [][]string
	NotMemberOf  []string
	InTree       string // the UUID of any provider of the tree, "" any tree
	SameProvider bool   // false for the suffix ""
}

// Query asks for ways to satisfy a request.
type Query struct {
	Groups []Group
	// Isolate has every group with a suffix satisfied by a provider of its own.
	Isolate bool
	// RootRequired and RootForbidden are traits of the root of the tree.
	RootRequired  []string
	RootForbidden []string
	// SameSubtree lists sets of suffixes: the providers of each set's groups
	// must all be below, or be, one of them.
	SameSubtree [][]string
	Limit       int // 0: all, up to the service's maximum
	// Flat leaves out what takes resources from more than one provider of a tree:
	// callers before version 1.29 do not know trees.
	Flat bool
	// Text is what the question is known by when it is asked again, and Since the
	// Picture of an answer that the asker has: Edits then say what has changed. "": it
	// is answered in full, and nothing is remembered of it.
	Text  string
	Since uint64
}

// Candidate is one way to satisfy a request.
type Candidate struct {
	Allocations []CandidateAllocation
	Mappings    []Mapping
}

// CandidateAllocation is what a candidate takes from one provider.
type CandidateAllocation struct {
	Provider *ProviderState
	Amounts  []Amount
}

// Mapping says which providers satisfy a group.
type Mapping struct {
	Suffix    string
	Providers []*ProviderState
}

// Candidates is the answer to a Query.
type Candidates struct {
	Requests []Candidate
	// Summaries are the providers of all trees that Requests takes from.
	Summaries []*ProviderState
	// GaveUp says that some tree had too many combinations to try them all.
	GaveUp bool
	// Picture numbers what of all providers was seen; 0: the question has no Text, or
	// what shares between trees, or a random order, leaves nothing to compare by.
	Picture uint64
	// Edits make the answer out of that to Since: Requests and Summaries are then of
	// the new trees alone. nil: they are the whole answer.
	Edits []Edit
	// Done gives the memory of all this to the next search. Whoever has read the
	// answer may call it, once; it may be nil.
	Done func()
}

// Edit is a step from one answer to the next, in trees with candidates: so many stay,
// so many after them go, and so many new ones come in their place. What is left after
// the last step goes.
type Edit struct{ Keep, Drop, New int }

// ProviderFilter selects providers of a list.
type ProviderFilter struct {
	Name, UUID  string
	InTree      string
	MemberOf    [][]string
	NotMemberOf []string
	Required    [][]string
	Forbidden   []string
	Resources   []Amount
}
