package api

import (
	"context"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute/control"
)

// searchHypervisors finds hypervisors by a part of their names: what the query
// hypervisor_hostname_pattern does since 2.53.
func (a *api) searchHypervisors(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.oldHypervisors(ctx, r, "search", false)
}

// hypervisorServers finds them likewise and lists their servers: with_servers
// since 2.53.
func (a *api) hypervisorServers(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.oldHypervisors(ctx, r, "servers", true)
}

func (a *api) oldHypervisors(ctx context.Context, r *rest.Request, rule string, withServers bool) (*rest.Response, error) {
	all, err := a.control.Hypervisors(ctx, rule)
	if err != nil {
		return nil, err
	}
	views := []*oldHypervisor{}
	for _, h := range all {
		if !strings.Contains(nodeName(h), r.Path("id")) {
			continue
		}
		view := viewOldHypervisor(h)
		if withServers && h.Load.Servers > 0 { // absent where there is none
			if view.Servers, err = a.serversOn(ctx, h); err != nil {
				return nil, err
			}
		}
		views = append(views, view)
	}
	if len(views) == 0 {
		return nil, fault.NotFoundf("No hypervisor matching '%.64s' could be found.", r.Path("id"))
	}
	return rest.OK(map[string]any{"hypervisors": views}), nil
}

// hypervisorUptime says that no driver knows how long its host has been up, which
// clients are ready to hear: upstream's say so, too, where they cannot tell.
func (a *api) hypervisorUptime(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, err := a.control.Hypervisors(ctx, "uptime")
	if err != nil {
		return nil, err
	}
	for _, h := range all {
		if id := r.Path("id"); h.NodeID == id && r.Version.AtLeast("2.53") || strconv.FormatInt(h.Seq, 10) == id && !r.Version.AtLeast("2.53") {
			return nil, fault.New(fault.Unsupported, "The hypervisor of %s does not tell its uptime.", h.Name)
		}
	}
	return nil, fault.NotFoundf("Hypervisor with ID '%s' could not be found.", r.Path("id"))
}

type oldHypervisor struct {
	ID       int64         `json:"id"`
	Hostname string        `json:"hypervisor_hostname"`
	State    string        `json:"state"`
	Status   string        `json:"status"`
	Servers  *[]hostServer `json:"servers,omitempty"`
}

func viewOldHypervisor(h control.Hypervisor) *oldHypervisor {
	return &oldHypervisor{ID: h.Seq, Hostname: nodeName(h), State: upDown(h.Up), Status: enabled(h.Host)}
}
