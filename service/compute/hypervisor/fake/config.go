package fake

import (
	"time"

	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// Config describes the host that a driver pretends to be. The zero value is
// usable: 64 processors, 512 GiB of memory, 10 TB of disk.
type Config struct {
	// Host is the hypervisor's name of itself; "fake" if empty.
	Host string
	// HostIP is reported as the host's address; 127.0.0.1 if empty.
	HostIP string

	VCPUs    int // 0: 64
	MemoryMB int // 0: 524288
	DiskGB   int // 0: 10240

	// NUMANodes spreads processors and memory over so many nodes; 0: the host
	// tells of none. Dedicated are the processors that are given away whole, the
	// others are shared. HugePages is how many pages of 2 MiB each node has.
	NUMANodes int
	Dedicated []int
	HugePages int
	// PCI are the devices that guests may have.
	PCI []compute.PCIDevice
	// PCIInPlacement: Placement is told of them.
	PCIInPlacement bool
	// Metrics are what the host says that it measures.
	Metrics map[string]float64

	// StateFile, if set, keeps the guests over a restart of the agent. It
	// belongs to one driver at a time.
	StateFile string

	// Delays is how long each verb takes; a verb that is not here takes no time.
	Delays map[Verb]time.Duration
	// Faults are in force from the beginning; Inject adds more.
	Faults []Fault
	// Deaf says which guests ignore the power button; nil: none does.
	Deaf func(g hypervisor.Guest) bool
}

// Defaults of Config.
const (
	DefaultVCPUs    = 64
	DefaultMemoryMB = 512 << 10
	DefaultDiskGB   = 10 << 10
)

func (c Config) withDefaults() Config {
	if c.Host == "" {
		c.Host = "fake"
	}
	if c.HostIP == "" {
		c.HostIP = "127.0.0.1"
	}
	if c.VCPUs == 0 {
		c.VCPUs = DefaultVCPUs
	}
	if c.MemoryMB == 0 {
		c.MemoryMB = DefaultMemoryMB
	}
	if c.DiskGB == 0 {
		c.DiskGB = DefaultDiskGB
	}
	return c
}
