package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

func (a *api) bareMetal() []rest.Route {
	const until = "2.1-2.35"
	return []rest.Route{
		{Method: "GET", Path: "/os-baremetal-nodes", Versions: until, Handle: a.listBareNodes, Doc: "list bare metal nodes"},
		{Method: "GET", Path: "/os-baremetal-nodes/{id}", Versions: until, Handle: a.showBareNode, Doc: "show bare metal node"},
		{Method: "POST", Path: "/os-baremetal-nodes", Versions: until, Handle: askIronic("node-create"), Doc: "refers to the bare metal service"},
		{Method: "DELETE", Path: "/os-baremetal-nodes/{id}", Versions: until, Handle: askIronic("node-delete"), Doc: "refers to the bare metal service"},
		{Method: "POST", Path: "/os-baremetal-nodes/{id}/action", Action: "add_interface", Versions: until, Handle: askIronic("port-create"), Doc: "refers to the bare metal service"},
		{Method: "POST", Path: "/os-baremetal-nodes/{id}/action", Action: "remove_interface", Versions: until, Handle: askIronic("port-delete"), Doc: "refers to the bare metal service"},
	}
}

// bareNodeView has the constants that upstream shows.
type bareNodeView struct {
	ID         string    `json:"id"`
	Interfaces []bareNIC `json:"interfaces"`
	Host       string    `json:"host"`
	TaskState  *string   `json:"task_state"`
	CPUs       string    `json:"cpus"`
	MemoryMB   string    `json:"memory_mb"`
	DiskGB     string    `json:"disk_gb"`
}

type bareNIC struct {
	Address string `json:"address"`
}

func viewBareNode(n compute.BareNode) bareNodeView {
	view := bareNodeView{ID: n.ID, Interfaces: []bareNIC{}, Host: "IRONIC MANAGED", TaskState: orNull(n.State), CPUs: n.CPUs, MemoryMB: n.MemoryMB, DiskGB: n.DiskGB}
	for _, mac := range n.MACs {
		view.Interfaces = append(view.Interfaces, bareNIC{mac})
	}
	return view
}

func (a *api) listBareNodes(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	nodes, err := a.control.BareNodes(ctx)
	if err != nil {
		return nil, err
	}
	views := []bareNodeView{}
	for _, n := range nodes {
		views = append(views, viewBareNode(n))
	}
	return rest.OK(map[string]any{"nodes": views}), nil
}

func (a *api) showBareNode(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	n, err := a.control.BareNode(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"node": struct {
		bareNodeView
		ServerID *string `json:"instance_uuid"`
	}{viewBareNode(n), orNull(n.ServerID)}}), nil
}

// askIronic refers those who would change bare metal to its own service.
func askIronic(command string) rest.Handler {
	return func(context.Context, *rest.Request) (*rest.Response, error) {
		return nil, fault.Invalidf("Command Not supported. Please use Ironic command %s to perform this action.", command)
	}
}
