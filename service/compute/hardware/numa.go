package hardware

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kilonova/service/compute"
)

// maxNodes bounds the NUMA nodes of a guest, and maxCPU the numbers of its
// processors, whatever flavor and image say.
const (
	maxNodes = 128
	maxCPU   = 8191
)

var (
	cpuPolicies    = []string{"dedicated", "shared", "mixed"}
	threadPolicies = []string{"prefer", "isolate", "require"}
)

// numa checks processors and memory: pinning, threads, real time, NUMA, pages. It
// returns the topology that is asked for, nil for none.
func (a *asked) numa() *Topology {
	policy, threads := a.cpuPolicy(), a.threadPolicy()
	emulator := a.flavor.ExtraSpecs["hw:emulator_threads_policy"]
	if emulator != "" && emulator != "share" && emulator != "isolate" {
		a.fail("CPU emulator threads option requested is invalid, given: '%.64s', available: share, isolate.", emulator)
	}
	realtime, dedicated := a.realtime(emulator), a.dedicatedMask()
	policy = a.explicitCPUs(policy, emulator)
	threads = a.hyperthreads(threads)
	switch policy {
	case "", "shared":
		switch {
		case threads != "":
			a.fail("Cannot set cpu thread pinning policy in a non dedicated cpu pinning policy.")
		case emulator == "isolate":
			a.fail("An isolated CPU emulator threads option requires a dedicated CPU policy option.")
		case dedicated != nil:
			a.fail("Cannot specify 'hw:cpu_dedicated_mask' without the 'mixed' policy.")
		case realtime != nil:
			a.fail("Cannot set realtime policy in a non dedicated cpu pinning policy.")
		}
	case "dedicated":
		if dedicated != nil {
			a.fail("Cannot specify 'hw:cpu_dedicated_mask' without the 'mixed' policy.")
		}
		dedicated = a.everyCPU()
	default: // mixed
		if (realtime == nil) == (dedicated == nil) {
			a.fail("The 'mixed' CPU policy of flavor %s needs exactly one of 'hw:cpu_dedicated_mask' and 'hw:cpu_realtime_mask'.", a.flavor.Name)
		}
		if dedicated == nil {
			dedicated = realtime
		}
	}
	t := &Topology{Pinned: policy == "dedicated" || policy == "mixed", Threads: threads, IsolateEmulator: emulator == "isolate"}
	nodes, pageKB := a.nodes(), a.pages()
	t.PageKB = pageKB
	a.lockedMemory()
	if (nodes > 0 || pageKB != 0 || t.Pinned || a.flavor.ExtraSpecs["hw:pmem"] != "") && a.countable() {
		t.Cells = a.split(max(nodes, 1), dedicated)
	}
	if len(t.Cells) == 0 || a.err != nil {
		return nil
	}
	return t
}

// countable refuses more processors than are counted one by one, as a topology does.
// Without any, how many a server may have is for quota and hosts to say.
func (a *asked) countable() bool {
	if a.flavor.VCPUs > maxCPU+1 {
		a.fail("Flavor %s has %d processors; a guest with a NUMA topology can have %d.", a.flavor.Name, a.flavor.VCPUs, maxCPU+1)
	}
	return a.flavor.VCPUs <= maxCPU+1
}

// everyCPU is all of the guest's processors.
func (a *asked) everyCPU() map[int]bool {
	if !a.countable() {
		return nil
	}
	cpus := make(map[int]bool, a.flavor.VCPUs)
	for cpu := range a.flavor.VCPUs {
		cpus[cpu] = true
	}
	return cpus
}

// oneOf refuses what flavor or image say if it is none of the words.
func (a *asked) oneOf(what, flavor, image string, words []string) {
	for _, said := range []struct{ where, text string }{{"flavor extra specs", flavor}, {"image properties", image}} {
		if said.text != "" && !slices.Contains(words, said.text) {
			a.fail("%s requested from '%s' is invalid, given: '%.64s', available: %s.", what, said.where, said.text, strings.Join(words, ", "))
		}
	}
}

func (a *asked) cpuPolicy() string {
	flavor, image := a.both("cpu_policy")
	a.oneOf("CPU policy", flavor, image, cpuPolicies)
	if flavor == "mixed" && image == "dedicated" || flavor == "shared" && (image == "mixed" || image == "dedicated") {
		a.fail("Image property 'hw_cpu_policy' is not permitted to override CPU pinning policy set against the flavor.")
	}
	if flavor != "" {
		return flavor
	}
	return image
}

func (a *asked) threadPolicy() string {
	flavor, image := a.both("cpu_thread_policy")
	a.oneOf("CPU thread policy", flavor, image, threadPolicies)
	if flavor == "" {
		return image
	}
	if flavor != "prefer" && image != "" && image != flavor {
		a.fail("Image property 'hw_cpu_thread_policy' is not permitted to override CPU thread pinning policy set against the flavor.")
	}
	return flavor
}

// explicitCPUs reads what the flavor asks of Placement by itself.
func (a *asked) explicitCPUs(policy, emulator string) string {
	vcpus, pcpus := a.resources("VCPU"), a.resources("PCPU")
	switch {
	case vcpus == 0 && pcpus == 0:
		return policy
	case policy != "":
		a.fail("It is not possible to use the 'resources:VCPU' or 'resources:PCPU' extra specs in combination with the 'hw:cpu_policy' extra spec or 'hw_cpu_policy' image metadata property; use one or the other.")
	case vcpus > 0 && pcpus > 0:
		a.fail("It is not possible to specify both 'resources:VCPU' and 'resources:PCPU' extra specs; use one or the other.")
	case pcpus > 0:
		want := a.flavor.VCPUs
		if emulator == "isolate" {
			want++
		}
		if pcpus != want {
			a.fail("Flavor %s asks for %d PCPU by its extra specs, and its guest needs exactly %d.", a.flavor.Name, pcpus, want)
		}
		return "dedicated"
	}
	return "shared"
}

// resources sums up resources:CLASS over all groups. An amount that is none asks for
// nothing, as in the question to Placement.
func (a *asked) resources(class string) int {
	sum := 0
	for name, text := range a.flavor.ExtraSpecs {
		group, c, _ := strings.Cut(name, ":")
		if n, err := strconv.Atoi(text); c == class && strings.HasPrefix(group, "resources") && err == nil && n > 0 {
			sum += n
		}
	}
	return sum
}

// hyperthreads reads the trait that says the same as a thread policy.
func (a *asked) hyperthreads(threads string) string {
	trait := ""
	for name, text := range a.flavor.ExtraSpecs {
		if group, t, _ := strings.Cut(name, ":"); t == "HW_CPU_HYPERTHREADING" && strings.HasPrefix(group, "trait") {
			trait = text
		}
	}
	if trait == "" {
		trait = a.image.Properties["trait:HW_CPU_HYPERTHREADING"]
	}
	if trait != "" && threads != "" {
		a.fail("It is not possible to use the 'trait:HW_CPU_HYPERTHREADING' extra spec in combination with the 'hw:cpu_thread_policy' extra spec or 'hw_cpu_thread_policy' image metadata property; use one or the other.")
	}
	switch trait {
	case "forbidden":
		return "isolate"
	case "required":
		return "require"
	}
	return threads
}

// mask reads a list of the guest's processors; one that begins with an exclusion
// means all others.
func (a *asked) mask(where, text string) map[int]bool {
	if strings.HasPrefix(strings.TrimSpace(text), "^") {
		text = fmt.Sprintf("0-%d,%s", a.flavor.VCPUs-1, text)
	}
	cpus, err := parseCPUs(text)
	if err != nil {
		a.fail("%s: %v", where, err)
	}
	for cpu := range cpus {
		if cpu >= a.flavor.VCPUs {
			a.fail("%s names processor %d, and the guest has %d.", where, cpu, a.flavor.VCPUs)
			break
		}
	}
	return cpus
}

// realtime returns the processors that run in real time, nil for none.
func (a *asked) realtime(emulator string) map[int]bool {
	if !compute.Yes(a.flavor.ExtraSpecs["hw:cpu_realtime"]) {
		return nil
	}
	text, image := a.both("cpu_realtime_mask")
	if image != "" {
		text = image
	}
	cpus := a.everyCPU()
	if text != "" {
		cpus = a.mask("The realtime mask", text)
	}
	if len(cpus) == 0 || len(cpus) >= a.flavor.VCPUs && emulator == "" {
		a.fail("Use of realtime CPUs requires either one or more non-realtime CPU(s) or offloaded emulator threads.")
	}
	return cpus
}

func (a *asked) dedicatedMask() map[int]bool {
	text := a.flavor.ExtraSpecs["hw:cpu_dedicated_mask"]
	if text == "" {
		return nil
	}
	cpus := a.mask("hw:cpu_dedicated_mask", text)
	if len(cpus) == 0 || len(cpus) >= a.flavor.VCPUs {
		a.fail("Mixed instance must have at least 1 pinned vCPU and 1 unpinned vCPU. See 'hw:cpu_dedicated_mask'.")
	}
	return cpus
}

// oneSided is for settings of NUMA that the image may have only if the flavor has
// none.
func (a *asked) oneSided(key string) string {
	flavor, image := a.both(key)
	if flavor != "" && image != "" {
		a.fail("Image property 'hw_%s' is not permitted to override NUMA configuration set against the flavor.", key)
	}
	if flavor != "" {
		return flavor
	}
	return image
}

func (a *asked) nodes() int {
	text := a.oneSided("numa_nodes")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > maxNodes {
		a.fail("The property 'numa_nodes' cannot be '%.64s'. It must be a number from 1 to %d.", text, maxNodes)
		return 1
	}
	return n
}

// pages returns the size of memory pages that is asked for, 0 for none. The image may
// choose where the flavor says "any" or "large".
func (a *asked) pages() int {
	flavor, image := a.both("mem_page_size")
	if flavor == "" {
		if image != "" {
			a.fail("Page size %.64s of image %s is forbidden: flavor %s has no hw:mem_page_size.", image, a.image.Name, a.flavor.Name)
		}
		return 0
	}
	size := a.pageSize(flavor)
	if image == "" {
		return size
	}
	if size != AnyPages && size != LargePages {
		a.fail("Page size %.64s forbidden against '%.64s'.", image, flavor)
	}
	return a.pageSize(image)
}

func (a *asked) pageSize(text string) int {
	size, ok := parsePageSize(text)
	if !ok {
		a.fail("Invalid memory page size '%.64s'.", text)
	}
	return size
}

func (a *asked) lockedMemory() {
	flavor, image := a.both("mem_page_size")
	if a.sameTruth("locked_memory") && flavor == "" && image == "" {
		a.fail("locked_memory value in image or flavor is forbidden when mem_page_size is not set.")
	}
}

// split spreads processors and memory over the guest's nodes: as hw:numa_cpus.N and
// hw:numa_mem.N say, and else evenly. Those in dedicated are pinned.
func (a *asked) split(nodes int, dedicated map[int]bool) []Cell {
	cpus, memory := a.perNode("numa_cpus."), a.perNode("numa_mem.")
	if len(cpus) == 0 && len(memory) == 0 {
		return a.splitEvenly(nodes, dedicated)
	}
	if len(cpus) != nodes || len(memory) != nodes {
		a.fail("CPU and memory allocation must be provided for all NUMA nodes: there are %d.", nodes)
		return nil
	}
	owned, total := map[int]bool{}, 0
	cells := make([]Cell, nodes)
	for node := range cells {
		list, err := parseCPUs(cpus[node])
		if err != nil {
			a.fail("Processors of NUMA node %d: %v", node, err)
		}
		for _, cpu := range slices.Sorted(maps.Keys(list)) {
			if cpu >= a.flavor.VCPUs {
				a.fail("CPU number %d is larger than max %d.", cpu, a.flavor.VCPUs-1)
			}
			if owned[cpu] {
				a.fail("CPU number %d is assigned to two nodes.", cpu)
			}
			owned[cpu] = true
			cells[node].add(cpu, dedicated[cpu])
		}
		mb := a.number(fmt.Sprintf("Memory of NUMA node %d", node), memory[node])
		if mb < 0 {
			a.fail("Memory of NUMA node %d is %d MB.", node, mb)
		}
		cells[node].MemoryMB = mb
		total += mb
	}
	if len(owned) < a.flavor.VCPUs {
		a.fail("%d of the %d processors are not assigned to any node.", a.flavor.VCPUs-len(owned), a.flavor.VCPUs)
	}
	if total != a.flavor.MemoryMB {
		a.fail("%d MB of memory assigned, but expected %d MB.", total, a.flavor.MemoryMB)
	}
	return cells
}

func (a *asked) splitEvenly(nodes int, dedicated map[int]bool) []Cell {
	if a.flavor.VCPUs%nodes != 0 || a.flavor.MemoryMB%nodes != 0 {
		a.fail("Instance CPUs and/or memory cannot be evenly distributed across instance NUMA nodes. Explicit assignment of CPUs and memory to nodes is required: flavor %s has %d processors, %d MB and %d nodes.",
			a.flavor.Name, a.flavor.VCPUs, a.flavor.MemoryMB, nodes)
		return nil
	}
	cells := make([]Cell, nodes)
	for node := range cells {
		cells[node].MemoryMB = a.flavor.MemoryMB / nodes
	}
	for cpu := range a.flavor.VCPUs {
		cells[cpu/(a.flavor.VCPUs/nodes)].add(cpu, dedicated[cpu])
	}
	return cells
}

// perNode reads key0, key1, ... up to the first that is missing, of the flavor or
// of the image.
func (a *asked) perNode(key string) []string {
	read := func(all map[string]string, prefix string) (list []string) {
		for node := range maxNodes {
			text, ok := all[prefix+key+strconv.Itoa(node)]
			if !ok {
				break
			}
			list = append(list, text)
		}
		return list
	}
	flavor, image := read(a.flavor.ExtraSpecs, "hw:"), read(a.image.Properties, "hw_")
	if len(flavor) > 0 && len(image) > 0 {
		a.fail("Image property 'hw_%s0' is not permitted to override NUMA configuration set against the flavor.", key)
	}
	if len(flavor) > 0 {
		return flavor
	}
	return image
}

// parseCPUs reads "1-4,^3,6".
func parseCPUs(text string) (map[int]bool, error) {
	cpus, excluded := map[int]bool{}, map[int]bool{}
	for rule := range strings.SplitSeq(text, ",") {
		if rule = strings.TrimSpace(rule); rule == "" {
			continue
		}
		body, exclude := strings.CutPrefix(rule, "^")
		first, last, isRange := strings.Cut(body, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(strings.TrimSpace(first))
		to, err2 := strconv.Atoi(strings.TrimSpace(last))
		if err1 != nil || err2 != nil || from > to || from < 0 || to > maxCPU {
			return nil, fmt.Errorf("%.64q is no list of processors from 0 to %d", rule, maxCPU)
		}
		into := cpus
		if exclude {
			into = excluded
		}
		for cpu := from; cpu <= to; cpu++ {
			into[cpu] = true
		}
	}
	for cpu := range excluded {
		delete(cpus, cpu)
	}
	return cpus, nil
}
