package schedule

import (
	"strconv"
	"strings"

	"kilonova/internal/fault"
)

// guestNUMA is the NUMA topology that flavor and image ask for together: hw:numa_*,
// hw:cpu_policy, hw:cpu_thread_policy, hw:mem_page_size and the image's hw_ twins
// (nova/virt/hardware.py: numa_get_constraints).
type guestNUMA struct {
	cells   []guestCell
	pageKB  int    // a size or one of the constants below; 0: not asked for
	pinned  bool   // has dedicated processors, and so no overcommitment at all
	threads string // "", "prefer", "require" or "isolate"
	extra   int    // processors that the first cell takes for emulator threads
}

// guestCell is one NUMA node of a guest.
type guestCell struct {
	shared, dedicated, memoryMB int
	floating, pinned            []int // which of the guest's processors these are
}

// Page sizes by kind.
const (
	smallPages = -1
	largePages = -2
	anyPages   = -3
)

// maxNUMACells bounds the nodes of a guest, and with it the work of fitting them.
const maxNUMACells = 64

// specReader reads what may stand in the flavor's extra specs or in the image's
// properties, and remembers the first mistake.
type specReader struct {
	flavor, image map[string]string
	err           error
}

func (s *specReader) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fault.Invalidf(format, args...)
	}
}

// both returns hw:name of the flavor and hw_name of the image.
func (s *specReader) both(name string) (flavor, image string) {
	return s.flavor["hw:"+name], s.image["hw_"+name]
}

// either is for settings that only one of the two may have.
func (s *specReader) either(name string) string {
	flavor, image := s.both(name)
	if flavor != "" && image != "" {
		s.fail("The image property hw_%s may not be set when the flavor has hw:%s.", name, name)
	}
	if flavor != "" {
		return flavor
	}
	return image
}

// parseNUMA returns the topology that r asks for, nil when it asks for none.
func parseNUMA(r *Request) (*guestNUMA, error) {
	s := &specReader{flavor: r.Flavor.ExtraSpecs, image: r.Image.Properties}
	policy := s.cpuPolicy()
	g := &guestNUMA{pageKB: s.pageSize(), threads: s.threadPolicy(), pinned: policy == "dedicated" || policy == "mixed"}
	nodes := s.nodes()
	if s.err != nil {
		return nil, s.err
	}
	if nodes == 0 && g.pageKB == 0 && !g.pinned {
		return nil, nil
	}
	if !g.pinned && g.threads != "" {
		return nil, fault.Invalidf("A CPU thread policy needs the CPU policy dedicated or mixed.")
	}
	if g.pinned && s.flavor["hw:emulator_threads_policy"] == "isolate" {
		g.extra = 1
	}
	dedicated := s.dedicated(policy, r.Flavor.VCPUs)
	g.cells = s.split(r, max(nodes, 1), dedicated)
	return g, s.err
}

func (s *specReader) nodes() int {
	text := s.either("numa_nodes")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxNUMACells {
		s.fail("The number of NUMA nodes %.32q is not between 1 and %d.", text, maxNUMACells)
	}
	return n
}

func (s *specReader) cpuPolicy() string {
	flavor, image := s.both("cpu_policy")
	for _, p := range []string{flavor, image} {
		switch p {
		case "", "shared", "dedicated", "mixed":
		default:
			s.fail("The CPU policy %.32q is not known; there are shared, dedicated and mixed.", p)
		}
	}
	switch {
	case flavor == "" && image == "" && s.flavor["resources:PCPU"] != "" && s.flavor["resources:PCPU"] != "0":
		return "dedicated" // asked of Placement in so many words
	case flavor == "":
		return image
	case flavor == "shared" && image != "" && image != "shared", flavor == "mixed" && image == "dedicated":
		s.fail("The image's CPU policy %s is not allowed by the flavor's, %s.", image, flavor)
	}
	return flavor
}

func (s *specReader) threadPolicy() string {
	flavor, image := s.both("cpu_thread_policy")
	for _, p := range []string{flavor, image} {
		switch p {
		case "", "prefer", "require", "isolate":
		default:
			s.fail("The CPU thread policy %.32q is not known; there are prefer, require and isolate.", p)
		}
	}
	if flavor == "" || flavor == "prefer" {
		if image != "" {
			return image
		}
		return flavor
	}
	if image != "" && image != flavor {
		s.fail("The image's CPU thread policy %s is not allowed by the flavor's, %s.", image, flavor)
	}
	return flavor
}

// pageSize lets the image choose among the sizes that the flavor leaves open.
func (s *specReader) pageSize() int {
	flavor, image := s.both("mem_page_size")
	if flavor == "" {
		if image != "" {
			s.fail("The image asks for memory pages of %.32s, and the flavor has no hw:mem_page_size.", image)
		}
		return 0
	}
	size := s.parsePageSize(flavor)
	if image == "" {
		return size
	}
	if size != anyPages && size != largePages {
		s.fail("The image asks for memory pages of %.32s, and the flavor wants %.32s.", image, flavor)
	}
	return s.parsePageSize(image)
}

var pageUnits = []struct {
	suffix string
	kB     int
}{{"KB", 1}, {"MB", 1 << 10}, {"GB", 1 << 20}, {"KiB", 1}, {"MiB", 1 << 10}, {"GiB", 1 << 20}, {"", 1}}

func (s *specReader) parsePageSize(text string) int {
	switch text {
	case "small":
		return smallPages
	case "large":
		return largePages
	case "any":
		return anyPages
	}
	for _, u := range pageUnits {
		number, ok := strings.CutSuffix(text, u.suffix)
		if n, err := strconv.Atoi(number); ok && err == nil && n > 0 && n <= 1<<30 {
			return n * u.kB
		}
	}
	s.fail("The memory page size %.32q is not known; write small, large, any or a size like 2MB.", text)
	return 0
}

// dedicated tells of each virtual processor whether it is pinned.
func (s *specReader) dedicated(policy string, vcpus int) []bool {
	pinned := make([]bool, max(vcpus, 0))
	switch policy {
	case "dedicated":
		for i := range pinned {
			pinned[i] = true
		}
	case "mixed":
		mask := s.flavor["hw:cpu_dedicated_mask"]
		if mask == "" {
			mask = s.flavor["hw:cpu_realtime_mask"]
		}
		for _, cpu := range s.cpuList("hw:cpu_dedicated_mask", mask, vcpus) {
			pinned[cpu] = true
		}
	}
	return pinned
}

// split spreads processors and memory over the guest's nodes: as hw:numa_cpus.N
// and hw:numa_mem.N say, and else evenly.
func (s *specReader) split(r *Request, nodes int, dedicated []bool) []guestCell {
	cells := make([]guestCell, nodes)
	owner := make([]int, len(dedicated))
	if s.either("numa_cpus.0")+s.either("numa_mem.0") == "" {
		if len(dedicated)%nodes != 0 || r.Flavor.MemoryMB%nodes != 0 {
			s.fail("%d processors and %d MiB of memory cannot be spread evenly over %d NUMA nodes.", len(dedicated), r.Flavor.MemoryMB, nodes)
			return nil
		}
		for cpu := range owner {
			owner[cpu] = cpu / (len(dedicated) / nodes)
		}
		for i := range cells {
			cells[i].memoryMB = r.Flavor.MemoryMB / nodes
		}
	} else if !s.manual(r, cells, owner) {
		return nil
	}
	for cpu, pinned := range dedicated {
		c := &cells[owner[cpu]]
		if pinned {
			c.dedicated++
			c.pinned = append(c.pinned, cpu)
		} else {
			c.shared++
			c.floating = append(c.floating, cpu)
		}
	}
	return cells
}

func (s *specReader) manual(r *Request, cells []guestCell, owner []int) bool {
	for cpu := range owner {
		owner[cpu] = -1
	}
	memory := 0
	for i := range cells {
		n := strconv.Itoa(i)
		for _, cpu := range s.cpuList("hw:numa_cpus."+n, s.either("numa_cpus."+n), len(owner)) {
			if owner[cpu] >= 0 {
				s.fail("Processor %d is assigned to two NUMA nodes.", cpu)
			}
			owner[cpu] = i
		}
		mb, err := strconv.Atoi(s.either("numa_mem." + n))
		if err != nil || mb < 0 {
			s.fail("NUMA node %d has no memory in hw:numa_mem.%d.", i, i)
		}
		cells[i].memoryMB = mb
		memory += mb
	}
	for cpu, i := range owner {
		if i < 0 {
			s.fail("Processor %d is not assigned to a NUMA node.", cpu)
		}
	}
	if memory != r.Flavor.MemoryMB {
		s.fail("The NUMA nodes have %d MiB of memory, the flavor %d.", memory, r.Flavor.MemoryMB)
	}
	return s.err == nil
}

// cpuList reads "0-3,^2,5" for processors below limit, in order. A list that only
// excludes means all others.
func (s *specReader) cpuList(option, text string, limit int) []int {
	chosen := make([]bool, limit)
	parts := strings.Split(text, ",")
	if strings.HasPrefix(strings.TrimSpace(text), "^") {
		for i := range chosen {
			chosen[i] = true
		}
	}
	for pass, exclude := range []bool{false, true} { // exclusions come last, wherever they stand
		for _, part := range parts {
			body, caret := strings.CutPrefix(strings.TrimSpace(part), "^")
			if caret != exclude {
				continue
			}
			first, last, isRange := strings.Cut(body, "-")
			if !isRange {
				last = first
			}
			from, err1 := strconv.Atoi(strings.TrimSpace(first))
			to, err2 := strconv.Atoi(strings.TrimSpace(last))
			if err1 != nil || err2 != nil || from < 0 || from > to || to >= limit {
				s.fail("%s is %.64q, which is no list of processors from 0 to %d.", option, text, limit-1)
				return nil
			}
			for cpu := from; cpu <= to; cpu++ {
				chosen[cpu] = pass == 0
			}
		}
	}
	var list []int
	for cpu, ok := range chosen {
		if ok {
			list = append(list, cpu)
		}
	}
	return list
}
