package schedule

import (
	"strings"
	"testing"

	"kilonova/internal/fault"
)

// verdict is one filter asked about one host.
type verdict struct {
	filter  string
	name    string
	host    Host
	request Request
	options func(o *Options)
	why     string // part of the refusal; "" the host passes
}

func specs(pairs ...string) Flavor {
	f := Flavor{Name: "m1", VCPUs: 4, MemoryMB: 4096, RootGB: 10, EphemeralGB: 5, SwapMB: 512, ExtraSpecs: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		f.ExtraSpecs[pairs[i]] = pairs[i+1]
	}
	return f
}

func image(pairs ...string) Image {
	i := Image{ID: "img", Properties: map[string]string{}}
	for k := 0; k < len(pairs); k += 2 {
		i.Properties[pairs[k]] = pairs[k+1]
	}
	return i
}

var kvm = [][3]string{{"i686", "kvm", "hvm"}, {"x86_64", "kvm", "hvm"}}

func ptr(n int) *int { return &n }

var verdicts = []verdict{
	{filter: "AllHostsFilter", name: "anything", host: Host{}},

	{filter: "ComputeFilter", name: "up", host: Host{Up: true}},
	{filter: "ComputeFilter", name: "down", host: Host{}, why: "down"},
	{filter: "ComputeFilter", name: "forced down", host: Host{Up: true, ForcedDown: true}, why: "forced down"},
	{filter: "ComputeFilter", name: "disabled", host: Host{Up: true, Disabled: true, DisabledReason: "new RAM"}, why: "disabled: new RAM"},

	{filter: "RetryFilter", name: "new", host: Host{Name: "h", Node: "n"}, request: Request{Tried: []Place{{"h", "m"}, {"g", ""}}}},
	{filter: "RetryFilter", name: "node", host: Host{Name: "h", Node: "n"}, request: Request{Tried: []Place{{"h", "n"}}}, why: "tried"},
	{filter: "RetryFilter", name: "host", host: Host{Name: "h", Node: "n"}, request: Request{Tried: []Place{{"h", ""}}}, why: "tried"},

	{filter: "AvailabilityZoneFilter", name: "any", host: Host{Zone: "a"}},
	{filter: "AvailabilityZoneFilter", name: "same", host: Host{Zone: "a"}, request: Request{Zone: "a"}},
	{filter: "AvailabilityZoneFilter", name: "other", host: Host{Zone: "a"}, request: Request{Zone: "b"}, why: "zone a, not b"},

	{filter: "TrustedFilter", name: "not asked for", host: Host{}, request: Request{Flavor: specs()}},
	{filter: "TrustedFilter", name: "trusted", host: Host{Trust: "trusted"}, request: Request{Flavor: specs("trust:trusted_host", "trusted")}},
	{filter: "TrustedFilter", name: "untrusted is asked for", host: Host{Trust: "untrusted"}, request: Request{Flavor: specs("trust:trusted_host", "untrusted")}},
	{filter: "TrustedFilter", name: "untrusted", host: Host{Trust: "untrusted"}, request: Request{Flavor: specs("trust:trusted_host", "trusted")}, why: `as "untrusted", not "trusted"`},
	{filter: "TrustedFilter", name: "unknown", host: Host{}, request: Request{Flavor: specs("trust:trusted_host", "trusted")}, why: "not attested"},
	{filter: "TypeAffinityFilter", name: "same", host: Host{Flavors: map[string]int{"m1": 2, "m2": 0}}, request: Request{Flavor: specs()}},
	{filter: "TypeAffinityFilter", name: "other", host: Host{Flavors: map[string]int{"m2": 1}}, request: Request{Flavor: specs()}, why: "another flavor"},

	{filter: "IsolatedHostsFilter", name: "nothing isolated", host: Host{Name: "h"}, request: Request{Image: image()}},
	{filter: "IsolatedHostsFilter", name: "both", host: Host{Name: "h"}, request: Request{Image: image()}, options: isolate("h", "img", true)},
	{filter: "IsolatedHostsFilter", name: "image only", host: Host{Name: "g"}, request: Request{Image: image()}, options: isolate("h", "img", false), why: "not among"},
	{filter: "IsolatedHostsFilter", name: "host only, restricted", host: Host{Name: "h"}, request: Request{Image: image()}, options: isolate("h", "x", true), why: "reserved"},
	{filter: "IsolatedHostsFilter", name: "host only, open", host: Host{Name: "h"}, request: Request{Image: image()}, options: isolate("h", "x", false)},
	{filter: "IsolatedHostsFilter", name: "no image", host: Host{Name: "h"}, options: isolate("h", "img", true), why: "reserved"},

	{filter: "SameHostFilter", name: "no hint", host: Host{Name: "h"}},
	{filter: "SameHostFilter", name: "there", host: Host{Name: "h"}, request: Request{Hints: Hints{SameHost: []string{"a", "b"}}, Located: map[string]string{"b": "h"}}},
	{filter: "SameHostFilter", name: "elsewhere", host: Host{Name: "g"}, request: Request{Hints: Hints{SameHost: []string{"b"}}, Located: map[string]string{"b": "h"}}, why: "without any"},
	{filter: "SameHostFilter", name: "nowhere", host: Host{Name: "g"}, request: Request{Hints: Hints{SameHost: []string{"b"}}}, why: "without any"},
	{filter: "DifferentHostFilter", name: "elsewhere", host: Host{Name: "g"}, request: Request{Hints: Hints{DifferentHost: []string{"b"}}, Located: map[string]string{"b": "h"}}},
	{filter: "DifferentHostFilter", name: "nowhere", host: Host{Name: "g"}, request: Request{Hints: Hints{DifferentHost: []string{"b"}}}},
	{filter: "DifferentHostFilter", name: "there", host: Host{Name: "h"}, request: Request{Hints: Hints{DifferentHost: []string{"b"}}, Located: map[string]string{"b": "h"}}, why: "different_host"},
	{filter: "SimpleCIDRAffinityFilter", name: "no hint", host: Host{}},
	{filter: "SimpleCIDRAffinityFilter", name: "/24", host: Host{IP: "10.0.0.200"}, request: Request{Hints: Hints{BuildNearHostIP: "10.0.0.1"}}},
	{filter: "SimpleCIDRAffinityFilter", name: "/25", host: Host{IP: "10.0.0.200"}, request: Request{Hints: Hints{BuildNearHostIP: "10.0.0.1", CIDR: "/25"}}, why: "outside 10.0.0.0/25"},
	{filter: "SimpleCIDRAffinityFilter", name: "IPv6", host: Host{IP: "2001:db8::9"}, request: Request{Hints: Hints{BuildNearHostIP: "2001:db8::1", CIDR: "64"}}},
	{filter: "SimpleCIDRAffinityFilter", name: "mask", host: Host{IP: "10.0.0.200"}, request: Request{Hints: Hints{BuildNearHostIP: "10.0.0.1", CIDR: "/255.255.255.128"}}, why: "outside 10.0.0.0/25"},
	{filter: "SimpleCIDRAffinityFilter", name: "mask of hosts", host: Host{IP: "10.0.1.200"}, request: Request{Hints: Hints{BuildNearHostIP: "10.0.0.1", CIDR: "/0.0.1.255"}}},
	{filter: "SimpleCIDRAffinityFilter", name: "no mask at all", host: Host{IP: "192.0.2.1"}, request: Request{Hints: Hints{BuildNearHostIP: "10.0.0.1", CIDR: "/0.0.0.0"}}},
	{filter: "SimpleCIDRAffinityFilter", name: "no address", host: Host{}, request: Request{Hints: Hints{BuildNearHostIP: "10.0.0.1"}}, why: "outside"},

	{filter: "ServerGroupAntiAffinityFilter", name: "no group", host: Host{Name: "h"}},
	{filter: "ServerGroupAntiAffinityFilter", name: "free", host: Host{Name: "g"}, request: group(AntiAffinity, 0, "h")},
	{filter: "ServerGroupAntiAffinityFilter", name: "taken", host: Host{Name: "h"}, request: group(AntiAffinity, 0, "h"), why: "has 1 server of server group gr, which allows 1"},
	{filter: "ServerGroupAntiAffinityFilter", name: "two allowed", host: Host{Name: "h"}, request: group(AntiAffinity, 2, "h")},
	{filter: "ServerGroupAntiAffinityFilter", name: "two there", host: Host{Name: "h"}, request: group(AntiAffinity, 2, "h", "h"), why: "allows 2"},
	{filter: "ServerGroupAntiAffinityFilter", name: "other policy", host: Host{Name: "h"}, request: group(SoftAntiAffinity, 0, "h")},
	{filter: "ServerGroupAntiAffinityFilter", name: "itself", host: Host{Name: "h"}, request: itself(group(AntiAffinity, 0, "h"))},
	{filter: "ServerGroupAffinityFilter", name: "no group", host: Host{Name: "h"}},
	{filter: "ServerGroupAffinityFilter", name: "first", host: Host{Name: "h"}, request: group(Affinity, 0)},
	{filter: "ServerGroupAffinityFilter", name: "together", host: Host{Name: "h"}, request: group(Affinity, 0, "h")},
	{filter: "ServerGroupAffinityFilter", name: "apart", host: Host{Name: "g"}, request: group(Affinity, 0, "h"), why: "not the host"},
	{filter: "ServerGroupAffinityFilter", name: "itself", host: Host{Name: "g"}, request: itself(group(Affinity, 0, "h"))},

	{filter: "ImagePropertiesFilter", name: "no wishes", host: Host{}, request: Request{Image: image("os_distro", "debian")}},
	{filter: "ImagePropertiesFilter", name: "all met", host: Host{Supported: kvm}, request: Request{Image: image("hw_architecture", "AMD64", "img_hv_type", "kvm", "hw_vm_mode", "hvm")}},
	{filter: "ImagePropertiesFilter", name: "legacy names", host: Host{Supported: kvm}, request: Request{Image: image("architecture", "i386", "hypervisor_type", "kvm", "vm_mode", "hv")}},
	{filter: "ImagePropertiesFilter", name: "architecture", host: Host{Supported: kvm}, request: Request{Image: image("hw_architecture", "aarch64")}, why: "the image wants aarch64"},
	{filter: "ImagePropertiesFilter", name: "default architecture", host: Host{Supported: kvm}, options: func(o *Options) { o.Filter.DefaultArchitecture = "aarch64" }, why: "aarch64"},
	{filter: "ImagePropertiesFilter", name: "type", host: Host{Supported: kvm}, request: Request{Image: image("img_hv_type", "lxc")}, why: "lxc"},
	{filter: "ImagePropertiesFilter", name: "mode is not type", host: Host{Supported: [][3]string{{"x86_64", "xen", "hvm"}}}, request: Request{Image: image("hw_vm_mode", "xen")}, why: "wants xen"},
	{filter: "ImagePropertiesFilter", name: "nothing advertised", host: Host{}, request: Request{Image: image("hw_vm_mode", "hvm")}, why: "supports []"},
	{filter: "ImagePropertiesFilter", name: "version met", host: Host{Supported: kvm, HypervisorVersion: 7002022}, request: Request{Image: image("hw_vm_mode", "hvm", "img_hv_requested_version", ">=6.0, <7.3,!=7.2.21")}},
	{filter: "ImagePropertiesFilter", name: "version missed", host: Host{Supported: kvm, HypervisorVersion: 5002000}, request: Request{Image: image("hw_vm_mode", "hvm", "img_hv_requested_version", ">=6.0")}, why: "another hypervisor version"},
	{filter: "ImagePropertiesFilter", name: "address bits", host: Host{Supported: kvm, CPUInfo: map[string]any{"maxphysaddr": map[string]any{"bits": 40.0}}}, request: Request{Image: image("hw_vm_mode", "hvm", "hw_maxphysaddr_bits", "42")}, why: "too few address bits"},
	{filter: "ImagePropertiesFilter", name: "address bits unknown", host: Host{Supported: kvm}, request: Request{Image: image("hw_vm_mode", "hvm", "hw_maxphysaddr_bits", "42")}},

	{filter: "ComputeCapabilitiesFilter", name: "no specs", host: Host{}},
	{filter: "ComputeCapabilitiesFilter", name: "other scopes", host: Host{}, request: Request{Flavor: specs("hw:cpu_sockets", "2", "unknown", "x")}},
	{filter: "ComputeCapabilitiesFilter", name: "met", host: Host{CPUInfo: map[string]any{"vendor": "AMD", "topology": map[string]any{"cores": 8.0}, "features": []any{"avx", "avx2"}}},
		request: Request{Flavor: specs("capabilities:cpu_info:vendor", "<or> Intel <or> AMD", "capabilities:cpu_info:topology:cores", ">= 8", "capabilities:cpu_info:features", "<in> 'avx'")}},
	{filter: "ComputeCapabilitiesFilter", name: "missed", host: Host{CPUInfo: map[string]any{"vendor": "AMD"}}, request: Request{Flavor: specs("capabilities:cpu_info:vendor", "Intel")}, why: "wants Intel, the host has AMD"},
	{filter: "ComputeCapabilitiesFilter", name: "absent", host: Host{}, request: Request{Flavor: specs("capabilities:gpu", "1")}, why: "the host has None"},
	{filter: "ComputeCapabilitiesFilter", name: "stat", host: Host{Stats: map[string]string{"gpu": "2"}}, request: Request{Flavor: specs("capabilities:gpu", "= 1")}},
	{filter: "ComputeCapabilitiesFilter", name: "no scope, known", host: Host{HypervisorType: "QEMU"}, request: Request{Flavor: specs("hypervisor_type", "s== ironic")}, why: "has QEMU"},
	{filter: "ComputeCapabilitiesFilter", name: "address bits", host: Host{CPUInfo: map[string]any{"maxphysaddr": map[string]any{"bits": 46.0}}}, request: Request{Flavor: specs("hw:maxphysaddr_bits", "46")}},

	{filter: "JsonFilter", name: "no query", host: Host{}},
	{filter: "JsonFilter", name: "met", host: Host{Name: "a", MemoryMB: Resource{Total: 2048}, CPUInfo: map[string]any{"arch": "x86_64"}},
		request: query(`["and", [">=", "$free_ram_mb", 1024], ["=", "$cpu_info.arch", "x86_64"], ["in", "$host", "a", "b"], ["not", ["<", "$vcpus_total", 0]]]`)},
	{filter: "JsonFilter", name: "missed", host: Host{MemoryMB: Resource{Total: 512}}, request: query(`[">=", "$free_ram_mb", 1024]`), why: "query"},
	{filter: "JsonFilter", name: "or", host: Host{Disabled: true}, request: query(`["or", ["=", "$service.disabled", true], [">", "$vcpus_total", 4]]`)},
	{filter: "JsonFilter", name: "truth is one", host: Host{Disabled: true}, request: query(`["=", "$service.disabled", 1]`)},
	{filter: "JsonFilter", name: "unknown processor", host: Host{}, request: query(`["=", "$cpu_info", "$nothing"]`), why: "query"},
	{filter: "JsonFilter", name: "unknown fact", host: Host{}, request: query(`["=", "$nothing", 1]`), why: "query"},
	{filter: "JsonFilter", name: "text with number", host: Host{Name: "a"}, request: query(`["<", "$host", 1]`), why: "query"},
	{filter: "JsonFilter", name: "negated in and", host: Host{Name: "a"}, request: query(`["and", ["not", ["=", "$host", "a"]]]`), why: "query"},

	{filter: "MetricsFilter", name: "none wanted", host: Host{}},
	{filter: "MetricsFilter", name: "there", host: Host{Metrics: map[string]float64{"cpu": 0}}, options: func(o *Options) { o.Metrics.Setting = []string{"cpu=1.0"} }},
	{filter: "MetricsFilter", name: "missing", host: Host{}, options: func(o *Options) { o.Metrics.Setting = []string{"cpu=1.0"} }, why: "metric cpu"},

	{filter: "PciPassthroughFilter", name: "none wanted", host: Host{}},
	{filter: "PciPassthroughFilter", name: "no devices", host: Host{}, request: Request{PCI: []PCIRequest{{Alias: "gpu", Count: 1, Alternatives: []map[string]string{{}}}}}, why: "gpu"},
	{filter: "PciPassthroughFilter", name: "enough in two pools", host: Host{PCI: pools()}, request: Request{PCI: []PCIRequest{{Alias: "gpu", Count: 3, Alternatives: []map[string]string{{"vendor_id": "10de"}}}}}},
	{filter: "PciPassthroughFilter", name: "too few", host: Host{PCI: pools()}, request: Request{PCI: []PCIRequest{{Alias: "gpu", Count: 4, Alternatives: []map[string]string{{"vendor_id": "10de"}}}}}, why: "4 of gpu"},
	{filter: "PciPassthroughFilter", name: "shared by two requests", host: Host{PCI: pools()},
		request: Request{PCI: []PCIRequest{{Alias: "a", Count: 2, Alternatives: []map[string]string{{"vendor_id": "10de"}}}, {Alias: "b", Count: 2, Alternatives: []map[string]string{{"product_id": "2"}}}}}, why: "2 of b"},
	{filter: "PciPassthroughFilter", name: "alternative", host: Host{PCI: pools()}, request: Request{PCI: []PCIRequest{{Alias: "a", Count: 1, Alternatives: []map[string]string{{"vendor_id": "8086"}, {"product_id": "1"}}}}}},

	{filter: "AggregateMultiTenancyIsolation", name: "open", host: Host{Aggregates: aggregate("ssd", "true")}, request: Request{ProjectID: "p"}},
	{filter: "AggregateMultiTenancyIsolation", name: "mine", host: Host{Aggregates: aggregate("filter_tenant_id", "q, r", "filter_tenant_id2", "p")}, request: Request{ProjectID: "p"}},
	{filter: "AggregateMultiTenancyIsolation", name: "theirs", host: Host{Aggregates: aggregate("filter_tenant_id", "q,pp")}, request: Request{ProjectID: "p"}, why: "other projects"},
	{filter: "AggregateTypeAffinityFilter", name: "open", host: Host{}, request: Request{Flavor: specs()}},
	{filter: "AggregateTypeAffinityFilter", name: "named", host: Host{Aggregates: aggregate("instance_type", "m0, m1")}, request: Request{Flavor: specs()}},
	{filter: "AggregateTypeAffinityFilter", name: "not named", host: Host{Aggregates: aggregate("instance_type", "m0,m11")}, request: Request{Flavor: specs()}, why: "other flavors"},
	{filter: "AggregateInstanceExtraSpecsFilter", name: "other scope", host: Host{}, request: Request{Flavor: specs("hw:x", "1")}},
	{filter: "AggregateInstanceExtraSpecsFilter", name: "met", host: Host{Aggregates: append(aggregate("ssd", "yes, maybe"), aggregate("rank", "5")...)},
		request: Request{Flavor: specs("aggregate_instance_extra_specs:ssd", "maybe", "rank", ">= 4")}},
	{filter: "AggregateInstanceExtraSpecsFilter", name: "missed", host: Host{Aggregates: aggregate("rank", "3")}, request: Request{Flavor: specs("rank", ">= 4")}, why: "extra spec rank"},
	{filter: "AggregateInstanceExtraSpecsFilter", name: "no aggregate", host: Host{}, request: Request{Flavor: specs("rank", "3")}, why: "extra spec rank"},
	{filter: "AggregateImagePropertiesIsolation", name: "open", host: Host{}, request: Request{Image: image("os_distro", "debian")}},
	{filter: "AggregateImagePropertiesIsolation", name: "same", host: Host{Aggregates: aggregate("os_distro", "ubuntu,debian")}, request: Request{Image: image("os_distro", "debian")}},
	{filter: "AggregateImagePropertiesIsolation", name: "other", host: Host{Aggregates: aggregate("os_distro", "windows")}, request: Request{Image: image("os_distro", "debian")}, why: "another os_distro"},
	{filter: "AggregateImagePropertiesIsolation", name: "same in other words", host: Host{Aggregates: aggregate("hw_architecture", "x86_64", "hw_boot_menu", "True")}, request: Request{Image: image("architecture", "AMD64", "hw_boot_menu", "yes")}},
	{filter: "AggregateImagePropertiesIsolation", name: "same by the aggregate's word", host: Host{Aggregates: aggregate("hw_architecture", "amd64")}, request: Request{Image: image("hw_architecture", "x86_64")}},
	{filter: "AggregateImagePropertiesIsolation", name: "old name", host: Host{Aggregates: aggregate("hw_architecture", "aarch64")}, request: Request{Image: image("architecture", "amd64")}, why: "another hw_architecture"},
	{filter: "AggregateImagePropertiesIsolation", name: "outside namespace", host: Host{Aggregates: aggregate("os_distro", "windows")}, request: Request{Image: image("os_distro", "debian")},
		options: func(o *Options) { o.Filter.PropertiesNamespace = "x" }},

	{filter: "RamFilter", name: "fits", host: Host{MemoryMB: Resource{Total: 8192, Used: 8192, Ratio: 1.5}}, request: Request{Flavor: specs()}},
	{filter: "RamFilter", name: "full", host: Host{MemoryMB: Resource{Total: 8192, Used: 4097}}, request: Request{Flavor: specs()}, why: "4096 MiB asked for, 4095 of 8192 MiB free"},
	{filter: "RamFilter", name: "too small whatever the ratio", host: Host{MemoryMB: Resource{Total: 4095, Ratio: 16}}, request: Request{Flavor: specs()}, why: "total 4095"},
	{filter: "AggregateRamFilter", name: "ratio of aggregate", host: Host{MemoryMB: Resource{Total: 4096, Used: 4096}, Aggregates: aggregate("ram_allocation_ratio", "2.0")}, request: Request{Flavor: specs()}},
	{filter: "AggregateRamFilter", name: "least of ratios", host: Host{MemoryMB: Resource{Total: 4096, Used: 4096}, Aggregates: append(aggregate("ram_allocation_ratio", "2.0"), aggregate("ram_allocation_ratio", "1")...)}, request: Request{Flavor: specs()}, why: "0 of 4096"},
	{filter: "AggregateRamFilter", name: "no ratio in aggregate", host: Host{MemoryMB: Resource{Total: 4096, Used: 1, Ratio: 1}, Aggregates: aggregate("ram_allocation_ratio", "lots")}, request: Request{Flavor: specs()}, why: "4095"},
	{filter: "CoreFilter", name: "fits", host: Host{VCPUs: Resource{Total: 4, Used: 12, Ratio: 4}}, request: Request{Flavor: specs()}},
	{filter: "CoreFilter", name: "full", host: Host{VCPUs: Resource{Total: 4, Used: 13, Ratio: 4}}, request: Request{Flavor: specs()}, why: "3 of 16 VCPUs free"},
	{filter: "CoreFilter", name: "too small", host: Host{VCPUs: Resource{Total: 3, Ratio: 16}}, request: Request{Flavor: specs()}, why: "total 3"},
	{filter: "CoreFilter", name: "unknown", host: Host{}, request: Request{Flavor: specs()}},
	{filter: "AggregateCoreFilter", name: "ratio of aggregate", host: Host{VCPUs: Resource{Total: 4, Used: 1, Ratio: 4}, Aggregates: aggregate("cpu_allocation_ratio", "1")}, request: Request{Flavor: specs()}, why: "3 of 4"},
	{filter: "AggregateCoreFilter", name: "fits", host: Host{VCPUs: Resource{Total: 4, Used: 4}, Aggregates: aggregate("cpu_allocation_ratio", "2")}, request: Request{Flavor: specs()}},
	{filter: "DiskFilter", name: "fits", host: Host{DiskGB: Resource{Total: 32, Used: 16}}, request: Request{Flavor: specs()}},
	{filter: "DiskFilter", name: "full", host: Host{DiskGB: Resource{Total: 32, Used: 17}}, request: Request{Flavor: specs()}, why: "15872 MiB asked for, 15360"},
	{filter: "DiskFilter", name: "sparse disks promised away", host: Host{DiskGB: Resource{Total: 32}, DiskLeastGB: ptr(15)}, request: Request{Flavor: specs()}, why: "15360"},
	{filter: "AggregateDiskFilter", name: "ratio of aggregate", host: Host{DiskGB: Resource{Total: 32, Used: 32}, Aggregates: aggregate("disk_allocation_ratio", "1.5")}, request: Request{Flavor: specs()}},
	{filter: "AggregateDiskFilter", name: "full", host: Host{DiskGB: Resource{Total: 32, Used: 32}, Aggregates: aggregate("disk_allocation_ratio", "1.4")}, request: Request{Flavor: specs()}, why: "MiB free"},
	{filter: "ExactRamFilter", name: "exact", host: Host{MemoryMB: Resource{Total: 4097, Used: 1}}, request: Request{Flavor: specs()}},
	{filter: "ExactRamFilter", name: "more", host: Host{MemoryMB: Resource{Total: 4097}}, request: Request{Flavor: specs()}, why: "4097 free"},
	{filter: "ExactCoreFilter", name: "exact", host: Host{VCPUs: Resource{Total: 4}}, request: Request{Flavor: specs()}},
	{filter: "ExactCoreFilter", name: "more", host: Host{VCPUs: Resource{Total: 5}}, request: Request{Flavor: specs()}, why: "5 free"},
	{filter: "ExactDiskFilter", name: "exact", host: Host{DiskGB: Resource{Total: 16}}, request: Request{Flavor: Flavor{RootGB: 16}}},
	{filter: "ExactDiskFilter", name: "less", host: Host{DiskGB: Resource{Total: 15}}, request: Request{Flavor: Flavor{RootGB: 16}}, why: "15360 free"},
	{filter: "IoOpsFilter", name: "few", host: Host{IOOps: 7}},
	{filter: "IoOpsFilter", name: "many", host: Host{IOOps: 8}, why: "the limit is 8"},
	{filter: "AggregateIoOpsFilter", name: "limit of aggregate", host: Host{IOOps: 2, Aggregates: aggregate("max_io_ops_per_host", "2")}, why: "the limit is 2"},
	{filter: "AggregateIoOpsFilter", name: "few", host: Host{IOOps: 9, Aggregates: aggregate("max_io_ops_per_host", "10")}},
	{filter: "NumInstancesFilter", name: "few", host: Host{Servers: 49}},
	{filter: "NumInstancesFilter", name: "many", host: Host{Servers: 50}, why: "the limit is 50"},
	{filter: "AggregateNumInstancesFilter", name: "limit of aggregate", host: Host{Servers: 60, Aggregates: aggregate("max_instances_per_host", "61")}},
	{filter: "AggregateNumInstancesFilter", name: "many", host: Host{Servers: 60, Aggregates: aggregate("max_instances_per_host", "60")}, why: "the limit is 60"},

	{filter: "NUMATopologyFilter", name: "none wanted", host: Host{}, request: Request{Flavor: specs()}},
	{filter: "NUMATopologyFilter", name: "host has none", host: Host{}, request: Request{Flavor: specs("hw:numa_nodes", "1")}, why: "without a NUMA"},
	{filter: "NUMATopologyFilter", name: "too few", host: Host{NUMA: numaHost()}, request: Request{Flavor: specs("hw:numa_nodes", "4")}, why: "has 2 NUMA nodes, 4 are wanted"},
	{filter: "NUMATopologyFilter", name: "fits", host: Host{NUMA: numaHost()}, request: Request{Flavor: specs("hw:numa_nodes", "2")}},
}

func isolate(host, img string, restrict bool) func(*Options) {
	return func(o *Options) {
		o.Filter.IsolatedHosts, o.Filter.IsolatedImages, o.Filter.RestrictIsolated = []string{host}, []string{img}, restrict
	}
}

// group is a request of server "me" in a group whose members are on the hosts.
func group(policy string, most int, hosts ...string) Request {
	r := Request{ServerID: "me", Group: &Group{ID: "gr", Policy: policy, MaxServerPerHost: most, Members: []string{"me"}}, Located: map[string]string{}}
	for i, h := range hosts {
		id := string(rune('a' + i))
		r.Group.Members = append(r.Group.Members, id)
		r.Located[id] = h
	}
	return r
}

// itself makes the group's only located member the one that is to be placed.
func itself(r Request) Request {
	r.ServerID = "a"
	return r
}

func query(q string) Request { return Request{Hints: Hints{Query: q}} }

func pools() []PCIPool {
	return []PCIPool{{Count: 2, Tags: map[string]string{"vendor_id": "10de", "product_id": "1"}}, {Count: 1, Tags: map[string]string{"vendor_id": "10de", "product_id": "2"}}}
}

func numaHost() []NUMACell {
	return []NUMACell{
		{ID: 0, Shared: []int{0, 1}, Dedicated: []int{2, 3, 4, 5}, Siblings: [][]int{{0, 1}, {2, 3}, {4, 5}}, MemoryMB: 8192,
			Pages: []PagePool{{SizeKB: 4, Total: 1 << 20}, {SizeKB: 2048, Total: 1024}}},
		{ID: 1, Shared: []int{6, 7}, Dedicated: []int{8, 9, 10, 11}, Siblings: [][]int{{6, 7}, {8, 9}, {10, 11}}, MemoryMB: 8192,
			Pages: []PagePool{{SizeKB: 4, Total: 1 << 20}, {SizeKB: 2048, Total: 1024}}},
	}
}

func TestFilters(t *testing.T) {
	passed, refused := map[string]bool{"AllHostsFilter": true}, map[string]bool{"AllHostsFilter": true}
	for _, v := range verdicts {
		t.Run(v.filter+"/"+v.name, func(t *testing.T) {
			o := only(v.filter)
			if v.options != nil {
				v.options(&o)
			}
			result := must(t, newScheduler(t, o), []*Host{&v.host}, &v.request)
			step := result.Explanation.Filters[len(result.Explanation.Filters)-1]
			if step.Filter != v.filter || step.In != 1 {
				t.Fatalf("last step %+v", step)
			}
			if v.why == "" {
				passed[v.filter] = true
				if len(result.Ordered) != 1 {
					t.Errorf("refused: %s", result.Explanation.String())
				}
				return
			}
			refused[v.filter] = true
			if len(result.Ordered) != 0 || len(step.Refused) != 1 || !strings.Contains(step.Refused[0].Why, v.why) {
				t.Errorf("want a refusal with %q, got %s", v.why, result.Explanation.String())
			}
		})
	}
	for name := range filterTable {
		if !passed[name] || !refused[name] {
			t.Errorf("%s lacks a case: passed %v, refused %v", name, passed[name], refused[name])
		}
	}
}

func TestWrongRequests(t *testing.T) {
	for name, tt := range map[string]struct {
		filter  string
		request Request
	}{
		"no JSON":             {"JsonFilter", query(`["=", `)},
		"no list":             {"JsonFilter", query(`"="`)},
		"operator":            {"JsonFilter", query(`["like", 1, 2]`)},
		"operator is a list":  {"JsonFilter", query(`[[1], 2]`)},
		"deep":                {"JsonFilter", query(strings.Repeat(`["not",`, 20) + "[]" + strings.Repeat("]", 20))},
		"long":                {"JsonFilter", query(`["=", "` + strings.Repeat("x", maxQueryBytes) + `"]`)},
		"network":             {"SimpleCIDRAffinityFilter", Request{Hints: Hints{BuildNearHostIP: "10.0.0.1", CIDR: "/33"}}},
		"mask with holes":     {"SimpleCIDRAffinityFilter", Request{Hints: Hints{BuildNearHostIP: "10.0.0.1", CIDR: "/255.0.255.0"}}},
		"mask of another age": {"SimpleCIDRAffinityFilter", Request{Hints: Hints{BuildNearHostIP: "2001:db8::1", CIDR: "/255.255.255.0"}}},
		"version":             {"ImagePropertiesFilter", Request{Image: image("hw_vm_mode", "hvm", "img_hv_requested_version", "6.0")}},
		"version number":      {"ImagePropertiesFilter", Request{Image: image("hw_vm_mode", "hvm", "img_hv_requested_version", ">=6.x")}},
		"bits":                {"ImagePropertiesFilter", Request{Image: image("hw_vm_mode", "hvm", "hw_maxphysaddr_bits", "many")}},
		"nodes":               {"NUMATopologyFilter", Request{Flavor: specs("hw:numa_nodes", "0")}},
		"nodes twice":         {"NUMATopologyFilter", Request{Flavor: specs("hw:numa_nodes", "1"), Image: image("hw_numa_nodes", "1")}},
		"uneven":              {"NUMATopologyFilter", Request{Flavor: specs("hw:numa_nodes", "3")}},
		"policy":              {"NUMATopologyFilter", Request{Flavor: specs("hw:cpu_policy", "strict")}},
		"policy of image":     {"NUMATopologyFilter", Request{Flavor: specs("hw:cpu_policy", "shared"), Image: image("hw_cpu_policy", "dedicated")}},
		"threads":             {"NUMATopologyFilter", Request{Flavor: specs("hw:cpu_policy", "dedicated", "hw:cpu_thread_policy", "few")}},
		"threads of image":    {"NUMATopologyFilter", Request{Flavor: specs("hw:cpu_policy", "dedicated", "hw:cpu_thread_policy", "require"), Image: image("hw_cpu_thread_policy", "isolate")}},
		"threads, not pinned": {"NUMATopologyFilter", Request{Flavor: specs("hw:numa_nodes", "1", "hw:cpu_thread_policy", "require")}},
		"pages":               {"NUMATopologyFilter", Request{Flavor: specs("hw:mem_page_size", "huge")}},
		"pages of image":      {"NUMATopologyFilter", Request{Image: image("hw_mem_page_size", "2MB")}},
		"pages against":       {"NUMATopologyFilter", Request{Flavor: specs("hw:mem_page_size", "small"), Image: image("hw_mem_page_size", "2MB")}},
		"mask":                {"NUMATopologyFilter", Request{Flavor: specs("hw:cpu_policy", "mixed")}},
		"cpu out of range":    {"NUMATopologyFilter", Request{Flavor: specs("hw:numa_nodes", "1", "hw:numa_cpus.0", "0-4", "hw:numa_mem.0", "4096")}},
		"cpu twice":           {"NUMATopologyFilter", Request{Flavor: specs("hw:numa_nodes", "2", "hw:numa_cpus.0", "0-3", "hw:numa_mem.0", "2048", "hw:numa_cpus.1", "3", "hw:numa_mem.1", "2048")}},
		"cpu forgotten":       {"NUMATopologyFilter", Request{Flavor: specs("hw:numa_nodes", "1", "hw:numa_cpus.0", "0-2", "hw:numa_mem.0", "4096")}},
		"memory":              {"NUMATopologyFilter", Request{Flavor: specs("hw:numa_nodes", "1", "hw:numa_cpus.0", "0-3", "hw:numa_mem.0", "4095")}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newScheduler(t, only(tt.filter)).Select([]*Host{{}}, &tt.request)
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("err = %v, want fault.Invalid", err)
			}
		})
	}
}

func TestSpecs(t *testing.T) {
	for _, tt := range []struct {
		spec, value string
		want        bool
	}{
		{"x", "x", true}, {"x", "y", false}, {"", "", true}, {"a b", "a b", true},
		{"= 4", "5", true}, {"= 4", "3", false}, {"== 4", "4.0", true}, {"!= 4", "4", false}, {">= 4", "4", true}, {"<= 4", "4.1", false},
		{">= 4", "four", false}, {">= four", "4", false}, {">=", "4", false}, {"=4", "=4", true},
		{"s== a", "a", true}, {"s!= a", "a", false}, {"s< b", "a", true}, {"s<= a", "a", true}, {"s> a", "b", true}, {"s>= b", "a", false},
		{"<in> gcc", "x gcc y", true}, {"<in> gcc", "clang", false},
		{"<all-in> aes mmx", "aes sse mmx", true}, {"<all-in> aes avx", "aes sse mmx", false},
		{"<or> a <or> b", "b", true}, {"<or> a <or> b", "c", false}, {"<or> a <or>", "a", true}, {"<or>", "", false},
	} {
		if got := compileSpec(tt.spec)(tt.value); got != tt.want {
			t.Errorf("%q of %q = %v", tt.spec, tt.value, got)
		}
	}
}

// TestFactsAsText: extra specs see facts as Python writes them.
func TestFactsAsText(t *testing.T) {
	h := &Host{Name: "h", Node: "n", ProviderID: "u", IP: "10.0.0.1", HypervisorType: "QEMU", HypervisorVersion: 7002000, Supported: kvm[:1], Traits: []string{"A", "B"},
		MemoryMB: Resource{Total: 10, Used: 3, Ratio: 1.5}, DiskGB: Resource{Total: 4, Used: 1}, VCPUs: Resource{Total: 8, Used: 2}, Servers: 1, IOOps: 2, FailedBuilds: 3,
		CPUInfo: map[string]any{"topology": map[string]any{"cores": 4.0}, "smt": true, "ghz": 2.5, "none": nil, "f": []string{"x"}}, Stats: map[string]string{"s": "v"}}
	for path, want := range map[string]string{
		"host": "h", "nodename": "n", "hypervisor_hostname": "n", "uuid": "u", "host_ip": "10.0.0.1", "hypervisor_type": "QEMU", "hypervisor_version": "7002000",
		"total_usable_ram_mb": "10", "free_ram_mb": "7", "total_usable_disk_gb": "4", "disk_mb_used": "1024", "free_disk_mb": "3072", "vcpus_total": "8", "vcpus_used": "2",
		"num_instances": "1", "num_io_ops": "2", "failed_builds": "3", "ram_allocation_ratio": "1.5", "cpu_allocation_ratio": "1", "disk_allocation_ratio": "1",
		"supported_instances": "[['i686', 'kvm', 'hvm']]", "traits": "['A', 'B']", "stats": "{'s': 'v'}", "s": "v", "stats.s": "v",
		"cpu_info.topology": "{'cores': 4}", "cpu_info.topology.cores": "4", "cpu_info.smt": "True", "cpu_info.ghz": "2.5", "cpu_info.none": "None", "cpu_info.f": "['x']",
		"service.disabled": "False", "nothing": "None", "host.x": "None",
	} {
		if got := plain(h.attribute(strings.Split(path, "."))); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for name := range attributes {
		if h.attribute([]string{name}) == nil {
			t.Errorf("%s is nothing", name)
		}
	}
}

func TestTruth(t *testing.T) {
	for _, v := range []any{true, "a", 1.0, 1, []any{1}, map[string]any{"a": 1}, kvm} {
		if !truth(v) {
			t.Errorf("%v is not true", v)
		}
	}
	for _, v := range []any{false, "", 0.0, 0, []any{}, map[string]any{}, nil} {
		if truth(v) {
			t.Errorf("%v is true", v)
		}
	}
}
