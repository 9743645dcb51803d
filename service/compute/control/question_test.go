package control

import (
	"context"
	"maps"
	"reflect"
	"strings"
	"testing"

	"kilonova/service/compute"
)

type wish = map[string]string

func serverOf(specs, properties wish) *compute.Server {
	return &compute.Server{ProjectID: "p", ImageID: "i", Flavor: compute.Flavor{VCPUs: 4, MemoryMB: 1024, RootGB: 10, SwapMB: 1, ExtraSpecs: specs},
		ImageMeta: compute.ImageMeta{DiskFormat: "qcow2", Properties: properties}}
}

// TestQuestions holds what Placement is asked for flavors and images.
func TestQuestions(t *testing.T) {
	plain := map[string]int{"VCPU": 4, "MEMORY_MB": 1024, "DISK_GB": 11}
	but := func(change map[string]int) map[string]int {
		m := maps.Clone(plain)
		maps.Copy(m, change)
		maps.DeleteFunc(m, func(_ string, n int) bool { return n == 0 })
		return m
	}
	disabled := []string{traitDisabled}
	for name, x := range map[string]struct {
		specs, properties wish
		want              question
	}{
		"nothing": {nil, nil, question{Resources: plain, Forbidden: disabled}},
		"overridden": {wish{"resources:VCPU": "2", "resources:DISK_GB": "0", "resources:CUSTOM_GOLD": "3"}, nil,
			question{Resources: but(map[string]int{"VCPU": 2, "DISK_GB": 0, "CUSTOM_GOLD": 3}), Forbidden: disabled}},
		"traits": {wish{"trait:HW_CPU_X86_AVX": "required", "trait:CUSTOM_OLD": "forbidden"}, wish{"trait:CUSTOM_FAST": "required"},
			question{Resources: plain, Required: []string{"CUSTOM_FAST", "HW_CPU_X86_AVX"}, Forbidden: []string{traitDisabled, "CUSTOM_OLD"}}},
		"groups": {wish{"resources1:VGPU": "1", "trait1:CUSTOM_A": "required", "resources_x:VGPU": "2", "group_policy": "isolate"}, nil,
			question{Resources: plain, Forbidden: disabled, GroupPolicy: "isolate", Groups: []compute.RequestGroup{
				{Suffix: "1", Resources: map[string]int{"VGPU": 1}, Required: []string{"CUSTOM_A"}}, {Suffix: "_x", Resources: map[string]int{"VGPU": 2}}}}},
		"memory in a group": {wish{"resources1:MEMORY_MB": "512"}, nil,
			question{Resources: but(map[string]int{"MEMORY_MB": 0}), Forbidden: disabled, Groups: []compute.RequestGroup{{Suffix: "1", Resources: map[string]int{"MEMORY_MB": 512}}}}},
		"pinned": {wish{"hw:cpu_policy": "dedicated", "hw:cpu_thread_policy": "require", "hw:emulator_threads_policy": "isolate"}, nil,
			question{Resources: but(map[string]int{"VCPU": 0, "PCPU": 5}), Required: []string{"HW_CPU_HYPERTHREADING"}, Forbidden: disabled}},
		"pinned by the image": {nil, wish{"hw_cpu_policy": "dedicated", "hw_cpu_thread_policy": "isolate"},
			question{Resources: but(map[string]int{"VCPU": 0, "PCPU": 4}), Forbidden: []string{traitDisabled, "HW_CPU_HYPERTHREADING"}}},
		"mixed": {wish{"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "0-1"}, nil, question{Resources: but(map[string]int{"VCPU": 2, "PCPU": 2}), Forbidden: disabled}},
		"capabilities": {wish{"hw:tpm_version": "2.0", "hw:tpm_secret_security": "host", "os:secure_boot": "required", "accel:device_profile": "x"},
			wish{"hw_virtio_packed_ring": "yes", "hw_sound_model": "virtio", "hw_ephemeral_encryption": "true", "hw_ephemeral_encryption_format": "luks"},
			question{Resources: plain, Forbidden: disabled, Required: []string{"COMPUTE_ACCELERATORS", "COMPUTE_EPHEMERAL_ENCRYPTION", "COMPUTE_EPHEMERAL_ENCRYPTION_LUKS",
				"COMPUTE_NET_VIRTIO_PACKED", "COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_TPM_SECRET_SECURITY_HOST", "COMPUTE_SECURITY_TPM_TIS", "COMPUTE_SECURITY_UEFI_SECURE_BOOT", "COMPUTE_SOUND_MODEL_VIRTIO"}}},
		"a socket":         {wish{"hw:pci_numa_affinity_policy": "socket"}, nil, question{Resources: plain, Required: []string{"COMPUTE_SOCKET_PCI_NUMA_AFFINITY"}, Forbidden: disabled}},
		"encrypted memory": {wish{"hw:mem_encryption": "true"}, nil, question{Resources: but(map[string]int{"MEM_ENCRYPTION_CONTEXT": 1}), Required: []string{"HW_CPU_X86_AMD_SEV"}, Forbidden: disabled}},
		"encrypted with the image's model": {wish{"hw:mem_encryption": "true"}, wish{"hw_mem_encryption_model": "amd-sev-es"},
			question{Resources: but(map[string]int{"MEM_ENCRYPTION_CONTEXT": 1}), Required: []string{"HW_CPU_X86_AMD_SEV_ES"}, Forbidden: disabled}},
		"a TPM of the image": {wish{"hw:tpm_secret_security": ""}, wish{"hw_tpm_version": "2.0", "hw_tpm_model": "tpm-crb", "hw_tpm_secret_security": "host"},
			question{Resources: plain, Required: []string{"COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_TPM_CRB", "COMPUTE_SECURITY_TPM_SECRET_SECURITY_USER"}, Forbidden: disabled}},
		"an address space":   {wish{"hw:maxphysaddr_mode": "emulate"}, nil, question{Resources: plain, Required: []string{"COMPUTE_ADDRESS_SPACE_EMULATED"}, Forbidden: disabled}},
		"the processor's":    {nil, wish{"hw_maxphysaddr_mode": "passthrough"}, question{Resources: plain, Required: []string{"COMPUTE_ADDRESS_SPACE_PASSTHROUGH"}, Forbidden: disabled}},
		"stateless firmware": {nil, wish{"hw_firmware_stateless": "true", "hw_firmware_type": "uefi"}, question{Resources: plain, Required: []string{"COMPUTE_SECURITY_STATELESS_FIRMWARE"}, Forbidden: disabled}},
		"stateless BIOS":     {nil, wish{"hw_firmware_stateless": "true"}, question{Resources: plain, Forbidden: disabled}},
		"persistent memory":  {wish{"hw:pmem": "4GB, 4GB,small-1,"}, nil, question{Resources: but(map[string]int{"CUSTOM_PMEM_NAMESPACE_4GB": 2, "CUSTOM_PMEM_NAMESPACE_SMALL_1": 1}), Forbidden: disabled}},
		"groups of nothing":  {wish{"resources1:VGPU": "0", "resources2:MEMORY_MB": "0", "group_policy": "isolate"}, nil, question{Resources: but(map[string]int{"MEMORY_MB": 0}), Forbidden: disabled}},
		"no class":           {wish{"resources:BOGUS": "1", "resources:VGPU": "x", "resources:CUSTOM_A": "-1"}, nil, question{Resources: plain, Forbidden: disabled}},
		"a policy of long ago": {wish{"resources1:VGPU": "1", "resources2:VGPU": "1", "group_policy": "apart"}, nil, question{Resources: plain, Forbidden: disabled, GroupPolicy: "none", Groups: []compute.RequestGroup{
			{Suffix: "1", Resources: map[string]int{"VGPU": 1}}, {Suffix: "2", Resources: map[string]int{"VGPU": 1}}}}},
	} {
		c := &Control{Config: Config{Options: Defaults()}}
		x.want.Limit = 1000
		got, err := c.questionOf(t.Context(), serverOf(x.specs, x.properties), &Fleet{})
		if err != nil || !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", name, got, err, x.want)
		}
	}
}

// TestRequestFilters holds what the configured filters add.
func TestRequestFilters(t *testing.T) {
	f := &Fleet{fallback: "nova", Aggregates: []compute.Aggregate{
		{ID: "a", Metadata: wish{"filter_tenant_id": "p", zoneKey: "north"}}, {ID: "b", Metadata: wish{"filter_tenant_id3": "p", "trait:CUSTOM_W": "required"}},
		{ID: "c", Metadata: wish{"filter_tenant_id": "q", zoneKey: "north", "trait:CUSTOM_L": "required"}},
	}}
	c := &Control{Config: Config{Options: Defaults()}}
	o := &c.Options.Scheduler.Scheduler
	o.LimitTenants, o.QueryImageType, o.IsolateAggregates, o.ImageMetadata = true, true, true, true
	s := serverOf(wish{"trait:CUSTOM_W": "required"}, wish{"hw_disk_bus": "virtio", "hw_video_model": "qxl", "hw_viommu_model": "smmuv3",
		"hw_vif_model": "of-tomorrow", "hw_architecture": "x86_64"})
	s.AvailabilityZone = "north"
	s.Wanted = []compute.NetworkRequest{{VNICType: "remote-managed"}}
	q, err := c.questionOf(t.Context(), s, f)
	if err != nil {
		t.Fatal(err)
	}
	if want := [][]string{{"a", "b"}, {"a", "c"}}; !reflect.DeepEqual(q.MemberOf, want) {
		t.Errorf("member of %v, want %v", q.MemberOf, want)
	}
	if !reflect.DeepEqual(q.NotMemberOf, []string{"c"}) {
		t.Errorf("not member of %v", q.NotMemberOf)
	}
	want := "COMPUTE_GRAPHICS_MODEL_QXL COMPUTE_IMAGE_TYPE_QCOW2 COMPUTE_REMOTE_MANAGED_PORTS COMPUTE_STORAGE_BUS_VIRTIO COMPUTE_VIOMMU_MODEL_SMMUV3 CUSTOM_W HW_ARCH_X86_64"
	if got := strings.Join(q.Required, " "); got != want {
		t.Errorf("required %s, want %s", got, want)
	}
	s.ImageMeta.DiskFormat = "ova" // of which os-traits knows nothing
	if q, err := c.questionOf(t.Context(), s, f); err != nil || strings.Contains(strings.Join(q.Required, " "), "IMAGE_TYPE") {
		t.Errorf("a format without a trait: %v, %v", q.Required, err)
	}
	if q.RootRequired != nil {
		t.Errorf("%v is required of hosts that Placement has not been told that of", q.RootRequired)
	}
	f.owned = true
	if q, err = c.questionOf(t.Context(), s, f); err != nil || !reflect.DeepEqual(q.RootRequired, []string{"OWNER_NOVA"}) {
		t.Errorf("of hosts that are compute's own %v is required, %v", q.RootRequired, err)
	}
	s.ProjectID, o.TenantsNeedAggregate = "other", true
	if _, err := c.questionOf(t.Context(), s, f); err == nil || !strings.Contains(err.Error(), "No hosts available for tenant") {
		t.Errorf("a project without an aggregate: %v", err)
	}
}

// segmented are networks with segments, and Placement's aggregates of these.
type segmented struct {
	compute.Networks
	compute.Placement
}

func (segmented) Segments(_ context.Context, networkID, _ string) ([]string, error) {
	return map[string][]string{"routed": {"s1", "s2"}, "lost": {"s3"}}[networkID], nil
}

func (segmented) AggregatesOf(_ context.Context, id string) ([]string, error) {
	return map[string][]string{"s1": {"z"}, "s2": {"y", "x"}}[id], nil
}

// TestRoutedNetworks: the hosts asked for are where the networks' segments are.
func TestRoutedNetworks(t *testing.T) {
	c := &Control{Config: Config{Options: Defaults(), Networks: segmented{}, Placement: segmented{}}}
	ask := func(networks ...string) ([][]string, error) {
		s := serverOf(nil, nil)
		for _, n := range networks {
			s.Wanted = append(s.Wanted, compute.NetworkRequest{NetworkID: n})
		}
		q, err := c.questionOf(t.Context(), s, &Fleet{})
		return q.MemberOf, err
	}
	if got, err := ask("routed"); err != nil || got != nil {
		t.Errorf("switched off: %v, %v", got, err)
	}
	c.Options.Scheduler.Scheduler.RoutedNetworks = true
	if got, err := ask("routed", "plain"); err != nil || !reflect.DeepEqual(got, [][]string{{"x", "y", "z"}}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ask("lost"); err == nil {
		t.Error("a network whose segments are nowhere has hosts")
	}
}
