package compute

// Hold is what a server has of a host beyond what Placement counts: whole
// processors, memory of a NUMA node, devices. It is decided with the claim and
// told to the agent with the guest.
type Hold struct {
	Cells []GuestCell `json:"cells,omitempty"`
	// Emulator are the host's processors for the hypervisor's own threads; none:
	// those of the guest.
	Emulator []int        `json:"emulator,omitempty"`
	Devices  []HeldDevice `json:"devices,omitempty"`
	// Before is what the server held of the same host until it got another flavor
	// there: it is kept for the way back until the resize is confirmed.
	Before *Hold `json:"before,omitempty"`
}

// Empty reports whether nothing is held, but for what is kept for a way back.
func (h *Hold) Empty() bool { return h == nil || len(h.Cells)+len(h.Devices) == 0 }

// GuestCell is one NUMA node of a guest on one of the host.
type GuestCell struct {
	HostCell int `json:"host_cell"`
	MemoryMB int `json:"memory_mb"`
	PageKB   int `json:"page_kb,omitempty"` // size of its memory pages; 0: as it comes
	// CPUs are the guest's processors on this node. Pins says for those that have
	// a host processor to themselves which; the others float over Shared.
	CPUs   []int       `json:"cpus"`
	Pins   map[int]int `json:"pins,omitempty"`
	Shared []int       `json:"shared,omitempty"`
}

// HeldDevice is a PCI device of the host that the guest has to itself.
type HeldDevice struct {
	Address string `json:"address"` // "0000:81:00.1"
	Request string `json:"request"` // for which alias
	Cell    int    `json:"cell"`    // the host's NUMA node; -1: not known
	// Parent is a virtual function's physical one.
	Parent    string `json:"parent,omitempty"`
	Unmanaged bool   `json:"unmanaged,omitempty"` // the operator has taken it off the host's driver
	// Provider is who has it in Placement, and Class as what; "": nobody. OneTime: it
	// is kept back there from others for good.
	Provider string `json:"provider,omitempty"`
	Class    string `json:"class,omitempty"`
	OneTime  bool   `json:"one_time,omitempty"`
}
