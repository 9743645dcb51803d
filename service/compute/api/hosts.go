package api

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

func (a *api) listZones(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.zones(ctx, false)
}

func (a *api) listZonesDetailed(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.zones(ctx, true)
}

func (a *api) zones(ctx context.Context, detail bool) (*rest.Response, error) {
	zones, err := a.control.Zones(ctx, detail)
	if err != nil {
		return nil, err
	}
	views := []map[string]any{}
	for _, z := range zones {
		view := map[string]any{"zoneName": z.Name, "zoneState": map[string]bool{"available": z.Available}, "hosts": nil}
		if detail {
			hosts := map[string]map[string]any{}
			for _, h := range z.Hosts {
				if hosts[h.Name] == nil {
					hosts[h.Name] = map[string]any{}
				}
				hosts[h.Name][h.Binary] = map[string]any{"available": a.control.HostUp(h), "active": !h.Disabled, "updated_at": rest.MicroTime{Time: h.LastSeen}}
			}
			view["hosts"] = hosts
		}
		views = append(views, view)
	}
	return rest.OK(map[string]any{"availabilityZoneInfo": views}), nil
}

type serviceView struct {
	ID         any            `json:"id"` // a number before 2.53
	Binary     string         `json:"binary"`
	Host       string         `json:"host"`
	Zone       string         `json:"zone"`
	Status     string         `json:"status"`
	State      string         `json:"state"`
	UpdatedAt  rest.MicroTime `json:"updated_at"`
	Reason     *string        `json:"disabled_reason"`
	ForcedDown bool           `json:"forced_down" mv:"2.11-"`
}

func (a *api) viewService(v rest.Version, h *compute.Host) *serviceView {
	view := &serviceView{ID: h.ID, Binary: h.Binary, Host: h.Name, Zone: h.Zone, Status: enabled(h), State: upDown(a.control.HostUp(h)),
		UpdatedAt: rest.MicroTime{Time: h.LastSeen}, Reason: orNull(h.DisabledReason), ForcedDown: h.ForcedDown}
	if !v.AtLeast("2.53") {
		view.ID = h.Seq
	}
	return view
}

func enabled(h *compute.Host) string {
	if h.Disabled {
		return "disabled"
	}
	return "enabled"
}

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func (a *api) listServices(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	hosts, err := a.control.Services(ctx, r.Query.Get("binary"), r.Query.Get("host"))
	if err != nil {
		return nil, err
	}
	return &rest.Response{Items: &rest.Items{Key: "services", Each: func(yield func(any) error) error {
		for _, h := range hosts {
			if err := yield(a.viewService(r.Version, h)); err != nil {
				return err
			}
		}
		return nil
	}}}, nil
}

// updateService has two forms: since 2.53 /os-services/{uuid}, before it
// /os-services/{enable,disable,disable-log-reason,force-down} with host and
// binary in the body.
func (a *api) updateService(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if r.Version.AtLeast("2.53") {
		return a.updateServiceByID(ctx, r)
	}
	var body struct {
		Host       string     `json:"host" check:"required len=1..255 match=hostname"`
		Binary     string     `json:"binary" check:"required len=1..255"`
		Reason     *string    `json:"disabled_reason" check:"len=1..255"`
		ForcedDown *rest.Bool `json:"forced_down" mv:"2.11-"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	yes, no := true, false
	change := control.ServiceChange{}
	view := map[string]any{"host": body.Host, "binary": body.Binary}
	switch verb := r.Path("id"); {
	case verb == "enable":
		change.Disabled, view["status"] = &no, "enabled"
	case verb == "disable":
		change.Disabled, view["status"] = &yes, "disabled"
	case verb == "disable-log-reason":
		if body.Reason == nil {
			return nil, fault.Invalidf("Missing disabled reason field")
		}
		change.Disabled, change.Reason = &yes, body.Reason
		view["status"], view["disabled_reason"] = "disabled", *body.Reason
	case verb == "force-down" && r.Version.AtLeast("2.11"):
		if body.ForcedDown == nil {
			return nil, fault.Invalidf("Missing forced_down field")
		}
		change.ForcedDown = (*bool)(body.ForcedDown)
		view["forced_down"] = *body.ForcedDown
	default:
		return nil, fault.NotFoundf("Unknown action")
	}
	if _, err := a.control.UpdateService(ctx, "", body.Host, body.Binary, change); err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"service": view}), nil
}

func (a *api) updateServiceByID(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Status     *string    `json:"status" check:"enum=enabled|disabled"`
		Reason     *string    `json:"disabled_reason" check:"len=1..255"`
		ForcedDown *rest.Bool `json:"forced_down"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if !rest.IsUUID(r.Path("id")) {
		return nil, fault.Invalidf("Invalid uuid %.64s", r.Path("id"))
	}
	if body.Status == nil && body.ForcedDown == nil {
		return nil, fault.Invalidf("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
	}
	change := control.ServiceChange{Reason: body.Reason, ForcedDown: (*bool)(body.ForcedDown)}
	if body.Status != nil {
		disabled := *body.Status == "disabled"
		change.Disabled = &disabled
	}
	if body.Reason != nil && (change.Disabled == nil || !*change.Disabled) {
		return nil, fault.Invalidf("Specifying disabled_reason requires that status is 'disabled'.")
	}
	h, err := a.control.UpdateService(ctx, r.Path("id"), "", "", change)
	if err != nil {
		return nil, err
	}
	return rest.OK(&struct {
		Service *serviceView `json:"service"`
	}{a.viewService(r.Version, h)}), nil
}

// uuidAt253 refuses what is no UUID where hosts are known by these.
func uuidAt253(r *rest.Request, id string) error {
	if r.Version.AtLeast("2.53") && !rest.IsUUID(id) {
		return fault.Invalidf("Invalid uuid %.64s", id)
	}
	return nil
}

func (a *api) deleteService(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id := r.Path("id")
	if err := uuidAt253(r, id); err != nil {
		return nil, err
	}
	if !r.Version.AtLeast("2.53") { // a number then
		hosts, err := a.control.Services(ctx, "", "")
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(hosts, func(h *compute.Host) bool { return strconv.FormatInt(h.Seq, 10) == id })
		if i < 0 {
			return nil, fault.NotFoundf("Service %.64s could not be found.", id)
		}
		id = hosts[i].ID
	}
	return rest.NoContent(), a.control.DeleteService(ctx, id)
}

type hypervisorView struct {
	ID         any              `json:"id"` // a number before 2.53
	Hostname   string           `json:"hypervisor_hostname"`
	Status     string           `json:"status"`
	State      string           `json:"state"`
	HostIP     string           `json:"host_ip"`
	Type       string           `json:"hypervisor_type"`
	Version    int              `json:"hypervisor_version"`
	Service    hypervisorOf     `json:"service"`
	Uptime     rest.Opt[string] `json:"uptime,omitzero" mv:"2.88-"`
	VCPUs      int              `json:"vcpus" mv:"-2.87"`
	VCPUsUsed  int              `json:"vcpus_used" mv:"-2.87"`
	MemoryMB   int              `json:"memory_mb" mv:"-2.87"`
	MemoryUsed int              `json:"memory_mb_used" mv:"-2.87"`
	FreeRAM    int              `json:"free_ram_mb" mv:"-2.87"`
	LocalGB    int              `json:"local_gb" mv:"-2.87"`
	LocalUsed  int              `json:"local_gb_used" mv:"-2.87"`
	FreeDisk   int              `json:"free_disk_gb" mv:"-2.87"`
	LeastDisk  int              `json:"disk_available_least" mv:"-2.87"`
	RunningVMs int              `json:"running_vms" mv:"-2.87"`
	Workload   int              `json:"current_workload" mv:"-2.87"`
	CPUInfo    any              `json:"cpu_info" mv:"-2.87"` // a text before 2.28
	Servers    *[]hostServer    `json:"servers,omitempty" mv:"2.53-"`
}

type hypervisorOf struct {
	ID     any     `json:"id"`
	Host   string  `json:"host"`
	Reason *string `json:"disabled_reason"`
}

type hostServer struct {
	UUID string `json:"uuid"`
	Name string `json:"name"`
}

type hypervisorBrief struct {
	ID       any           `json:"id"`
	Hostname string        `json:"hypervisor_hostname"`
	State    string        `json:"state"`
	Status   string        `json:"status"`
	Servers  *[]hostServer `json:"servers,omitempty" mv:"2.53-"`
}

func (a *api) viewHypervisor(v rest.Version, h control.Hypervisor) *hypervisorView {
	r := h.Resources
	view := &hypervisorView{ID: h.NodeID, Hostname: nodeName(h), Status: enabled(h.Host), State: upDown(h.Up), HostIP: r.HostIP, Type: r.HypervisorType,
		Version: r.HypervisorVersion, Service: hypervisorOf{h.ID, h.Name, orNull(h.DisabledReason)}, Uptime: optPtr(a.uptime(h)),
		VCPUs: r.VCPUs, VCPUsUsed: h.Load.VCPUs, MemoryMB: r.MemoryMB, MemoryUsed: r.MemoryUsedMB, FreeRAM: r.MemoryMB - r.MemoryUsedMB,
		LocalGB: r.DiskGB, LocalUsed: r.DiskUsedGB, FreeDisk: r.DiskGB - r.DiskUsedGB, LeastDisk: r.DiskFreeGB, RunningVMs: h.Load.Servers,
		Workload: h.Load.Busy, CPUInfo: cpuInfo(v, r.CPU)}
	if !v.AtLeast("2.53") {
		view.ID, view.Service.ID = h.Seq, h.Seq
	}
	return view
}

func nodeName(h control.Hypervisor) string { return firstOf(h.Resources.HypervisorName, h.Name) }

// cpuInfo is an object since 2.28 and was a text of JSON before.
func cpuInfo(v rest.Version, cpu compute.CPU) any {
	if cpu.Features == nil {
		cpu.Features = []string{}
	}
	if v.AtLeast("2.28") {
		return cpu
	}
	data, err := json.Marshal(cpu)
	if err != nil {
		return ""
	}
	return string(data)
}

func (a *api) listHypervisors(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.hypervisors(ctx, r, "list", "/v2.1/os-hypervisors", func(h control.Hypervisor, servers *[]hostServer) any {
		view := hypervisorBrief{ID: h.NodeID, Hostname: nodeName(h), State: upDown(h.Up), Status: enabled(h.Host), Servers: servers}
		if !r.Version.AtLeast("2.53") {
			view.ID = h.Seq
		}
		return &view
	})
}

func (a *api) listHypervisorsDetailed(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.hypervisors(ctx, r, "list-detail", "/v2.1/os-hypervisors/detail", func(h control.Hypervisor, servers *[]hostServer) any {
		view := a.viewHypervisor(r.Version, h)
		view.Servers = servers
		return view
	})
}

func (a *api) hypervisors(ctx context.Context, r *rest.Request, rule, path string, view func(control.Hypervisor, *[]hostServer) any) (*rest.Response, error) {
	all, err := a.control.Hypervisors(ctx, rule)
	if err != nil {
		return nil, err
	}
	if all, err = matchHypervisors(r, all); err != nil {
		return nil, err
	}
	page, err := r.Page(a.most)
	if err != nil {
		return nil, err
	}
	if page.Marker != "" && r.Version.AtLeast("2.33") {
		at := -1
		for i, h := range all {
			if h.NodeID == page.Marker || strconv.FormatInt(h.Seq, 10) == page.Marker {
				at = i
			}
		}
		if at < 0 {
			return nil, fault.Invalidf("marker [%s] not found", page.Marker)
		}
		all = all[at+1:]
	}
	more := len(all) > page.Limit
	all = all[:min(page.Limit, len(all))]
	withServers, _ := rest.ParseBool(r.Query.Get("with_servers"))
	return &rest.Response{Items: &rest.Items{Key: "hypervisors",
		Each: func(yield func(any) error) error {
			for _, h := range all {
				var servers *[]hostServer
				if withServers {
					if servers, err = a.serversOn(ctx, h); err != nil {
						return err
					}
				}
				if err := yield(view(h, servers)); err != nil {
					return err
				}
			}
			return nil
		},
		Tail: func() map[string]any {
			if !more || !r.Version.AtLeast("2.33") {
				return nil
			}
			return map[string]any{"hypervisors_links": []link{{Rel: "next", Href: r.NextLink(path, all[len(all)-1].NodeID)}}}
		}}}, nil
}

func (a *api) serversOn(ctx context.Context, h control.Hypervisor) (*[]hostServer, error) {
	list := []hostServer{}
	servers, err := a.control.ServersOfHost(ctx, h.Name)
	for _, s := range servers {
		list = append(list, hostServer{s.ID, s.GuestName()})
	}
	return &list, err
}

func matchHypervisors(r *rest.Request, all []control.Hypervisor) ([]control.Hypervisor, error) {
	pattern := r.Query.Get("hypervisor_hostname_pattern")
	if pattern == "" || !r.Version.AtLeast("2.53") {
		return all, nil
	}
	var some []control.Hypervisor
	for _, h := range all {
		if strings.Contains(nodeName(h), pattern) {
			some = append(some, h)
		}
	}
	if len(some) == 0 {
		return nil, fault.NotFoundf("No hypervisor matching '%.64s' could be found.", pattern)
	}
	return some, nil
}

func (a *api) showHypervisor(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, err := a.control.Hypervisors(ctx, "show")
	if err != nil {
		return nil, err
	}
	if err := uuidAt253(r, r.Path("id")); err != nil {
		return nil, err
	}
	for _, h := range all {
		if id := r.Path("id"); h.NodeID == id && r.Version.AtLeast("2.53") || strconv.FormatInt(h.Seq, 10) == id && !r.Version.AtLeast("2.53") {
			view := a.viewHypervisor(r.Version, h)
			if with, _ := rest.ParseBool(r.Query.Get("with_servers")); with || r.Version.AtLeast("2.75") && h.Load.Servers == 0 {
				if view.Servers, err = a.serversOn(ctx, h); err != nil {
					return nil, err
				}
			}
			return rest.OK(&struct {
				Hypervisor *hypervisorView `json:"hypervisor"`
			}{view}), nil
		}
	}
	return nil, fault.NotFoundf("Hypervisor with ID '%s' could not be found.", r.Path("id"))
}

func (a *api) hypervisorStatistics(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, err := a.control.Hypervisors(ctx, "statistics")
	if err != nil {
		return nil, err
	}
	sum := map[string]int{"count": 0, "vcpus": 0, "vcpus_used": 0, "memory_mb": 0, "memory_mb_used": 0, "free_ram_mb": 0, "local_gb": 0, "local_gb_used": 0,
		"free_disk_gb": 0, "disk_available_least": 0, "running_vms": 0, "current_workload": 0}
	for _, h := range all {
		if h.Disabled {
			continue
		}
		v := a.viewHypervisor(r.Version, h)
		for name, n := range map[string]int{"count": 1, "vcpus": v.VCPUs, "vcpus_used": v.VCPUsUsed, "memory_mb": v.MemoryMB, "memory_mb_used": v.MemoryUsed,
			"free_ram_mb": v.FreeRAM, "local_gb": v.LocalGB, "local_gb_used": v.LocalUsed, "free_disk_gb": v.FreeDisk, "disk_available_least": v.LeastDisk,
			"running_vms": v.RunningVMs, "current_workload": v.Workload} {
			sum[name] += n
		}
	}
	return rest.OK(map[string]any{"hypervisor_statistics": sum}), nil
}
