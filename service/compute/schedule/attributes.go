package schedule

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// attributes are the facts of a host that extra specs and JSON queries may ask
// for, by the names that upstream's HostState gives them.
var attributes = map[string]func(h *Host) any{
	"host":                 func(h *Host) any { return h.Name },
	"nodename":             func(h *Host) any { return h.Node },
	"hypervisor_hostname":  func(h *Host) any { return h.Node },
	"uuid":                 func(h *Host) any { return h.ProviderID },
	"host_ip":              func(h *Host) any { return h.IP },
	"hypervisor_type":      func(h *Host) any { return h.HypervisorType },
	"hypervisor_version":   func(h *Host) any { return h.HypervisorVersion },
	"total_usable_ram_mb":  func(h *Host) any { return h.MemoryMB.Total },
	"free_ram_mb":          func(h *Host) any { return h.MemoryMB.Free() },
	"total_usable_disk_gb": func(h *Host) any { return h.DiskGB.Total },
	"disk_mb_used":         func(h *Host) any { return 1024 * h.DiskGB.Used },
	"free_disk_mb":         func(h *Host) any { return h.freeDiskMB() },
	"vcpus_total":          func(h *Host) any { return h.VCPUs.Total },
	"vcpus_used":           func(h *Host) any { return h.VCPUs.Used },
	"num_instances":        func(h *Host) any { return h.Servers },
	"num_io_ops":           func(h *Host) any { return h.IOOps },
	"failed_builds":        func(h *Host) any { return h.FailedBuilds },
	"ram_allocation_ratio": func(h *Host) any { return h.MemoryMB.ratio() },
	"cpu_allocation_ratio": func(h *Host) any { return h.VCPUs.ratio() },
	"disk_allocation_ratio": func(h *Host) any {
		return h.DiskGB.ratio()
	},
	"cpu_info": func(h *Host) any {
		if h.CPUInfo == nil {
			return nil
		}
		return h.CPUInfo
	},
	"supported_instances": func(h *Host) any {
		list := make([]any, len(h.Supported))
		for i, s := range h.Supported {
			list[i] = []any{s[0], s[1], s[2]}
		}
		return list
	},
	"service": func(h *Host) any {
		return map[string]any{"host": h.Name, "disabled": h.Disabled, "disabled_reason": h.DisabledReason,
			"forced_down": h.ForcedDown, "up": h.Up, "availability_zone": h.Zone}
	},
	"stats": func(h *Host) any {
		stats := make(map[string]any, len(h.Stats))
		for k, v := range h.Stats {
			stats[k] = v
		}
		return stats
	},
	"traits": func(h *Host) any {
		list := make([]any, len(h.Traits))
		for i, t := range h.Traits {
			list[i] = t
		}
		return list
	},
}

// attribute finds a fact of a host by a path whose first part is one of the
// attributes or stats; nil when it is not there.
func (h *Host) attribute(path []string) any {
	var value any
	if get, ok := attributes[path[0]]; ok {
		value = get(h)
	} else if stat, ok := h.Stats[path[0]]; ok {
		value = stat
	}
	for _, part := range path[1:] {
		m, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = m[part]
	}
	return value
}

// plain writes a fact as Python's str() does, because extra specs in the field
// are written against that: "<in> 'avx'" and "s== True" mean something there.
func plain(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		if v == float64(int64(v)) { // JSON has one kind of number
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []string:
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = quoted(s)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = quoted(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for k, e := range v {
			parts = append(parts, quoted(k)+": "+quoted(e))
		}
		sort.Strings(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(value)
}

func quoted(value any) string {
	if s, ok := value.(string); ok {
		return "'" + s + "'"
	}
	return plain(value)
}
