package api

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

func (a *api) listServers(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	v := a.viewer(r)
	return a.streamServers(ctx, r, "/v2.1/servers", compute.Brief, func(s *compute.Server) any { return v.brief(s) })
}

func (a *api) listServersDetailed(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	v, err := a.serverViewer(ctx, r, true)
	if err != nil {
		return nil, err
	}
	return a.streamServers(ctx, r, "/v2.1/servers/detail", compute.Visible, func(s *compute.Server) any { return v.server(s) })
}

// streamServers writes servers as they are read. One more than the page is asked
// for, to know whether there is a next one.
func (a *api) streamServers(ctx context.Context, r *rest.Request, path string, extent compute.Extent, view func(*compute.Server) any) (*rest.Response, error) {
	q, allProjects, err := a.serverQuery(ctx, r)
	if err != nil {
		return nil, err
	}
	page, err := r.Page(a.most)
	if err != nil {
		return nil, err
	}
	if r.Query.Get("limit") == "0" { // nothing, rather than all
		return rest.OK(map[string]any{"servers": []any{}}), nil
	}
	limit := page.Limit
	q.Marker, q.Limit, q.Extent = page.Marker, limit+1, extent
	servers, err := a.control.Servers(ctx, q, allProjects)
	if err != nil {
		return nil, err
	}
	last, n := "", 0
	more := false
	return &rest.Response{Items: &rest.Items{Key: "servers",
		Each: func(yield func(any) error) error {
			for s, err := range servers {
				if err != nil {
					return err
				}
				if n == limit {
					more = true
					return nil
				}
				if err := yield(view(s)); err != nil {
					return err
				}
				last, n = s.ID, n+1
			}
			return nil
		},
		Tail: func() map[string]any {
			if !more {
				return nil
			}
			return map[string]any{"servers_links": []link{{Rel: "next", Href: r.NextLink(path, last)}}}
		}}}, nil
}

// forOperators are filters that only administrators may use; from others they
// are passed over, as upstream does.
var operatorFilters = []string{"host", "node", "tenant_id", "project_id", "user_id", "task_state", "vm_state", "power_state", "deleted", "all_tenants",
	"terminated_at", "launched_at", "progress", "access_ip_v4", "access_ip_v6", "key_name", "config_drive", "availability_zone", "created_at", "locked_by", "uuid",
	"display_description", "hostname", "kernel_id", "ramdisk_id", "launch_index", "root_device_name"}

// serverQuery reads the filters and the order of a list of servers.
func (a *api) serverQuery(ctx context.Context, r *rest.Request) (q compute.ServerQuery, allProjects bool, err error) {
	operator := a.control.Policy.Allows(ctx, "os_compute_api:servers:allow_all_filters", nil)
	get := func(name string) string {
		if !operator && slices.Contains(operatorFilters, name) && !(r.Version.AtLeast("2.83") && slices.Contains(memberFilters, name)) {
			return ""
		}
		return r.Query.Get(name)
	}
	if text := r.Query.Get("all_tenants"); text != "" || r.Query.Has("all_tenants") {
		allProjects = true
		if text != "" {
			if allProjects, err = rest.ParseBool(text); err != nil {
				return q, false, fault.Invalidf("Invalid value for all_tenants: %.64s", text)
			}
		}
	}
	if allProjects { // without it, a project asked for is passed over
		q.ProjectID = firstOf(get("project_id"), get("tenant_id"))
	}
	q.UserID, q.Host, q.Node, q.Zone = get("user_id"), get("host"), get("node"), get("availability_zone")
	q.KeyName, q.Reservation = get("key_name"), get("reservation_id")
	q.ImageID, q.FlavorID = lastSegment(r.Query.Get("image")), lastSegment(r.Query.Get("flavor"))
	if id := get("uuid"); id != "" {
		q.IDs = []string{id}
	}
	deleted := false
	q.Deleted = &deleted
	if text := get("deleted"); text != "" {
		if deleted, err = rest.ParseBool(text); err != nil {
			return q, false, fault.Invalidf("Invalid value for deleted: %.64s", text)
		}
	}
	if err := a.stateFilters(r, get, &q); err != nil {
		return q, false, err
	}
	if err := timeFilters(r, &q); err != nil {
		return q, false, err
	}
	if q.Match, err = matchers(r); err != nil {
		return q, false, err
	}
	q.Shown = q.Deleted != nil && !*q.Deleted && !slices.Contains(q.States, compute.SoftDeleted)
	q.Sort, err = sortKeys(r)
	return q, allProjects, err
}

// memberFilters have been everybody's since 2.83.
var memberFilters = []string{"availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at", "power_state", "task_state", "vm_state", "progress", "user_id"}

func (a *api) stateFilters(r *rest.Request, get func(string) string, q *compute.ServerQuery) error {
	for _, status := range r.Query["status"] {
		states := compute.StatesOf(strings.ToUpper(status))
		if len(states) == 0 {
			if r.Version.AtLeast("2.38") {
				return fault.Invalidf("Invalid status value")
			}
			q.States = []compute.State{} // nothing has it
		}
		q.States = append(q.States, states...)
		if strings.EqualFold(status, "REBOOT") {
			q.Tasks = append(q.Tasks, compute.Rebooting)
		}
		if strings.EqualFold(status, "HARD_REBOOT") {
			q.Tasks = append(q.Tasks, compute.RebootingHard)
		}
		if strings.EqualFold(status, "DELETED") {
			yes := true
			q.Deleted = &yes
		}
	}
	if s := get("vm_state"); s != "" {
		q.States = []compute.State{compute.State(s)}
	}
	if t := get("task_state"); t != "" {
		q.Tasks = []compute.Task{compute.Task(t)}
	}
	if p := get("power_state"); p != "" {
		n, err := r.QueryInt("power_state", 0)
		if err != nil {
			return err
		}
		power := compute.Power(n)
		q.Power = &power
	}
	if text := r.Query.Get("locked"); text != "" && r.Version.AtLeast("2.73") {
		v, err := rest.ParseBool(text)
		if err != nil {
			return fault.Invalidf("Invalid value for locked: %.64s", text)
		}
		q.Locked = &v
	}
	if text := get("config_drive"); text != "" {
		v, err := rest.ParseBool(text)
		if err != nil {
			return fault.Invalidf("Invalid value for config_drive: %.64s", text)
		}
		q.ConfigDrive = &v
	}
	return nil
}

func timeFilters(r *rest.Request, q *compute.ServerQuery) (err error) {
	if text := r.Query.Get("changes-since"); text != "" {
		if q.ChangesSince, err = parseTime("changes-since", text); err != nil {
			return err
		}
		q.Deleted = nil // what has gone since is a change, too
	}
	if text := r.Query.Get("changes-before"); text != "" && r.Version.AtLeast("2.66") {
		if q.ChangesBefore, err = parseTime("changes-before", text); err != nil {
			return err
		}
		if !q.ChangesSince.IsZero() && q.ChangesBefore.Before(q.ChangesSince) {
			return fault.Invalidf("The value of changes-since must be less than or equal to changes-before.")
		}
		q.Deleted = nil
	}
	return nil
}

func parseTime(name, text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02T15:04:05", "2006-01-02 15:04:05.999999", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.Invalidf("Invalid value for %s: %.64s is no time in ISO 8601.", name, text)
}

// matchers are the filters that are regular expressions over what SQL cannot
// match in all databases.
func matchers(r *rest.Request) (func(*compute.Server) bool, error) {
	type matcher struct {
		pattern *regexp.Regexp
		texts   func(*compute.Server) []string
	}
	var all []matcher
	for name, texts := range map[string]func(*compute.Server) []string{
		"name":     func(s *compute.Server) []string { return []string{s.DisplayName} },
		"hostname": func(s *compute.Server) []string { return []string{s.Hostname} },
		"ip":       func(s *compute.Server) []string { return fixedIPs(s, 4) },
		"ip6":      func(s *compute.Server) []string { return fixedIPs(s, 6) },
	} {
		text := r.Query.Get(name)
		if text == "" {
			continue
		}
		if len(text) > 255 {
			return nil, fault.Invalidf("Invalid input for query parameters %s. It is too long.", name)
		}
		p, err := regexp.Compile(text)
		if err != nil {
			return nil, fault.Invalidf("Invalid input for query parameters %s. Value: %.64s. It is no regular expression.", name, text)
		}
		all = append(all, matcher{p, texts})
	}
	tags, anyTags := splitTags(r, "tags"), splitTags(r, "tags-any")
	notTags, notAny := splitTags(r, "not-tags"), splitTags(r, "not-tags-any")
	if len(all) == 0 && len(tags)+len(anyTags)+len(notTags)+len(notAny) == 0 {
		return nil, nil
	}
	return func(s *compute.Server) bool {
		for _, m := range all {
			if !slices.ContainsFunc(m.texts(s), m.pattern.MatchString) {
				return false
			}
		}
		has := func(t string) bool { return slices.Contains(s.Tags, t) }
		return every(tags, has) && (len(anyTags) == 0 || slices.ContainsFunc(anyTags, has)) &&
			(len(notTags) == 0 || !every(notTags, has)) && !slices.ContainsFunc(notAny, has)
	}, nil
}

func every(list []string, ok func(string) bool) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !ok(s) })
}

func splitTags(r *rest.Request, name string) []string {
	if text := r.Query.Get(name); text != "" && r.Version.AtLeast("2.26") {
		return strings.Split(text, ",")
	}
	return nil
}

func fixedIPs(s *compute.Server, version int) []string {
	var all []string
	for _, n := range s.Networks {
		for _, ip := range n.FixedIPs {
			if ipVersion(ip.Address) == version {
				all = append(all, ip.Address.String())
			}
			for _, f := range ip.Floating {
				if ipVersion(f) == version {
					all = append(all, f.String())
				}
			}
		}
	}
	return all
}

func sortKeys(r *rest.Request) ([]compute.Order, error) {
	var order []compute.Order
	dirs := r.Query["sort_dir"]
	for i, key := range r.Query["sort_key"] {
		if !slices.Contains(compute.ServerSortKeys, key) {
			return nil, fault.Invalidf("Invalid input for query parameters sort_key. Value: %.64s. It is no key to sort by.", key)
		}
		desc := true
		if i < len(dirs) {
			switch dirs[i] {
			case "asc":
				desc = false
			case "desc":
			default:
				return nil, fault.Invalidf("Unknown sort direction, must be 'desc' or 'asc': %.64s", dirs[i])
			}
		}
		order = append(order, compute.Order{Key: key, Desc: desc})
	}
	return order, nil
}

func lastSegment(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
