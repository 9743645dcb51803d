package compute

// Resources is what a host offers and has in use, measured, not accounted.
type Resources struct {
	HypervisorType    string // "QEMU", "fake", ...: hypervisor_type of the API
	HypervisorVersion int    // as libvirt counts: 1e6*major + 1e3*minor + micro
	HypervisorName    string // the hypervisor's own name of the host (its FQDN)
	HostIP            string

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
