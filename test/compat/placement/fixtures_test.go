package placement_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"kilonova/internal/rest"
	"kilonova/service/placement"
)

// fixtures make the clouds that the files name; the layouts are upstream's, see
// placement/tests/functional/fixtures/gabbits.py for drawings.
var fixtures = map[string]func(t testing.TB) *cloud{
	"APIFixture":              func(t testing.TB) *cloud { return newCloud(t, manners{}) },
	"LegacyRBACPolicyFixture": func(t testing.TB) *cloud { return newCloud(t, manners{}) },
	"SecureRBACPolicyFixture": func(t testing.TB) *cloud { return newCloud(t, manners{secure: true}) },
	"OpenPolicyFixture":       func(t testing.TB) *cloud { return newCloud(t, manners{open: true}) },
	"CORSFixture": func(t testing.TB) *cloud {
		return newCloud(t, manners{cors: &rest.CORS{Origins: []string{"http://valid.example.com"}, Headers: []string{"openstack-api-version"}}})
	},
	"AllocationFixture":             allocationFixture,
	"SharedStorageFixture":          sharedStorageFixture,
	"NonSharedStorageFixture":       nonSharedStorageFixture,
	"NUMAAggregateFixture":          numaAggregateFixture,
	"NUMANetworkFixture":            numaNetworkFixture,
	"DeepNUMANetworkFixture":        deepNUMANetworkFixture,
	"GranularFixture":               granularFixture,
	"NeutronQoSMultiSegmentFixture": multiSegmentFixture,
}

// allocationFixture: one provider, used by two consumers of one user and one of
// another.
func allocationFixture(t testing.TB) *cloud {
	c := newCloud(t, manners{})
	rp, project, user := c.environ["RP_UUID"], c.environ["PROJECT_ID"], c.environ["USER_ID"]
	c.set("ALT_USER_ID", uuid.NewString())
	c.providerAs(rp, c.environ["RP_NAME"], "")
	c.inventory(rp, "DISK_GB", 2048, "step_size", 10, "min_unit", 10, "max_unit", 1000)
	c.inventory(rp, "VCPU", 10, "max_unit", 10)
	c.set("CONSUMER_0", c.consumer(user, project, rp, placement.Amount{Class: "DISK_GB", Amount: 1000}))
	c.set("CONSUMER_ID", c.consumer(user, project, rp, placement.Amount{Class: "VCPU", Amount: 6}))
	c.set("ALT_CONSUMER_ID", c.consumer(c.environ["ALT_USER_ID"], project, rp,
		placement.Amount{Class: "DISK_GB", Amount: 20}, placement.Amount{Class: "VCPU", Amount: 1}))
	c.set("ALT_RP_UUID", uuid.NewString())
	c.set("ALT_RP_NAME", uuid.NewString())
	return c
}

// sharedStorageFixture: two compute nodes with nested network devices, one of
// them without a disk, and two shared disks.
func sharedStorageFixture(t testing.TB) *cloud {
	c := newCloud(t, manners{})
	agg := uuid.NewString()
	c.set("AGG_UUID", agg)
	for n := 1; n <= 2; n++ {
		cn := c.provider(fmt.Sprintf("cn%d", n), "", agg)
		c.set("CN%d_UUID", cn, n)
		c.inventory(cn, "VCPU", 24, "ratio", 16.0)
		c.inventory(cn, "MEMORY_MB", 128*1024, "ratio", 1.5)
		for m := 1; m <= 2; m++ {
			numa := c.provider(fmt.Sprintf("numa%d_%d", n, m), cn)
			pf := c.provider(fmt.Sprintf("pf%d_%d", n, m), numa)
			c.inventory(pf, "SRIOV_NET_VF", 8)
			c.set("NUMA%d_%d_UUID", numa, n, m)
			c.set("PF%d_%d_UUID", pf, n, m)
		}
	}
	c.traits(c.environ["CN1_UUID"], "HW_CPU_X86_SSE", "HW_CPU_X86_SSE2")
	c.inventory(c.environ["CN2_UUID"], "DISK_GB", 2000, "reserved", 100)
	for _, name := range []string{"SS", "SS2"} {
		ss := c.provider(name, "", agg)
		c.set("%s_UUID", ss, name)
		c.inventory(ss, "DISK_GB", 2000, "reserved", 100)
		c.traits(ss, placement.Sharing)
	}
	return c
}

// nonSharedStorageFixture: three compute nodes with all they need.
func nonSharedStorageFixture(t testing.TB) *cloud {
	c := newCloud(t, manners{})
	for n := 1; n <= 3; n++ {
		c.set("AGG%c_UUID", uuid.NewString(), 'A'+n-1)
		cn := c.provider(fmt.Sprintf("cn%d", n), "")
		c.set("CN%d_UUID", cn, n)
		c.inventory(cn, "VCPU", 24)
		c.inventory(cn, "MEMORY_MB", 128*1024)
		c.inventory(cn, "DISK_GB", 2000)
	}
	return c
}

// numaAggregateFixture: aggregates on roots and on nested providers.
func numaAggregateFixture(t testing.TB) *cloud {
	c := newCloud(t, manners{})
	a, b, d := uuid.NewString(), uuid.NewString(), uuid.NewString()
	c.set("AGGA_UUID", a)
	c.set("AGGB_UUID", b)
	c.set("AGGC_UUID", d)
	c.set("CN1_UUID", c.provider("cn1", "", a))
	c.set("CN2_UUID", c.provider("cn2", "", a, b))
	for n := 1; n <= 2; n++ {
		for m := 1; m <= 2; m++ {
			numa := c.provider(fmt.Sprintf("numa%d_%d", n, m), c.environ[fmt.Sprintf("CN%d_UUID", n)])
			c.inventory(numa, "VCPU", 24, "ratio", 16.0)
			c.set("NUMA%d_%d_UUID", numa, n, m)
		}
	}
	c.aggregates(c.environ["NUMA1_1_UUID"], d)
	for n, agg := range map[int]string{1: a, 2: d} {
		ss := c.provider(fmt.Sprintf("ss%d", n), "", agg)
		c.inventory(ss, "DISK_GB", 2000, "reserved", 100)
		c.traits(ss, placement.Sharing)
		c.set("SS%d_UUID", ss, n)
	}
	return c
}

func numaNetworkFixture(t testing.TB) *cloud {
	c := newCloud(t, manners{})
	c.numaNetwork("", "")
	return c
}

// deepNUMANetworkFixture is numaNetworkFixture two levels further down in one
// tree.
func deepNUMANetworkFixture(t testing.TB) *cloud {
	c := newCloud(t, manners{})
	top := c.provider("gp1", "")
	c.numaNetwork(c.provider("p1", top), c.provider("p2", top))
	return c
}

// numaNetwork makes a compute node made of NUMA nodes with devices and network
// agents, a plain one with NICs, and a shared disk.
func (c *cloud) numaNetwork(parent1, parent2 string) {
	agg := uuid.NewString()
	c.set("AGGA_UUID", agg)
	ss := c.provider("ss1", "", agg)
	c.traits(ss, placement.Sharing)
	c.inventory(ss, "DISK_GB", 2000)
	c.set("SS1_UUID", ss)

	cn1 := c.provider("cn1", parent1, agg)
	c.traits(cn1, "COMPUTE_VOLUME_MULTI_ATTACH")
	c.set("CN1_UUID", cn1)
	numa0, numa1 := c.provider("numa0", cn1), c.provider("numa1", cn1)
	c.set("NUMA0_UUID", numa0)
	c.set("NUMA1_UUID", numa1)
	c.traits(numa0, "HW_NUMA_ROOT")
	c.traits(numa1, "CUSTOM_FOO", "HW_NUMA_ROOT")
	c.inventory(numa0, "VCPU", 4)
	c.inventory(numa1, "VCPU", 4)
	c.inventory(numa0, "MEMORY_MB", 2048, "min_unit", 512, "step_size", 256)
	c.inventory(numa1, "MEMORY_MB", 2048, "min_unit", 256, "max_unit", 1024)
	c.consumer("numafx-user", "numafx-project", numa0, placement.Amount{Class: "VCPU", Amount: 2})
	c.device("FPGA0_UUID", numa0, "FPGA", 1)
	c.device("PGPU0_UUID", numa0, "VGPU", 8)
	c.device("FPGA1_0_UUID", numa1, "FPGA", 1)
	c.device("FPGA1_1_UUID", numa1, "FPGA", 1)
	c.set("SRIOV_AGENT_UUID", c.provider("sriov_agent", cn1))
	c.traits(c.environ["SRIOV_AGENT_UUID"], "CUSTOM_VNIC_TYPE_DIRECT")
	c.device("ESN1_UUID", c.environ["SRIOV_AGENT_UUID"], "NET_BW_EGR_KILOBIT_PER_SEC", 10000, "CUSTOM_PHYSNET1")
	c.device("ESN2_UUID", c.environ["SRIOV_AGENT_UUID"], "NET_BW_EGR_KILOBIT_PER_SEC", 20000, "CUSTOM_PHYSNET2")
	c.set("OVS_AGENT_UUID", c.provider("ovs_agent", cn1))
	c.traits(c.environ["OVS_AGENT_UUID"], "CUSTOM_VNIC_TYPE_NORMAL")
	c.device("BR_INT_UUID", c.environ["OVS_AGENT_UUID"], "NET_BW_EGR_KILOBIT_PER_SEC", 1000, "CUSTOM_PHYSNET0")

	cn2 := c.provider("cn2", parent2, agg)
	c.set("CN2_UUID", cn2)
	c.inventory(cn2, "VCPU", 8)
	c.consumer("numafx-user", "numafx-project", cn2, placement.Amount{Class: "VCPU", Amount: 3})
	c.inventory(cn2, "MEMORY_MB", 2048, "min_unit", 1024, "step_size", 128)
	c.inventory(cn2, "DISK_GB", 1000)
	c.traits(cn2, "CUSTOM_FOO")
	for n, functions := range [][]int64{{4, 4}, {2, 2, 2, 2}, {8}} {
		nic := c.provider(fmt.Sprintf("nic%d", n+1), cn2)
		c.traits(nic, "CUSTOM_HW_NIC_ROOT")
		c.set("NIC%d_UUID", nic, n+1)
		for m, total := range functions {
			c.device(fmt.Sprintf("PF%d_%d_UUID", n+1, m+1), nic, "CUSTOM_VF", total, fmt.Sprintf("CUSTOM_PHYSNET%d", m%2+1))
		}
	}
}

// device makes a provider of one class below another and sets a variable to it.
func (c *cloud) device(variable, parent, class string, total int64, traits ...string) {
	id := c.provider(variable, parent)
	c.inventory(id, class, total)
	if len(traits) > 0 {
		c.traits(id, traits...)
	}
	c.set("%s", id, variable)
}

// granularFixture: three compute nodes and three providers that share disks and
// networks with them by three aggregates.
func granularFixture(t testing.TB) *cloud {
	c := newCloud(t, manners{})
	a, b, d := uuid.NewString(), uuid.NewString(), uuid.NewString()
	c.set("AGGA", a)
	c.set("AGGB", b)
	c.set("AGGC", d)
	type stock map[string]int64
	for _, p := range []struct {
		name       string
		aggregates []string
		stock      stock
		traits     []string
	}{
		{"CN_LEFT", []string{a}, stock{"VCPU": 8, "MEMORY_MB": 4096, "DISK_GB": 500, "VGPU": 8, "SRIOV_NET_VF": 8, "CUSTOM_NET_MBPS": 4000},
			[]string{"CUSTOM_FOO", "HW_CPU_X86_AVX", "HW_CPU_X86_AVX2", "HW_GPU_API_DXVA", "HW_NIC_DCB_PFC"}},
		{"CN_MIDDLE", []string{a, b}, stock{"VCPU": 8, "MEMORY_MB": 4096, "SRIOV_NET_VF": 8, "CUSTOM_NET_MBPS": 4000},
			[]string{"HW_CPU_X86_AVX", "HW_CPU_X86_AVX2", "HW_CPU_X86_SSE", "HW_NIC_ACCEL_TLS"}},
		{"CN_RIGHT", []string{b, d}, stock{"VCPU": 8, "MEMORY_MB": 4096, "DISK_GB": 500},
			[]string{"CUSTOM_DISK_SSD", "HW_CPU_X86_MMX", "HW_GPU_API_DXVA"}},
		{"SHR_DISK_1", []string{a}, stock{"DISK_GB": 1000}, []string{"CUSTOM_DISK_SSD", placement.Sharing}},
		{"SHR_DISK_2", []string{a, b}, stock{"DISK_GB": 1000}, []string{placement.Sharing}},
		{"SHR_NET", []string{d}, stock{"SRIOV_NET_VF": 16, "CUSTOM_NET_MBPS": 40000}, []string{placement.Sharing}},
	} {
		id := c.provider(strings.ToLower(p.name), "", p.aggregates...)
		c.set("%s", id, p.name)
		for class, total := range p.stock {
			c.inventory(id, class, total)
		}
		c.traits(id, p.traits...)
	}
	c.inventory(c.environ["CN_RIGHT"], "VGPU", 8, "max_unit", 2)
	return c
}

// multiSegmentFixture: four compute nodes whose bridges and network cards are
// connected to none, one or both segments of a network.
func multiSegmentFixture(t testing.TB) *cloud {
	c := newCloud(t, manners{})
	c.segmentHost(0, 5000, 10000, "CUSTOM_PHYSNET_OTHER")
	c.segmentHost(1, 5000, 10000, "CUSTOM_PHYSNET_MSN_S1")
	c.segmentHost(2, 5000, 10000, "CUSTOM_PHYSNET_MSN_S2")
	c.segmentHost(3, 1000, 1000, "CUSTOM_PHYSNET_MSN_S1", "CUSTOM_PHYSNET_MSN_S2")
	return c
}

func (c *cloud) segmentHost(n int, bridgeRate, cardRate int64, segments ...string) {
	name := fmt.Sprintf("compute%d", n)
	host := c.provider(name, "")
	c.set("%s", host, name)
	c.inventory(host, "VCPU", 8)
	c.inventory(host, "MEMORY_MB", 4096)
	c.inventory(host, "DISK_GB", 500)
	direct := []string{"CUSTOM_VNIC_TYPE_DIRECT", "CUSTOM_VNIC_TYPE_DIRECT_PHYSICAL", "CUSTOM_VNIC_TYPE_MACVTAP"}
	ovs, sriov := c.provider(name+":ovs", host), c.provider(name+":sriov", host)
	c.set("%s:ovs_agent", ovs, name)
	c.set("%s:sriov_agent", sriov, name)
	c.inventory(ovs, "NET_PACKET_RATE_KILOPACKET_PER_SEC", 1000)
	c.traits(ovs, "CUSTOM_VNIC_TYPE_NORMAL")
	c.traits(sriov, direct...)
	for i, segment := range segments {
		bridge, card := ":br_ex", fmt.Sprintf(":pf%d", i)
		if i > 0 {
			bridge = fmt.Sprintf(":br_ex%d", i+1)
		}
		for _, port := range []struct {
			name, parent string
			rate         int64
			traits       []string
		}{{bridge, ovs, bridgeRate, []string{segment, "CUSTOM_VNIC_TYPE_NORMAL"}}, {card, sriov, cardRate, append([]string{segment}, direct...)}} {
			id := c.provider(name+port.name, port.parent)
			c.set("%s", id, name+port.name)
			c.inventory(id, "NET_BW_EGR_KILOBIT_PER_SEC", port.rate)
			c.inventory(id, "NET_BW_IGR_KILOBIT_PER_SEC", port.rate)
			c.traits(id, port.traits...)
		}
	}
}
