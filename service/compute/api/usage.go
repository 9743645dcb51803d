package api

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

func (a *api) usages() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/os-simple-tenant-usage", Handle: a.listUsage, Doc: "list usage of all projects"},
		{Method: "GET", Path: "/os-simple-tenant-usage/{project}", Handle: a.showUsage, Doc: "show usage of project"},
		{Method: "GET", Path: "/os-instance_usage_audit_log", Handle: a.listAuditLog, Doc: "show last usage audit"},
		{Method: "GET", Path: "/os-instance_usage_audit_log/{before}", Handle: a.showAuditLog, Doc: "show usage audit before a time"},
	}
}

type serverUsage struct {
	Hours     float64 `json:"hours"`
	Flavor    string  `json:"flavor"`
	ServerID  string  `json:"instance_id"`
	Name      string  `json:"name"`
	ProjectID string  `json:"tenant_id"`
	MemoryMB  int     `json:"memory_mb"`
	LocalGB   int     `json:"local_gb"`
	VCPUs     int     `json:"vcpus"`
	StartedAt string  `json:"started_at"`
	EndedAt   *string `json:"ended_at"`
	State     string  `json:"state"`
	Uptime    int     `json:"uptime"`
}

type projectUsage struct {
	ProjectID string         `json:"tenant_id"`
	Servers   *[]serverUsage `json:"server_usages,omitempty"`
	LocalGB   float64        `json:"total_local_gb_usage"`
	VCPUs     float64        `json:"total_vcpus_usage"`
	MemoryMB  float64        `json:"total_memory_mb_usage"`
	Hours     float64        `json:"total_hours"`
	Start     string         `json:"start"`
	Stop      string         `json:"stop"`
}

func microText(t time.Time) string { return rest.MicroTime{Time: t}.Text() }

func (a *api) usageOf(s *compute.Server, begin, end time.Time) serverUsage {
	u := serverUsage{Flavor: s.Flavor.Name, ServerID: s.ID, Name: s.DisplayName, ProjectID: s.ProjectID, MemoryMB: s.Flavor.MemoryMB,
		LocalGB: s.Flavor.RootGB + s.Flavor.EphemeralGB, VCPUs: s.Flavor.VCPUs, StartedAt: microText(s.LaunchedAt), State: string(s.State)}
	until, stop := a.now(), end
	if !s.TerminatedAt.IsZero() {
		text := microText(s.TerminatedAt)
		u.State, u.EndedAt, until = "terminated", &text, s.TerminatedAt
		if until.Before(stop) {
			stop = until
		}
	}
	if s.LaunchedAt.After(begin) {
		begin = s.LaunchedAt
	}
	u.Hours, u.Uptime = max(0, stop.Sub(begin).Hours()), int(until.Sub(s.LaunchedAt).Seconds())
	return u
}

// usagePeriod reads start and end of a question about usage; both are now unless
// given, so that one of them has to be.
func (a *api) usagePeriod(r *rest.Request) (begin, end time.Time, err error) {
	read := func(name string) (time.Time, error) {
		text := r.Query.Get(name)
		if text == "" {
			return a.now().UTC(), nil
		}
		for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999"} {
			if t, err := time.Parse(layout, text); err == nil {
				return t, nil
			}
		}
		return time.Time{}, fault.Invalidf("Invalid datetime string: Datetime is in invalid format")
	}
	if begin, err = read("start"); err != nil {
		return begin, end, err
	}
	if end, err = read("end"); err != nil {
		return begin, end, err
	}
	if !begin.Before(end) {
		return begin, end, fault.Invalidf("Invalid start time. The start time cannot occur after the end time.")
	}
	if now := a.now().UTC(); end.After(now) {
		end = now
	}
	return begin, end, nil
}

// usage sums up what servers used, by project, with links to the next page since 2.40.
func (a *api) usage(ctx context.Context, r *rest.Request, project string, detailed bool) ([]*projectUsage, []link, error) {
	begin, end, err := a.usagePeriod(r)
	if err != nil {
		return nil, nil, err
	}
	page := rest.Page{Limit: a.most}
	if r.Version.AtLeast("2.40") {
		if page, err = r.Page(a.most); err != nil {
			return nil, nil, err
		}
	}
	servers, err := a.control.UsedServers(ctx, project, begin, end, page.Marker, page.Limit)
	if err != nil {
		return nil, nil, err
	}
	all := []*projectUsage{}
	for _, s := range servers {
		if len(all) == 0 || all[len(all)-1].ProjectID != s.ProjectID {
			u := &projectUsage{ProjectID: s.ProjectID, Start: microText(begin), Stop: microText(end)}
			if detailed {
				u.Servers = &[]serverUsage{}
			}
			all = append(all, u)
		}
		sum, u := all[len(all)-1], a.usageOf(s, begin, end)
		sum.Hours += u.Hours
		sum.VCPUs, sum.MemoryMB, sum.LocalGB = sum.VCPUs+float64(u.VCPUs)*u.Hours, sum.MemoryMB+float64(u.MemoryMB)*u.Hours, sum.LocalGB+float64(u.LocalGB)*u.Hours
		if detailed {
			*sum.Servers = append(*sum.Servers, u)
		}
	}
	if !r.Version.AtLeast("2.40") || r.Query.Get("limit") == "" || len(servers) < page.Limit || len(servers) == 0 {
		return all, nil, nil
	}
	path := "/v2.1/os-simple-tenant-usage"
	if project != "" {
		path += "/" + url.PathEscape(project)
	}
	return all, []link{{Rel: "next", Href: r.NextLink(path, servers[len(servers)-1].ID)}}, nil
}

func (a *api) listUsage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, links, err := a.usage(ctx, r, "", r.Query.Get("detailed") == "1")
	if err != nil {
		return nil, err
	}
	body := map[string]any{"tenant_usages": all}
	if links != nil {
		body["tenant_usages_links"] = links
	}
	return rest.OK(body), nil
}

func (a *api) showUsage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, links, err := a.usage(ctx, r, r.Path("project"), true)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"tenant_usage": map[string]any{}}
	if len(all) == 1 {
		body["tenant_usage"] = all[0]
	}
	if links != nil {
		body["tenant_usage_links"] = links
	}
	return rest.OK(body), nil
}

func (a *api) listAuditLog(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	log, err := a.control.AuditLog(ctx, a.now(), false)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"instance_usage_audit_logs": viewAuditLog(log)}), nil
}

func (a *api) showAuditLog(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	before, err := time.Parse("2006-01-02 15:04:05.999999", r.Path("before"))
	if err != nil {
		return nil, fault.Invalidf("Invalid timestamp for date %.64s", r.Path("before"))
	}
	log, err := a.control.AuditLog(ctx, before, true)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"instance_usage_audit_log": viewAuditLog(log)}), nil
}

func viewAuditLog(log *control.AuditLog) map[string]any {
	const layout = "2006-01-02 15:04:05"
	hosts, servers := map[string]any{}, 0
	for _, a := range log.Done {
		hosts[a.Host] = map[string]any{"state": "DONE", "instances": a.Servers, "errors": 0, "message": a.Message}
		servers += a.Servers
	}
	done, all := len(log.Done), len(log.Done)+len(log.NotRun)
	status := "ALL hosts done. 0 errors."
	if done < all {
		status = fmt.Sprintf("%d of %d hosts done. 0 errors.", done, all)
	}
	return map[string]any{"period_beginning": log.Begin.Format(layout), "period_ending": log.End.Format(layout), "num_hosts": all, "num_hosts_done": done,
		"num_hosts_running": 0, "num_hosts_not_run": len(log.NotRun), "hosts_not_run": orNone(log.NotRun), "total_instances": servers, "total_errors": 0,
		"overall_status": status, "log": hosts}
}
