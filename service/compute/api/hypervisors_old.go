package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

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

// hypervisorUptime shows what the program uptime says on the host. Since 2.88 it
// is a member of every hypervisor.
func (a *api) hypervisorUptime(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, err := a.control.Hypervisors(ctx, "uptime")
	if err != nil {
		return nil, err
	}
	if err := uuidAt253(r, r.Path("id")); err != nil {
		return nil, err
	}
	for _, h := range all {
		if id := r.Path("id"); h.NodeID == id && r.Version.AtLeast("2.53") || strconv.FormatInt(h.Seq, 10) == id && !r.Version.AtLeast("2.53") {
			text := a.uptime(h)
			switch {
			case !h.Up:
				return nil, fault.Invalidf("Compute service of %s is unavailable at this time.", h.Name)
			case text == nil:
				return nil, fault.New(fault.Unsupported, "The host %s does not tell its uptime.", h.Name)
			}
			view := struct {
				*oldHypervisor
				ID     any    `json:"id"`
				Uptime string `json:"uptime"`
			}{viewOldHypervisor(h), h.NodeID, *text}
			if !r.Version.AtLeast("2.53") {
				view.ID = h.Seq
			}
			return rest.OK(map[string]any{"hypervisor": view}), nil
		}
	}
	return nil, fault.NotFoundf("Hypervisor with ID '%s' could not be found.", r.Path("id"))
}

// uptime writes a host's uptime as the program of that name does; nil when it is
// not known.
func (a *api) uptime(h control.Hypervisor) *string {
	r := h.Resources
	if r.Uptime == 0 || !h.Up {
		return nil
	}
	up := time.Duration(r.Uptime) * time.Second
	days, hours, minutes := int(up.Hours())/24, int(up.Hours())%24, int(up.Minutes())%60
	text := fmt.Sprintf(" %s up %d days, %2d:%02d,  load average: %s", a.now().UTC().Format("15:04:05"), days, hours, minutes, strings.Join(strings.Fields(r.Load), ", "))
	return &text
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
