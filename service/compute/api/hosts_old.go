package api

import (
	"context"
	"maps"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

func (a *api) oldHosts() []rest.Route {
	const until = "2.1-2.42"
	return []rest.Route{
		{Method: "GET", Path: "/os-hosts", Versions: until, Handle: a.listHosts, Doc: "list hosts"},
		{Method: "GET", Path: "/os-hosts/{id}", Versions: until, Handle: a.showHost, Doc: "show host"},
		{Method: "PUT", Path: "/os-hosts/{id}", Versions: until, Handle: a.updateHost, Doc: "enable or disable host"},
		{Method: "GET", Path: "/os-hosts/{id}/startup", Versions: until, Handle: a.switchHost("startup"), Doc: "start host"},
		{Method: "GET", Path: "/os-hosts/{id}/shutdown", Versions: until, Handle: a.switchHost("shutdown"), Doc: "shut host down"},
		{Method: "GET", Path: "/os-hosts/{id}/reboot", Versions: until, Handle: a.switchHost("reboot"), Doc: "reboot host"},
	}
}

func (a *api) listHosts(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	hosts, err := a.control.Hosts(ctx, r.Query.Get("zone"))
	if err != nil {
		return nil, err
	}
	views := []map[string]string{}
	for _, h := range hosts {
		views = append(views, map[string]string{"host_name": h.Name, "service": strings.TrimPrefix(h.Binary, "nova-"), "zone": h.Zone})
	}
	return rest.OK(map[string]any{"hosts": views}), nil
}

// share is a row of what a host's resources go to.
type share struct {
	Host     string `json:"host"`
	Project  string `json:"project"`
	CPU      int    `json:"cpu"`
	MemoryMB int    `json:"memory_mb"`
	DiskGB   int    `json:"disk_gb"`
}

func (s *share) add(f compute.Flavor) {
	s.CPU, s.MemoryMB, s.DiskGB = s.CPU+f.VCPUs, s.MemoryMB+f.MemoryMB, s.DiskGB+f.RootGB+f.EphemeralGB
}

func (a *api) showHost(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	h, servers, err := a.control.HostShares(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	name, has := h.Name, h.Resources
	shares := []share{{name, "(total)", has.VCPUs, has.MemoryMB, has.DiskGB}, {name, "(used_now)", h.Load.VCPUs, has.MemoryUsedMB, has.DiskUsedGB}}
	most, by := share{Host: name, Project: "(used_max)"}, map[string]*share{}
	for _, s := range servers {
		if by[s.ProjectID] == nil {
			by[s.ProjectID] = &share{Host: name, Project: s.ProjectID}
		}
		most.add(s.Flavor)
		by[s.ProjectID].add(s.Flavor)
	}
	shares = append(shares, most)
	for _, project := range slices.Sorted(maps.Keys(by)) {
		shares = append(shares, *by[project])
	}
	views := []map[string]share{}
	for _, s := range shares {
		views = append(views, map[string]share{"resource": s})
	}
	return rest.OK(map[string]any{"host": views}), nil
}

// updateHost enables or disables a host for new servers, begins or ends its
// maintenance, or both.
func (a *api) updateHost(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Status      string `json:"status" check:"enum=enable|disable|Enable|Disable|ENABLE|DISABLE"`
		Maintenance string `json:"maintenance_mode" check:"enum=enable|disable|Enable|Disable|ENABLE|DISABLE"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.Status == "" && body.Maintenance == "" {
		return nil, fault.Invalidf("Invalid input for field/attribute body. One of status and maintenance_mode is needed.")
	}
	view := map[string]string{"host": r.Path("id")}
	if body.Status != "" {
		disabled := strings.EqualFold(body.Status, "disable")
		if err := a.control.EnableHost(ctx, r.Path("id"), control.ServiceChange{Disabled: &disabled}); err != nil {
			return nil, err
		}
		view["status"] = strings.ToLower(body.Status) + "d"
	}
	if body.Maintenance != "" {
		on := strings.EqualFold(body.Maintenance, "enable")
		if err := a.control.MaintainHost(ctx, r.Path("id"), on); err != nil {
			return nil, err
		}
		view["maintenance_mode"] = map[bool]string{true: "on_maintenance", false: "off_maintenance"}[on]
	}
	return rest.OK(view), nil
}

func (a *api) switchHost(action string) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		if err := a.control.SwitchHost(ctx, r.Path("id"), action); err != nil {
			return nil, err
		}
		return rest.OK(map[string]string{"host": r.Path("id"), "power_action": action}), nil
	}
}
