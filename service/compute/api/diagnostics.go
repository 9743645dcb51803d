package api

import (
	"context"
	"fmt"

	"kilonova/internal/rest"
	"kilonova/service/compute"
)

type diagnosticsView struct {
	ConfigDrive  bool         `json:"config_drive"`
	CPUs         []cpuCounts  `json:"cpu_details"`
	Disks        []diskCounts `json:"disk_details"`
	Driver       string       `json:"driver"`
	Hypervisor   *string      `json:"hypervisor"`
	HypervisorOS *string      `json:"hypervisor_os"`
	Memory       memoryCounts `json:"memory_details"`
	NICs         []nicCounts  `json:"nic_details"`
	NumCPUs      int          `json:"num_cpus"`
	NumDisks     int          `json:"num_disks"`
	NumNICs      int          `json:"num_nics"`
	State        string       `json:"state"`
	Uptime       *int64       `json:"uptime"`
}

type cpuCounts struct {
	ID          int    `json:"id"`
	Time        *int64 `json:"time"`
	Utilisation *int64 `json:"utilisation"`
}

type diskCounts struct {
	Errors        *int64 `json:"errors_count"`
	ReadBytes     *int64 `json:"read_bytes"`
	ReadRequests  *int64 `json:"read_requests"`
	WriteBytes    *int64 `json:"write_bytes"`
	WriteRequests *int64 `json:"write_requests"`
}

type memoryCounts struct {
	Maximum *int64 `json:"maximum"`
	Used    *int64 `json:"used"`
}

type nicCounts struct {
	MAC       *string `json:"mac_address"`
	RxDrop    *int64  `json:"rx_drop"`
	RxErrors  *int64  `json:"rx_errors"`
	RxOctets  *int64  `json:"rx_octets"`
	RxPackets *int64  `json:"rx_packets"`
	RxRate    *int64  `json:"rx_rate"`
	TxDrop    *int64  `json:"tx_drop"`
	TxErrors  *int64  `json:"tx_errors"`
	TxOctets  *int64  `json:"tx_octets"`
	TxPackets *int64  `json:"tx_packets"`
	TxRate    *int64  `json:"tx_rate"`
}

// diagnostics since 2.48 has one form for all hypervisors; before, each had its
// own, of which libvirt's is given.
func (a *api) diagnostics(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	s, d, err := a.control.Diagnostics(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	if !r.Version.AtLeast("2.48") {
		return rest.OK(oldDiagnostics(d)), nil
	}
	v := diagnosticsView{ConfigDrive: s.ConfigDrive, CPUs: []cpuCounts{}, Disks: []diskCounts{}, NICs: []nicCounts{}, Driver: d.Driver, Hypervisor: orNull(d.Hypervisor),
		HypervisorOS: orNull(d.OS), Memory: memoryCounts{d.MemoryMB, d.MemoryUsedMB}, NumCPUs: len(d.CPUs), NumDisks: len(d.Disks), NumNICs: len(d.NICs), State: d.State,
		Uptime: d.UptimeSecond}
	for _, c := range d.CPUs {
		v.CPUs = append(v.CPUs, cpuCounts{ID: c.ID, Time: c.Time})
	}
	for _, x := range d.Disks {
		v.Disks = append(v.Disks, diskCounts{x.Errors, x.ReadBytes, x.ReadRequests, x.WriteBytes, x.WriteRequests})
	}
	for _, n := range d.NICs {
		v.NICs = append(v.NICs, nicCounts{MAC: orNull(n.MAC), RxDrop: n.RxDrop, RxErrors: n.RxErrors, RxOctets: n.RxOctets, RxPackets: n.RxPackets,
			TxDrop: n.TxDrop, TxErrors: n.TxErrors, TxOctets: n.TxOctets, TxPackets: n.TxPackets})
	}
	return rest.OK(&v), nil
}

func oldDiagnostics(d compute.Diagnostics) map[string]int64 {
	out := map[string]int64{}
	set := func(value *int64, name string, args ...any) {
		if value != nil {
			out[fmt.Sprintf(name, args...)] = *value
		}
	}
	for _, c := range d.CPUs {
		set(c.Time, "cpu%d_time", c.ID)
	}
	for _, x := range d.Disks {
		for suffix, value := range map[string]*int64{"read": x.ReadBytes, "read_req": x.ReadRequests, "write": x.WriteBytes, "write_req": x.WriteRequests, "errors": x.Errors} {
			set(value, "%s_%s", x.Device, suffix)
		}
	}
	for _, n := range d.NICs {
		for suffix, value := range map[string]*int64{"rx": n.RxOctets, "rx_packets": n.RxPackets, "rx_errors": n.RxErrors, "rx_drop": n.RxDrop,
			"tx": n.TxOctets, "tx_packets": n.TxPackets, "tx_errors": n.TxErrors, "tx_drop": n.TxDrop} {
			set(value, "%s_%s", n.Device, suffix)
		}
	}
	if d.MemoryMB != nil {
		out["memory"] = *d.MemoryMB << 10 // KiB
	}
	if d.MemoryUsedMB != nil {
		out["memory-rss"] = *d.MemoryUsedMB << 10
	}
	return out
}
