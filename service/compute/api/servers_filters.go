package api

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

// memberFilters are the filters that everybody may use, by the version since which
// they may. Those of others who are no administrators are passed over, as upstream
// does.
var memberFilters = map[string]string{"reservation_id": "2.1", "name": "2.1", "status": "2.1", "image": "2.1", "flavor": "2.1", "ip": "2.1", "changes-since": "2.1",
	"all_tenants": "2.1", "ip6": "2.5", "tags": "2.26", "tags-any": "2.26", "not-tags": "2.26", "not-tags-any": "2.26", "changes-before": "2.66", "locked": "2.73",
	"availability_zone": "2.83", "config_drive": "2.83", "key_name": "2.83", "created_at": "2.83", "launched_at": "2.83", "terminated_at": "2.83",
	"power_state": "2.83", "task_state": "2.83", "vm_state": "2.83", "progress": "2.83", "user_id": "2.83", "hostname": "2.90"}

// serverFilters reads the filters of one request.
type serverFilters struct {
	r        *rest.Request
	operator bool // may use all filters
	admin    bool
	fleet    *control.Fleet
}

// get returns a filter's value, "" when it is absent or not the caller's to use. Of
// several the last counts.
func (f *serverFilters) get(name string) string {
	since, member := memberFilters[name]
	if !f.operator && !(member && f.r.Version.AtLeast(since)) {
		return ""
	}
	if values := f.r.Query[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// serverQuery reads the filters and the order of a list of servers.
func (a *api) serverQuery(ctx context.Context, r *rest.Request) (q compute.ServerQuery, allProjects bool, err error) {
	f := &serverFilters{r: r, operator: a.control.Policy.Allows(ctx, "os_compute_api:servers:allow_all_filters", nil), admin: a.control.Policy.Allows(ctx, "context_is_admin", nil)}
	if r.Query.Has("availability_zone") {
		if f.fleet, err = a.control.Fleet(ctx); err != nil {
			return q, false, err
		}
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
		q.ProjectID = firstOf(f.get("project_id"), f.get("tenant_id"))
	}
	q.UserID, q.Host = f.get("user_id"), f.get("host")
	q.ImageID, q.FlavorID = lastSegment(firstOf(f.get("image"), f.get("image_ref"))), lastSegment(f.get("flavor"))
	if id := f.get("uuid"); id != "" {
		q.IDs = []string{id}
	}
	deleted, _ := rest.ParseBool(f.get("deleted")) // what is no truth value is false
	q.Deleted = &deleted
	if err := f.states(&q); err != nil {
		return q, false, err
	}
	if err := timeFilters(r, &q); err != nil {
		return q, false, err
	}
	if q.Match, err = f.matchers(); err != nil {
		return q, false, err
	}
	q.Shown = q.Deleted != nil && !*q.Deleted && !slices.Contains(q.States, compute.SoftDeleted)
	q.Sort, err = f.sortKeys()
	return q, allProjects, err
}

func (f *serverFilters) states(q *compute.ServerQuery) error {
	for _, status := range f.r.Query["status"] {
		states := compute.StatesOf(strings.ToUpper(status))
		if len(states) == 0 && f.r.Version.AtLeast("2.38") {
			return fault.Invalidf("Invalid status value")
		}
		q.States = append(q.States, states...)
		switch strings.ToUpper(status) {
		case "REBOOT":
			q.Tasks = append(q.Tasks, compute.Rebooting, compute.RebootPending, compute.RebootStarted)
		case "HARD_REBOOT":
			q.Tasks = append(q.Tasks, compute.RebootingHard)
		}
	}
	if f.r.Query.Has("status") && q.States == nil {
		q.States = []compute.State{} // nothing has it
	}
	if s := f.get("vm_state"); s != "" {
		q.States = []compute.State{compute.State(s)}
	}
	if slices.Equal(q.States, []compute.State{compute.Deleted}) {
		if !f.admin {
			return fault.Forbiddenf("Only administrators may list deleted instances")
		}
		*q.Deleted = true
	}
	if t := f.get("task_state"); t != "" {
		q.Tasks = []compute.Task{compute.Task(t)}
	}
	if text := f.get("locked"); text != "" && f.r.Version.AtLeast("2.73") {
		v, err := rest.ParseBool(text)
		if err != nil {
			return fault.Invalidf("Invalid value for locked: %.64s", text)
		}
		q.Locked = &v
	}
	if text := f.get("config_drive"); text != "" {
		if v, err := rest.ParseBool(text); err == nil {
			q.ConfigDrive = &v
		} else {
			q.IDs = []string{} // nothing has it
		}
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

// patternFilters are the filters that are regular expressions, with the texts that
// they are matched against. They are Go's, whose time grows with the text alone.
var patternFilters = map[string]func(*serverFilters, *compute.Server) []string{
	"name":                func(_ *serverFilters, s *compute.Server) []string { return []string{s.DisplayName} },
	"display_name":        func(_ *serverFilters, s *compute.Server) []string { return []string{s.DisplayName} },
	"description":         described,
	"display_description": described,
	"hostname":            func(_ *serverFilters, s *compute.Server) []string { return []string{s.Hostname} },
	"ip":                  func(_ *serverFilters, s *compute.Server) []string { return fixedIPs(s, 4) },
	"ip6":                 func(_ *serverFilters, s *compute.Server) []string { return fixedIPs(s, 6) },
	"access_ip_v4":        func(_ *serverFilters, s *compute.Server) []string { return []string{s.AccessIPv4} },
	"access_ip_v6":        func(_ *serverFilters, s *compute.Server) []string { return []string{s.AccessIPv6} },
	"availability_zone": func(f *serverFilters, s *compute.Server) []string {
		return []string{firstOf(f.fleet.ZoneOf(s.Host), s.AvailabilityZone)}
	},
	"node":             func(_ *serverFilters, s *compute.Server) []string { return []string{s.Node} },
	"key_name":         func(_ *serverFilters, s *compute.Server) []string { return []string{s.KeyName} },
	"reservation_id":   func(_ *serverFilters, s *compute.Server) []string { return []string{s.ReservationID} },
	"root_device_name": func(_ *serverFilters, s *compute.Server) []string { return []string{s.RootDevice} },
	"kernel_id": func(_ *serverFilters, s *compute.Server) []string {
		return []string{s.ImageMeta.Properties["kernel_id"]}
	},
	"ramdisk_id": func(_ *serverFilters, s *compute.Server) []string {
		return []string{s.ImageMeta.Properties["ramdisk_id"]}
	},
	"launch_index":  func(_ *serverFilters, s *compute.Server) []string { return []string{strconv.Itoa(s.LaunchIndex)} },
	"progress":      func(_ *serverFilters, s *compute.Server) []string { return []string{strconv.Itoa(s.Progress)} },
	"power_state":   func(_ *serverFilters, s *compute.Server) []string { return []string{strconv.Itoa(int(s.Power))} },
	"locked_by":     func(_ *serverFilters, s *compute.Server) []string { return []string{s.LockedBy} },
	"created_at":    func(_ *serverFilters, s *compute.Server) []string { return instant(s.CreatedAt) },
	"launched_at":   func(_ *serverFilters, s *compute.Server) []string { return instant(s.LaunchedAt) },
	"terminated_at": func(_ *serverFilters, s *compute.Server) []string { return instant(s.TerminatedAt) },
}

func described(_ *serverFilters, s *compute.Server) []string {
	if s.Description == nil {
		return nil
	}
	return []string{*s.Description}
}

// instant is a time as upstream's database has it; and as the API shows it.
func instant(t time.Time) []string {
	if t.IsZero() {
		return nil
	}
	return []string{t.UTC().Format("2006-01-02 15:04:05.000000"), t.UTC().Format("2006-01-02T15:04:05.000000")}
}

// maxPattern bounds a regular expression.
const maxPattern = 255

// matchers are the filters that SQL cannot match in all databases; nil: there are
// none.
func (f *serverFilters) matchers() (func(*compute.Server) bool, error) {
	type matcher struct {
		pattern *regexp.Regexp
		texts   func(*serverFilters, *compute.Server) []string
	}
	var all []matcher
	for name, texts := range patternFilters {
		text := f.get(name)
		if text == "" {
			continue
		}
		if len(text) > maxPattern {
			return nil, fault.Invalidf("Invalid input for query parameters %s. It is too long.", name)
		}
		p, err := regexp.Compile(text)
		if err != nil {
			return nil, fault.Invalidf("Invalid input for query parameters %s. Value: %.64s. It is no regular expression.", name, text)
		}
		all = append(all, matcher{p, texts})
	}
	tags, anyTags := splitTags(f.r, "tags"), splitTags(f.r, "tags-any")
	notTags, notAny := splitTags(f.r, "not-tags"), splitTags(f.r, "not-tags-any")
	if len(all) == 0 && len(tags)+len(anyTags)+len(notTags)+len(notAny) == 0 {
		return nil, nil
	}
	return func(s *compute.Server) bool {
		for _, m := range all {
			if !slices.ContainsFunc(m.texts(f, s), m.pattern.MatchString) {
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

// ignoredSortKeys are taken and passed over, as upstream does.
var ignoredSortKeys = []string{"architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted", "deleted_at", "disable_terminate",
	"ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "memory_mb", "os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus",
	"vm_mode"}

// sortKeys reads the order. A key without a direction of its own has the first's.
func (f *serverFilters) sortKeys() ([]compute.Order, error) {
	keys, dirs := f.r.Query["sort_key"], f.r.Query["sort_dir"]
	for _, dir := range dirs {
		if dir != "asc" && dir != "desc" {
			return nil, fault.Invalidf("Unknown sort direction, must be 'desc' or 'asc': %.64s", dir)
		}
	}
	if len(keys) == 0 {
		keys = []string{"created_at"}
	}
	if len(dirs) > len(keys) {
		return nil, fault.Invalidf("Sort direction array size exceeds sort key array size.")
	}
	var order []compute.Order
	for i, key := range keys {
		switch {
		case slices.Contains(ignoredSortKeys, key), key == "locked" && !f.r.Version.AtLeast("2.73"):
			continue
		case !slices.Contains(compute.ServerSortKeys, key):
			return nil, fault.Invalidf("Invalid input for query parameters sort_key. Value: %.64s. It is no key to sort by.", key)
		case (key == "host" || key == "node") && !f.admin:
			return nil, fault.Forbiddenf("Only administrators can sort servers by %s", key)
		}
		dir := "desc"
		if len(dirs) > 0 {
			dir = dirs[0]
		}
		if i < len(dirs) {
			dir = dirs[i]
		}
		order = append(order, compute.Order{Key: key, Desc: dir == "desc"})
	}
	return order, nil
}
