package placement

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
)

// Sharing is the trait of providers whose inventory may be used together with
// that of every tree that has a member in one of the provider's aggregates.
const Sharing = "MISC_SHARES_VIA_AGGREGATE"

// customPrefix begins the names that operators make.
const customPrefix = "CUSTOM_"

// StandardClasses are the resource classes that exist in every cloud, in the
// order of the library os-resource-classes 1.1.
var StandardClasses = []string{
	"VCPU", "MEMORY_MB", "DISK_GB", "PCI_DEVICE", "SRIOV_NET_VF", "NUMA_SOCKET", "NUMA_CORE", "NUMA_THREAD",
	"NUMA_MEMORY_MB", "IPV4_ADDRESS", "VGPU", "VGPU_DISPLAY_HEAD", "NET_BW_EGR_KILOBIT_PER_SEC",
	"NET_BW_IGR_KILOBIT_PER_SEC", "PCPU", "MEM_ENCRYPTION_CONTEXT", "FPGA", "PGPU",
	"NET_PACKET_RATE_KILOPACKET_PER_SEC", "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC",
	"NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC",
}

//go:embed traits.txt
var traitsText string

// StandardTraits are the names of the library os-traits as of August 2026,
// sorted; the file traits.txt has one a line.
var StandardTraits = strings.Fields(traitsText)

// IsStandardClass reports whether a resource class exists in every cloud.
func IsStandardClass(name string) bool { return slices.Contains(StandardClasses, name) }

// IsStandardTrait reports whether a trait exists in every cloud.
func IsStandardTrait(name string) bool {
	_, found := slices.BinarySearch(StandardTraits, name)
	return found
}

var customName = regexp.MustCompile(`^CUSTOM_[A-Z0-9_]+$`)

// IsCustomName reports whether name is one that an operator may give to a trait
// or a resource class: CUSTOM_, capital letters, digits, underscores; at most
// 255 characters.
func IsCustomName(name string) bool {
	return len(name) <= 255 && strings.HasPrefix(name, customPrefix) && customName.MatchString(name)
}

// CompareClasses orders resource classes: the standard ones as in
// StandardClasses, then the others by name.
func CompareClasses(a, b string) int {
	rank := func(name string) int {
		if i := slices.Index(StandardClasses, name); i >= 0 {
			return i
		}
		return len(StandardClasses)
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}
