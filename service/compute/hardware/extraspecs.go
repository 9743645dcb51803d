package hardware

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"

	"kilonova/internal/fault"
)

// spec is an extra spec that is known. {num}, {key}, {group}, {filter}, {resource}
// and {trait} in its name stand for what parameters has for them.
type spec struct {
	name  string
	value value
}

var parameters = strings.NewReplacer(`{num}`, `\d+`, `{key}`, `.+`, `{group}`, `(?:[a-zA-Z0-9_-]{1,64})?`, `{filter}`, `(?::\w+)*`,
	`{resource}`, `[A-Z0-9_]+`, `{trait}`, `[A-Z0-9_]+`)

// cpuMask is the form of a list of processors, some of them excluded.
const cpuMask = `\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*`

var cpuSpecs = []spec{
	{"hw:cpu_realtime", truth},
	{"hw:cpu_realtime_mask", pattern(cpuMask)},
	{"hw:hide_hypervisor_id", truth},
	{"hw:cpu_policy", enum("dedicated", "shared", "mixed")},
	{"hw:cpu_thread_policy", enum("prefer", "isolate", "require")},
	{"hw:emulator_threads_policy", enum("isolate", "share")},
	{"hw:cpu_dedicated_mask", pattern(cpuMask)},
	{"hw:cpu_sockets", atLeast(1)},
	{"hw:cpu_cores", atLeast(1)},
	{"hw:cpu_threads", atLeast(1)},
	{"hw:max_cpu_sockets", atLeast(1)}, // these three under both their names
	{"hw:max_cpu_cores", atLeast(1)},
	{"hw:max_cpu_threads", atLeast(1)},
	{"hw:cpu_max_sockets", atLeast(1)},
	{"hw:cpu_max_cores", atLeast(1)},
	{"hw:cpu_max_threads", atLeast(1)},
	{"hw:maxphysaddr_mode", enum("passthrough", "emulate")},
	{"hw:maxphysaddr_bits", atLeast(0)},
}

var memorySpecs = []spec{
	{"hw:mem_page_size", pattern(`(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)`)},
	{"hw:locked_memory", truth},
	{"hw:mem_encryption", truth},
	{"hw:mem_encryption_model", memoryEncryptions},
	{"hw:pmem", pattern(`([a-zA-Z0-9_]+(,)?)+`)},
	{"hw:numa_nodes", atLeast(1)},
	{"hw:numa_cpus.{num}", pattern(cpuMask)},
	{"hw:numa_mem.{num}", atLeast(1)},
	{"hw:pci_numa_affinity_policy", enum("required", "preferred", "legacy", "socket")},
}

var deviceSpecs = []spec{
	{"hw:boot_menu", truth},
	{"hw:vif_multiqueue_enabled", truth},
	{"hw:virtio_packed_ring", truth},
	{"hw:pmu", truth},
	{"hw:serial_port_count", atLeast(0)},
	{"hw:tpm_model", enum("tpm-tis", "tpm-crb")},
	{"hw:tpm_version", enum("1.2", "2.0")},
	{"hw:tpm_secret_security", enum("user", "host", "deployment")},
	{"hw:watchdog_action", enum("none", "pause", "poweroff", "reset", "disabled")},
	{"hw:viommu_model", enum("intel", "smmuv3", "virtio", "auto")},
	{"hw:ephemeral_encryption", truth},
	{"hw:ephemeral_encryption_format", enum("plain", "luks", "luksv2")},
	{"hw:sound_model", enum(soundModels...)},
	{"hw:usb_model", enum(usbModels...)},
	{"hw:redirected_usb_ports", between(0, 15)},
	{"hw_rng:allowed", truth},
	{"hw_rng:rate_bytes", atLeast(0)},
	{"hw_rng:rate_period", atLeast(0)},
	{"hw_video:ram_max_mb", atLeast(0)},
	{"accel:device_profile", anything},
	{"pci_passthrough:alias", pattern(`[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*`)},
}

var otherSpecs = []spec{
	{"hide_hypervisor_id", truth},
	{"group_policy", enum("isolate", "none")},
	{"os:secure_boot", enum("disabled", "required")},
	{"os:resolution", enum("1024x768", "1280x1024", "1600x1200", "1920x1200", "2560x1600", "3840x2160")},
	{"os:monitors", between(1, 8)},
	{"os:vram", enum("64", "128", "256", "512", "1024")},
	{"vmware:hw_version", anything},
	{"vmware:storage_policy", anything},
	{"aggregate_instance_extra_specs:{key}", anything},
	{"resources{group}:CUSTOM_{resource}", whole},
	{"trait{group}:CUSTOM_{trait}", required},
	{"quota:cpu_shares", atLeast(0)},
	{"quota:cpu_period", atLeast(0)},
	{"quota:cpu_quota", whole},
}

var required = enum("required", "forbidden")

// capabilities are what capabilities:NAME may ask of a host; the second list's
// may be followed by a path of keys.
var (
	capabilities = []string{"id", "uuid", "service_id", "host", "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used",
		"hypervisor_type", "hypervisor_version", "hypervisor_hostname", "free_ram_mb", "free_disk_gb", "current_workload", "running_vms",
		"disk_available_least", "host_ip", "mapped", "cpu_allocation_ratio", "ram_allocation_ratio", "disk_allocation_ratio", "total_usable_ram_mb",
		"total_usable_disk_gb", "disk_mb_used", "free_disk_mb", "vcpus_total", "num_instances", "num_io_ops", "failed_builds", "aggregates", "cell_uuid", "updated"}
	deepCapabilities = []string{"cpu_info", "metrics", "stats", "numa_topology", "supported_hv_specs", "pci_device_pools", "nodename", "pci_stats",
		"supported_instances", "limits", "instances"}
)

// resourceClasses are the standard ones (os-resource-classes).
var resourceClasses = []string{"VCPU", "MEMORY_MB", "DISK_GB", "PCI_DEVICE", "SRIOV_NET_VF", "NUMA_SOCKET", "NUMA_CORE", "NUMA_THREAD", "NUMA_MEMORY_MB",
	"IPV4_ADDRESS", "VGPU", "VGPU_DISPLAY_HEAD", "NET_BW_EGR_KILOBIT_PER_SEC", "NET_BW_IGR_KILOBIT_PER_SEC", "PCPU", "MEM_ENCRYPTION_CONTEXT", "FPGA", "PGPU",
	"NET_PACKET_RATE_KILOPACKET_PER_SEC", "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC", "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC"}

// standardTraits are os-traits' names, one a line.
//
//go:embed traits.txt
var standardTraits string

var standard = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{}
	for _, name := range strings.Fields(standardTraits) {
		all[name] = true
	}
	return all
})

// IsStandardTrait reports whether a trait is one of os-traits'.
func IsStandardTrait(name string) bool { return standard()[name] }

func generatedSpecs() []spec {
	var all []spec
	for _, c := range capabilities {
		all = append(all, spec{"capabilities:" + c, anything})
	}
	for _, c := range deepCapabilities {
		all = append(all, spec{"capabilities:" + c + "{filter}", anything})
	}
	for _, what := range []string{"cpu", "memory", "disk_io", "vif"} {
		all = append(all, spec{"quota:" + what + "_limit", atLeast(0)}, spec{"quota:" + what + "_reservation", whole},
			spec{"quota:" + what + "_shares_level", enum("custom", "high", "normal", "low")}, spec{"quota:" + what + "_shares_share", atLeast(0)})
	}
	for _, verb := range []string{"read", "write", "total"} {
		all = append(all, spec{"quota:disk_" + verb + "_bytes_sec", atLeast(0)}, spec{"quota:disk_" + verb + "_iops_sec", atLeast(0)})
	}
	for _, way := range []string{"inbound", "outbound"} {
		for _, what := range []string{"average", "peak", "burst"} {
			all = append(all, spec{"quota:vif_" + way + "_" + what, atLeast(0)})
		}
	}
	for _, class := range resourceClasses {
		all = append(all, spec{"resources{group}:" + class, whole})
	}
	return all
}

// known is the table as it is searched: names without parameters, the others as
// patterns, and the namespaces in which nothing else may stand.
type known struct {
	plain      map[string]value
	patterns   []namePattern
	namespaces []*regexp.Regexp
}

type namePattern struct {
	name  *regexp.Regexp
	value value
}

var knownSpecs = sync.OnceValue(func() *known {
	k := &known{plain: map[string]value{}}
	seen := map[string]bool{}
	for _, s := range slices.Concat(cpuSpecs, memorySpecs, deviceSpecs, otherSpecs, generatedSpecs()) {
		if strings.Contains(s.name, "{") {
			k.patterns = append(k.patterns, namePattern{nameExpr(s.name), s.value})
		} else {
			k.plain[s.name] = s.value
		}
		if namespace, _, ok := strings.Cut(s.name, ":"); ok && !seen[namespace] {
			seen[namespace] = true
			k.namespaces = append(k.namespaces, nameExpr(namespace))
		}
	}
	k.patterns = append(k.patterns, namePattern{nameExpr(`trait{group}:(?:` + strings.Join(strings.Fields(standardTraits), "|") + `)`), required})
	return k
})

func nameExpr(name string) *regexp.Regexp {
	return regexp.MustCompile(`^` + parameters.Replace(name) + `$`)
}

// CheckExtraSpec refuses an extra spec that is known and has a wrong value, and an
// unknown name in a namespace that is known. What is neither is the operator's own.
func CheckExtraSpec(name, text string) error {
	k := knownSpecs()
	if check, ok := k.plain[name]; ok {
		return refused(name, check(text))
	}
	for _, p := range k.patterns {
		if p.name.MatchString(name) {
			return refused(name, p.value(text))
		}
	}
	namespace, _, ok := strings.Cut(name, ":")
	if !ok || !slices.ContainsFunc(k.namespaces, func(n *regexp.Regexp) bool { return n.MatchString(namespace) }) {
		return nil
	}
	return fault.Invalidf("Validation failed; extra spec '%.255s' does not appear to be a valid extra spec.", name)
}

func refused(name, why string) error {
	if why == "" {
		return nil
	}
	return fault.Invalidf("Validation failed; extra spec %s: %s", name, why)
}
