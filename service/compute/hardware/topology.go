package hardware

import (
	"regexp"
	"strconv"
)

// Topology is the NUMA topology that flavor and image ask for together: hw:numa_*,
// hw:cpu_policy, hw:cpu_thread_policy, hw:mem_page_size and the image's hw_ twins
// (nova/virt/hardware.py: numa_get_constraints).
type Topology struct {
	Cells   []Cell
	PageKB  int    // of its memory pages: a size or one of the constants below; 0: not asked for
	Pinned  bool   // has dedicated processors, and so no overcommitment at all
	Threads string // how these lie on the host's cores: "", "prefer", "require" or "isolate"
	// IsolateEmulator: one more dedicated processor, beside those of the first cell,
	// is for the hypervisor's own threads.
	IsolateEmulator bool
}

// Cell is one NUMA node of a guest.
type Cell struct {
	MemoryMB int
	// Floating and Pinned are the guest's processors on it, by number: those that share
	// the host's, and those that have one each.
	Floating, Pinned []int
}

// Page sizes by kind.
const (
	SmallPages = -1
	LargePages = -2
	AnyPages   = -3
)

// TopologyOf returns the topology that flavor and image ask for, nil when they ask for
// none. What Check would refuse of it is fault.Invalid.
func TopologyOf(f Flavor, i Image) (*Topology, error) {
	a := &asked{flavor: f, image: i}
	t := a.numa()
	return t, a.err
}

func (c *Cell) add(cpu int, pinned bool) {
	if pinned {
		c.Pinned = append(c.Pinned, cpu)
	} else {
		c.Floating = append(c.Floating, cpu)
	}
}

// pageForm is a number of KiB, or of what the unit says.
var pageForm = regexp.MustCompile(`^(\d{1,10})(?:([kKMGT])i?)?(b|bit|B)?$`)

// pageShift is by how many bits the units are larger than a byte.
var pageShift = map[string]int{"": 0, "k": 10, "K": 10, "M": 20, "G": 30, "T": 40}

// maxPageKB bounds the size of a page: no machine has larger ones than 1 TiB.
const maxPageKB = 1 << 30

// parsePageSize reads "small", "large", "any", "2048" and "2MB"; ok is false for what is
// no such size or no whole number of KiB.
func parsePageSize(text string) (kB int, ok bool) {
	switch text {
	case "small":
		return SmallPages, true
	case "large":
		return LargePages, true
	case "any":
		return AnyPages, true
	}
	m := pageForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n < 1 || n > maxPageKB {
		return 0, false
	}
	if m[2]+m[3] == "" {
		return n, true
	}
	bits := 8
	if m[3] == "b" || m[3] == "bit" {
		bits = 1
	}
	shift := pageShift[m[2]]
	if n > maxPageKB<<10>>shift {
		return 0, false
	}
	size := n << shift * bits
	return size >> 13, size%(1<<13) == 0
}
