package schedule

// Result is a decision.
type Result struct {
	// Ordered are the hosts that may have the server, the best first; empty when
	// there is none.
	Ordered []Choice
	// Explanation is there also when a host has been found.
	Explanation Explanation
}

// Choice is one host that passed all filters.
type Choice struct {
	*Host
	Weight float64
	// Roots are the PCIPool.Root of each device that the server is to have there,
	// where Placement counts them.
	Roots []string
}

// Explanation is the record of a decision, of bounded size, to be kept as JSON
// with the server's action or fault.
type Explanation struct {
	Hosts   int       `json:"hosts"` // candidates that came in
	Left    int       `json:"left"`  // that passed all filters
	Filters []Step    `json:"filters"`
	Weighed []Weighed `json:"weighed,omitempty"` // the best MaxWeighed
}

// Step is what one filter did. After a filter that leaves no host the others are
// not asked.
type Step struct {
	Filter string `json:"filter"`
	In     int    `json:"in"`
	Out    int    `json:"out"`
	// Reasons counts the refused hosts by reason, the most frequent first.
	Reasons []Reason `json:"reasons,omitempty"`
	// Refused are the first MaxRefused refused hosts by name; More counts the
	// others.
	Refused []Refusal `json:"refused,omitempty"`
	More    int       `json:"more,omitempty"`
}

// Reason is a reason with the number of hosts that it holds for.
type Reason struct {
	Why   string `json:"why"`
	Hosts int    `json:"hosts"`
}

// Refusal is a refused host.
type Refusal struct {
	Host string `json:"host"`
	Node string `json:"node,omitempty"`
	Why  string `json:"why"`
}

// Weighed says how a host came to its weight.
type Weighed struct {
	Host   string             `json:"host"`
	Node   string             `json:"node,omitempty"`
	Weight float64            `json:"weight"`
	Parts  map[string]float64 `json:"parts,omitempty"` // by weigher, those that are not 0
}

// Bounds of an Explanation.
const (
	MaxRefused = 20
	MaxWeighed = 5
)
