package schedule

// Host is one candidate: a hypervisor node with all that filters and weighers
// look at. The scheduler never changes a Host, so that one set of hosts may serve
// many requests at once.
type Host struct {
	Name       string // the service's host name
	Node       string // the hypervisor's own name, hypervisor_hostname of the API
	ProviderID string // its resource provider in Placement
	// Allocations are what Placement would have claimed there, by provider, for
	// the request at hand; nil when it is all of ProviderID.
	Allocations map[string]map[string]int
	IP          string // address of the host, for SimpleCIDRAffinityFilter

	Up             bool   // its agent has been heard of lately
	ForcedDown     bool   // an operator said that it is down
	Disabled       bool   // its service is disabled
	DisabledReason string // for the explanation

	Zone       string       // its availability zone; the default one if it is in none
	Aggregates []*Aggregate // those it is in

	VCPUs    Resource
	MemoryMB Resource
	DiskGB   Resource
	// DiskLeastGB is what the file system has left when every sparse disk on it
	// has grown to its size (disk_available_least); nil if that is not known.
	DiskLeastGB *int

	Servers      int // servers on it
	IOOps        int // builds, resizes, snapshots and the like under way
	FailedBuilds int // since the last one that succeeded

	HypervisorType    string // "QEMU"
	HypervisorVersion int    // 1e6*major + 1e3*minor + micro
	// Supported lists what runs here: architecture, hypervisor type and mode,
	// e.g. {"x86_64", "kvm", "hvm"}.
	Supported [][3]string
	Traits    []string
	// CPUInfo is cpu_info of the API, decoded: arch, model, vendor, features,
	// topology.
	CPUInfo map[string]any
	// Stats are further facts by name; extra specs and JSON queries may ask for
	// them.
	Stats map[string]string
	// Metrics are what the host's monitors measure, by name.
	Metrics map[string]float64
	// Flavors counts the host's servers by the name of their flavor, for
	// TypeAffinityFilter; nil where that is not enabled.
	Flavors map[string]int
	// ImageProperties counts the host's servers by each property of their
	// images as hardware.Read has it, for ImagePropertiesWeigher; nil while that
	// has no weight.
	ImageProperties map[ImageProperty]int

	NUMA []NUMACell
	PCI  []PCIPool
	// Rooms is how many devices Placement has left of each PCIPool.Root; nil where
	// it was not asked for devices.
	Rooms map[string]int

	// Trust is the level that an attestation service gives it, for TrustedFilter;
	// "" where it gives none.
	Trust string
}

// ImageProperty is one property of an image with its value.
type ImageProperty struct{ Name, Value string }

// Resource is what a host has of one kind and what servers have taken of it.
type Resource struct {
	Total int
	Used  int     // with what is reserved for the host itself
	Ratio float64 // allocation ratio; 0 stands for 1
}

// Free is what is left without overcommitment; it may be negative.
func (r Resource) Free() int { return r.Total - r.Used }

// Limit is how much servers may take altogether.
func (r Resource) Limit() float64 { return float64(r.Total) * r.ratio() }

func (r Resource) ratio() float64 {
	if r.Ratio == 0 {
		return 1
	}
	return r.Ratio
}

// NUMACell is one NUMA node of a host.
type NUMACell struct {
	ID     int
	Socket *int // where its processors sit; nil: not known
	// Shared and Dedicated are the processors for floating and for pinned
	// virtual ones; Siblings are the sets of hardware threads of a core.
	Shared, Dedicated []int
	Siblings          [][]int
	Pinned            []int // of Dedicated, those taken
	SharedUsed        int   // virtual processors on Shared
	MemoryMB          int
	MemoryUsedMB      int
	Pages             []PagePool
}

// PagePool is a NUMA node's memory pages of one size.
type PagePool struct {
	SizeKB         int
	Total          int
	Used, Reserved int
}

// PCIPool is a number of like free devices.
type PCIPool struct {
	Count int
	// Tags describe them: vendor_id, product_id, dev_type, live_migratable...
	Tags map[string]string
	Cell int // their NUMA node; -1: not known
	// Remote ones are for ports of their own kind, and for no request.
	Remote bool
	// Root is the address of the device that stands for them in Placement, with
	// these traits and as this resource class; "": none does.
	Root   string
	Class  string
	Traits []string
}
