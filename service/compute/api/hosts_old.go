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
	const until, bare = "2.1-2.42", "2.1-2.35"
	return []rest.Route{
		{Method: "GET", Path: "/os-hosts", Versions: until, Handle: a.listHosts, Doc: "list hosts"},
		{Method: "GET", Path: "/os-hosts/{id}", Versions: until, Handle: a.showHost, Doc: "show host"},
		{Method: "PUT", Path: "/os-hosts/{id}", Versions: until, Handle: a.updateHost, Doc: "enable or disable host"},
		{Method: "GET", Path: "/os-hosts/{id}/startup", Versions: until, Handle: a.hostPower("start"), Doc: "start host"},
		{Method: "GET", Path: "/os-hosts/{id}/shutdown", Versions: until, Handle: a.hostPower("shutdown"), Doc: "shut host down"},
		{Method: "GET", Path: "/os-hosts/{id}/reboot", Versions: until, Handle: a.hostPower("reboot"), Doc: "reboot host"},

		{Method: "GET", Path: "/os-baremetal-nodes", Versions: bare, Handle: a.bareMetal("list"), Doc: "list bare metal nodes"},
		{Method: "GET", Path: "/os-baremetal-nodes/{id}", Versions: bare, Handle: a.bareMetal("show"), Doc: "show bare metal node"},
		{Method: "POST", Path: "/os-baremetal-nodes", Versions: bare, Handle: askIronic("node-create"), Doc: "refers to the bare metal service"},
		{Method: "DELETE", Path: "/os-baremetal-nodes/{id}", Versions: bare, Handle: askIronic("node-delete"), Doc: "refers to the bare metal service"},
		{Method: "POST", Path: "/os-baremetal-nodes/{id}/action", Action: "add_interface", Versions: bare, Handle: askIronic("port-create"), Doc: "refers to the bare metal service"},
		{Method: "POST", Path: "/os-baremetal-nodes/{id}/action", Action: "remove_interface", Versions: bare, Handle: askIronic("port-delete"), Doc: "refers to the bare metal service"},
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

// updateHost enables or disables a host for new servers. What upstream calls
// maintenance mode none of the drivers here has, as most of upstream's have not.
func (a *api) updateHost(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Status      string `json:"status" check:"enum=enable|disable|Enable|Disable|ENABLE|DISABLE"`
		Maintenance string `json:"maintenance_mode" check:"enum=enable|disable|Enable|Disable|ENABLE|DISABLE"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	switch {
	case body.Status == "" && body.Maintenance == "":
		return nil, fault.Invalidf("Invalid input for field/attribute body. One of status and maintenance_mode is needed.")
	case body.Maintenance != "":
		if err := a.control.May(ctx, "os_compute_api:os-hosts:update", nil); err != nil {
			return nil, err
		}
		if _, err := a.control.Store.Host(ctx, a.control.Store.DB, compute.BinaryCompute, r.Path("id")); err != nil {
			return nil, err
		}
		return nil, notSupported()
	}
	disabled := strings.EqualFold(body.Status, "disable")
	if err := a.control.EnableHost(ctx, r.Path("id"), control.ServiceChange{Disabled: &disabled}); err != nil {
		return nil, err
	}
	return rest.OK(map[string]string{"host": r.Path("id"), "status": strings.ToLower(body.Status) + "d"}), nil
}

func notSupported() error {
	return fault.New(fault.Unsupported, "The requested functionality is not supported.")
}

// hostPower would switch a host itself, which no driver does.
func (a *api) hostPower(verb string) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		if err := a.control.May(ctx, "os_compute_api:os-hosts:"+verb, nil); err != nil {
			return nil, err
		}
		if _, err := a.control.Store.Host(ctx, a.control.Store.DB, compute.BinaryCompute, r.Path("id")); err != nil {
			return nil, err
		}
		return nil, notSupported()
	}
}

// bareMetal would list what a bare metal service has; this cloud has none.
func (a *api) bareMetal(rule string) rest.Handler {
	return func(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
		if err := a.control.May(ctx, "os_compute_api:os-baremetal-nodes:"+rule, nil); err != nil {
			return nil, err
		}
		return nil, notSupported()
	}
}

// askIronic refers those who would change bare metal to its own service.
func askIronic(command string) rest.Handler {
	return func(context.Context, *rest.Request) (*rest.Response, error) {
		return nil, fault.Invalidf("Command Not supported. Please use Ironic command %s to perform this action.", command)
	}
}
