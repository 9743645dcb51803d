package hardware

import (
	"strings"
	"testing"

	"kilonova/internal/fault"
)

func TestExtraSpecs(t *testing.T) {
	for _, c := range []struct {
		name, value string
		ok          bool
	}{
		{"hw:cpu_policy", "dedicated", true},
		{"hw:cpu_policy", "pinned", false},
		{"hw:cpu_realtime", "Yes", true},
		{"hw:cpu_realtime", "perhaps", false},
		{"hw:cpu_realtime_mask", "^0-1,3", true},
		{"hw:cpu_realtime_mask", "a", false},
		{"hw:numa_cpus.0", "0-3", true},
		{"hw:numa_cpus.x", "0-3", false}, // no such name
		{"hw:numa_mem.12", "0", false},
		{"hw:numa_nodes", "1.5", false},
		{"hw:mem_page_size", "2MB", true},
		{"hw:mem_page_size", "huge", false},
		{"hw:nonsense", "1", false},
		{"quota:cpu_quota", "-1", true},
		{"quota:cpu_shares", "-1", false},
		{"quota:cpu_period", strings.Repeat("9", 30), true},
		{"quota:disk_read_iops_sec", "10", true},
		{"quota:disk_read_iops", "10", false},
		{"os:monitors", "9", false},
		{"trait:HW_CPU_X86_AVX2", "required", true},
		{"trait1:HW_CPU_X86_AVX2", "forbidden", true},
		{"trait:HW_CPU_X86_AVX2", "maybe", false},
		{"trait:NO_SUCH_TRAIT", "required", false},
		{"trait_x:CUSTOM_A", "required", true},
		{"resources:VCPU", "2", true},
		{"resources1:CUSTOM_GOLD", "two", false},
		{"resources:GOLD", "1", false},
		{"capabilities:cpu_info:features", "<in> avx", true},
		{"capabilities:free_ram_mb", ">= 5", true},
		{"capabilities:nonsense", "1", false},
		{"aggregate_instance_extra_specs:anything", "at all", true},
		{"pci_passthrough:alias", "a1:2, b:1", true},
		{"pci_passthrough:alias", "a1", false},
		{"own:thing", "x", true}, // somebody's own namespace
		{"own", "x", true},
		{"hide_hypervisor_id", "no!", false},
	} {
		err := CheckExtraSpec(c.name, c.value)
		if (err == nil) != c.ok {
			t.Errorf("%s=%s: %v", c.name, c.value, err)
		}
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s=%s: %v is not Invalid", c.name, c.value, err)
		}
	}
}

func TestCheck(t *testing.T) {
	type m = map[string]string
	for _, c := range []struct {
		name          string
		flavor, image m
		why           string // "" is allowed
	}{
		{"nothing", nil, nil, ""},
		{"unlike address spaces", m{"hw:maxphysaddr_mode": "emulate"}, m{"hw_maxphysaddr_mode": "passthrough"}, "maxphysaddr_mode"},
		{"unlike encryptions", m{"hw:mem_encryption": "1", "hw:mem_encryption_model": "amd-sev"}, m{"hw_mem_encryption_model": "amd-sev-es", "hw_firmware_type": "uefi"}, "mem_encryption_model"},
		{"encryption that wants more", m{"hw:mem_encryption": "1", "hw:mem_encryption_model": "amd-sev-snp"}, m{"hw_firmware_type": "uefi"}, "stateless"},
		{"encryption that has it", m{"hw:mem_encryption": "1", "hw:mem_encryption_model": "amd-sev-snp"}, m{"hw_firmware_type": "uefi", "hw_firmware_stateless": "yes"}, ""},
		{"unknown property", nil, m{"my_own": "x"}, ""},
		{"bad bus", nil, m{"hw_disk_bus": "floppy"}, "hw_disk_bus"},
		{"bad bus by old name", nil, m{"vm_mode": "magic"}, "vm_mode"},
		{"bad number", nil, m{"hw_cpu_cores": "many"}, "hw_cpu_cores"},
		{"config drive", nil, m{"img_config_drive": "never"}, "img_config_drive"},
		{"pinning", m{"hw:cpu_policy": "dedicated"}, nil, ""},
		{"pinning by image against shared", m{"hw:cpu_policy": "shared"}, m{"hw_cpu_policy": "dedicated"}, "hw_cpu_policy"},
		{"threads without pinning", m{"hw:cpu_thread_policy": "isolate"}, nil, "thread"},
		{"threads with pinning", m{"hw:cpu_thread_policy": "isolate", "hw:cpu_policy": "dedicated"}, nil, ""},
		{"image overrides threads", m{"hw:cpu_thread_policy": "isolate", "hw:cpu_policy": "dedicated"}, m{"hw_cpu_thread_policy": "require"}, "hw_cpu_thread_policy"},
		{"emulator threads", m{"hw:emulator_threads_policy": "isolate"}, nil, "emulator"},
		{"realtime without pinning", m{"hw:cpu_realtime": "yes", "hw:cpu_realtime_mask": "^0"}, nil, "realtime"},
		{"realtime", m{"hw:cpu_realtime": "yes", "hw:cpu_realtime_mask": "^0", "hw:cpu_policy": "dedicated"}, nil, ""},
		{"realtime everywhere", m{"hw:cpu_realtime": "yes", "hw:cpu_policy": "dedicated"}, nil, "realtime"},
		{"mixed without mask", m{"hw:cpu_policy": "mixed"}, nil, "mask"},
		{"mixed", m{"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "0-1"}, nil, ""},
		{"mask beyond", m{"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "0-9"}, nil, "processor"},
		{"mask too large", m{"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "0-999999999"}, nil, "mask"},
		{"mask without mixed", m{"hw:cpu_dedicated_mask": "0"}, nil, "mixed"},
		{"uneven nodes", m{"hw:numa_nodes": "3"}, nil, "evenly"},
		{"nodes", m{"hw:numa_nodes": "2"}, nil, ""},
		{"nodes on both sides", m{"hw:numa_nodes": "2"}, m{"hw_numa_nodes": "2"}, "override"},
		{"by hand", m{"hw:numa_nodes": "2", "hw:numa_cpus.0": "0", "hw:numa_cpus.1": "1-3", "hw:numa_mem.0": "512", "hw:numa_mem.1": "1536"}, nil, ""},
		{"by hand, half", m{"hw:numa_nodes": "2", "hw:numa_cpus.0": "0", "hw:numa_mem.0": "512"}, nil, "all NUMA nodes"},
		{"by hand, twice", m{"hw:numa_nodes": "2", "hw:numa_cpus.0": "0-1", "hw:numa_cpus.1": "1-3", "hw:numa_mem.0": "512", "hw:numa_mem.1": "1536"}, nil, "two nodes"},
		{"by hand, unassigned", m{"hw:numa_nodes": "2", "hw:numa_cpus.0": "0", "hw:numa_cpus.1": "1", "hw:numa_mem.0": "512", "hw:numa_mem.1": "1536"}, nil, "not assigned"},
		{"by hand, memory", m{"hw:numa_nodes": "2", "hw:numa_cpus.0": "0", "hw:numa_cpus.1": "1-3", "hw:numa_mem.0": "1", "hw:numa_mem.1": "1536"}, nil, "expected"},
		{"pages", m{"hw:mem_page_size": "large"}, m{"hw_mem_page_size": "2MB"}, ""},
		{"pages of the image alone", nil, m{"hw_mem_page_size": "2MB"}, "forbidden"},
		{"bad pages", m{"hw:mem_page_size": "huge"}, nil, "page size"},
		{"pages against", m{"hw:mem_page_size": "small"}, m{"hw_mem_page_size": "large"}, "forbidden"},
		{"locked memory", m{"hw:locked_memory": "true"}, nil, "locked_memory"},
		{"encryption without uefi", m{"hw:mem_encryption": "true"}, nil, "uefi"},
		{"encryption", m{"hw:mem_encryption": "true"}, m{"hw_firmware_type": "uefi", "hw_machine_type": "pc-q35-6.2"}, ""},
		{"encryption on the wrong machine", m{"hw:mem_encryption": "true"}, m{"hw_firmware_type": "uefi", "hw_machine_type": "pc"}, "q35"},
		{"encryption contradicted", m{"hw:mem_encryption": "true"}, m{"hw_mem_encryption": "false", "hw_firmware_type": "uefi"}, "conflicting"},
		{"pmu", m{"hw:pmu": "true"}, m{"hw_pmu": "false"}, "conflicting"},
		{"tpm", m{"hw:tpm_version": "1.2", "hw:tpm_model": "tpm-crb"}, nil, "2.0"},
		{"serial ports", m{"hw:serial_port_count": "1"}, m{"hw_serial_port_count": "2"}, "serial"},
		{"topology", m{"hw:cpu_max_sockets": "2"}, m{"hw_cpu_max_sockets": "4"}, "exceeds"},
		{"topology impossible", m{"hw:cpu_max_sockets": "1", "hw:cpu_max_cores": "1", "hw:cpu_max_threads": "1"}, nil, "impossible"},
		{"both policies", m{"resources:PCPU": "4", "hw:cpu_policy": "dedicated"}, nil, "one or the other"},
		{"too few", m{"resources:PCPU": "3"}, nil, "exactly 4"},
		{"hyperthreads twice", m{"trait:HW_CPU_HYPERTHREADING": "forbidden", "hw:cpu_thread_policy": "isolate", "hw:cpu_policy": "dedicated"}, nil, "one or the other"},
	} {
		err := Check(Flavor{Name: "f", VCPUs: 4, MemoryMB: 2048, ExtraSpecs: c.flavor}, Image{ID: "i", Name: "image", Properties: c.image})
		if c.why == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want something about %q", c.name, err, c.why)
		}
	}
}
