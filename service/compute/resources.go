package compute

// Resources is what a host offers and has in use, measured, not accounted.
type Resources struct {
	HypervisorType    string // "QEMU", "fake", ...: hypervisor_type of the API
	HypervisorVersion int    // as libvirt counts: 1e6*major + 1e3*minor + micro
	HypervisorName    string // the hypervisor's own name of the host (its FQDN)
	HostIP            string
	Initiator         string // the host's iSCSI name; "" none

	VCPUs        int
	MemoryMB     int
	MemoryUsedMB int
	DiskGB       int
	DiskUsedGB   int // of the file system that holds the guests
	DiskFreeGB   int
	Running      int // guests running, also foreign ones

	Uptime int64  // seconds since the host has started; 0 not known
	Load   string // its load averages as the kernel writes them: "0.20 0.12 0.14"

	// CPU describes the processor: arch, model, vendor, features, topology.
	CPU CPU
	// Supported lists what can run here, e.g. {"x86_64", "qemu", "hvm"}.
	Supported [][3]string
	// Traits are further Placement traits that hold on this host (HW_CPU_…).
	Traits []string

	// NUMA describes the host's nodes, PCI the devices that guests may have.
	NUMA []NUMACell  `json:",omitempty"`
	PCI  []PCIDevice `json:",omitempty"`
	// PCIInPlacement: PCI are told to Placement, but those for ports.
	PCIInPlacement bool `json:",omitempty"`
	// Metrics are what the host's monitors measure, by upstream's names
	// (cpu.percent, ...).
	Metrics map[string]float64 `json:",omitempty"`
}

// CPUSets counts the processors that guests share and those that are given away
// whole.
func (r *Resources) CPUSets() (shared, dedicated int) {
	for _, n := range r.NUMA {
		shared += len(n.Shared)
		dedicated += len(n.Dedicated)
	}
	return shared, dedicated
}

// NUMACell is one NUMA node of a host.
type NUMACell struct {
	ID int `json:"id"`
	// Socket is where in the host the node's processors sit; nil: not known, or
	// not in one.
	Socket *int `json:"socket,omitempty"`
	// Shared are the processors for guests that float, Dedicated those that are
	// given away whole; Siblings lists the threads of each core that has several.
	Shared    []int      `json:"shared,omitempty"`
	Dedicated []int      `json:"dedicated,omitempty"`
	Siblings  [][]int    `json:"siblings,omitempty"`
	MemoryMB  int        `json:"memory_mb"`
	Pages     []PagePool `json:"pages,omitempty"`
}

// PagePool is a node's memory pages of one size.
type PagePool struct {
	SizeKB   int `json:"size_kb"`
	Total    int `json:"total"`
	Reserved int `json:"reserved,omitempty"` // for others than guests
}

// CPU is cpu_info of the API.
type CPU struct {
	Arch     string      `json:"arch"`
	Model    string      `json:"model"`
	Vendor   string      `json:"vendor"`
	Features []string    `json:"features"`
	Topology CPUTopology `json:"topology"`
}

// CPUTopology counts one host's processors.
type CPUTopology struct {
	Sockets int `json:"sockets"`
	Cores   int `json:"cores"`
	Threads int `json:"threads"`
}
