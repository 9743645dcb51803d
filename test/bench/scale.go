package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// Scale is what reading costs with few and with many servers in the database. Two
// clouds run beside each other and are asked in turn, so that both see the same
// machine.
type Scale struct {
	Small  int     `json:"servers_small"`
	Large  int     `json:"servers_large"`
	Filled string  `json:"filled_by"`
	Fill   float64 `json:"fill_s"` // of the large one
	// Calls are named as elsewhere, with the size after them.
	Calls map[string]Distribution `json:"calls"`
	// Times says how much longer a median call takes in the large cloud.
	Times  map[string]float64 `json:"large_to_small"`
	Memory Listing            `json:"memory_listing"`
}

// Listing is what memory does while clients list page after page of the large
// cloud: PSS of its process in MiB.
type Listing struct {
	Clients int     `json:"clients"`
	Pages   int     `json:"pages"`
	Before  float64 `json:"before_mib"`
	Early   float64 `json:"peak_first_quarter_mib"`
	Late    float64 `json:"peak_last_quarter_mib"`
	After   float64 `json:"after_mib"`
}

// filledBy tells readers of the document what the figures stand on.
const filledBy = "rows: InsertServers and InsertHost of the store, like a server that was booted, on hosts that no longer report"

// scaled is one of the two clouds.
type scaled struct {
	*bench
	child *child
	tree  tree
	ids   []string // of some servers
	own   int      // how many servers its project has
}

// serversAHost is how many of the written servers are on each host.
const serversAHost = 10

// scale measures with both sizes.
func scale(ctx context.Context, binary, folder string, small, large int, s sizes) (_ *Scale, err error) {
	out := &Scale{Small: small, Large: large, Filled: filledBy, Calls: map[string]Distribution{}, Times: map[string]float64{}}
	var both []*scaled
	defer func() {
		for _, c := range both {
			err = errors.Join(err, c.child.stop())
		}
	}()
	for _, n := range []int{small, large} {
		began := time.Now()
		c, err := newScaled(ctx, binary, filepath.Join(folder, fmt.Sprint("scale-", n)), n, s)
		if err != nil {
			return out, fmt.Errorf("a cloud with %d servers: %w", n, err)
		}
		both = append(both, c)
		out.Fill = rounded(time.Since(began).Seconds())
		say("scale: %d servers are there after %.1f s", n, out.Fill)
	}
	if err := out.compare(ctx, both, s); err != nil {
		return out, err
	}
	out.Memory, err = both[1].listing(ctx, s)
	return out, err
}

// newScaled boots a server in a new cloud, writes n like it, and starts the cloud
// again.
func newScaled(ctx context.Context, binary, data string, n int, s sizes) (*scaled, error) {
	first, err := serve(ctx, binary, data, 1, defaultRounds)
	if err != nil {
		return nil, err
	}
	id, err := pattern(ctx, first, s)
	if err = errors.Join(err, first.stop()); err != nil {
		return nil, err
	}
	if err := multiply(ctx, "sqlite://"+filepath.Join(data, "db", "compute.db"), id, n); err != nil {
		return nil, err
	}
	c, err := serve(ctx, binary, data, 1, defaultRounds)
	if err != nil {
		return nil, err
	}
	x := &scaled{child: c, tree: only(c.cmd.Process.Pid), own: n + 1}
	err = func() error {
		cloud, err := open(ctx, c.env, x.tree)
		if err != nil {
			return err
		}
		x.bench = newBench(cloud, "kilonova", s, map[string]Distribution{})
		if err := x.prepare(ctx); err != nil {
			return err
		}
		x.ids, err = x.page(ctx, "/servers?limit=1000")
		return err
	}()
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return x, nil
}

// pattern boots one server and returns its id.
func pattern(ctx context.Context, c *child, s sizes) (string, error) {
	cloud, err := open(ctx, c.env, nil)
	if err != nil {
		return "", err
	}
	b := newBench(cloud, "kilonova", s, map[string]Distribution{})
	if err := b.prepare(ctx); err != nil {
		return "", err
	}
	// The APIs answer before the first host has said that it is there.
	err = until(ctx, s.patience, func() (bool, error) {
		body, err := b.call(ctx, "GET", "placement", "/allocation_candidates?resources=VCPU:1&limit=1", nil, version, placement)
		return bytes.Contains(body, []byte(`"mappings"`)), err
	})
	if err != nil {
		return "", err
	}
	id, err := b.create(ctx, b.name+"-pattern", 1)
	if err != nil {
		return "", err
	}
	return id, until(ctx, s.patience, func() (bool, error) { return b.active(ctx, id) })
}

// multiply writes n servers like one that is there, on hosts of their own.
func multiply(ctx context.Context, address, id string, n int) error {
	d, err := db.Open(ctx, address)
	if err != nil {
		return err
	}
	defer d.Close()
	st, err := store.New(ctx, d)
	if err != nil {
		return err
	}
	like, err := st.Server(ctx, d, id)
	if err != nil {
		return err
	}
	host, err := st.Host(ctx, d, compute.BinaryCompute, like.Host)
	if err != nil {
		return err
	}
	const batch = 500
	for from := 0; from < n; from += batch {
		err := st.Tx(ctx, func(tx *db.Tx) error {
			var servers []*compute.Server
			for i := from; i < min(from+batch, n); i++ {
				s := *like
				s.ID = fmt.Sprintf("5ca1ab1e-%04x-4000-8000-%012x", i>>16, i)
				s.DisplayName, s.Hostname = fmt.Sprintf("scale-%06d", i), fmt.Sprintf("scale-%06d", i)
				s.Host = fmt.Sprintf("scale-%06d", i/serversAHost)
				s.Node = s.Host
				s.CreatedAt = like.CreatedAt.Add(-time.Duration(n-i) * time.Second)
				s.UpdatedAt, s.LaunchedAt = s.CreatedAt, s.CreatedAt
				servers = append(servers, &s)
				if i%serversAHost != 0 {
					continue
				}
				h := *host
				h.ID, h.NodeID, h.Name = fmt.Sprintf("5ca1ab1e-0000-4000-9000-%012x", i), fmt.Sprintf("5ca1ab1e-0000-4000-a000-%012x", i), s.Host
				h.Resources.HypervisorName = h.Name
				if err := st.InsertHost(ctx, tx, &h); err != nil {
					return err
				}
			}
			return st.InsertServers(ctx, tx, servers...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// page returns the ids of one answer.
func (c *scaled) page(ctx context.Context, path string) (ids []string, err error) {
	var out struct{ Servers []struct{ ID string } }
	err = c.into(ctx, &out, "GET", "compute", path, nil, version, computeVersion)
	for _, s := range out.Servers {
		ids = append(ids, s.ID)
	}
	return ids, err
}

// walked is how many servers a walk reads, and in pages of how many.
const walked, walkedPage = 10_000, 1000

// walk reads servers page by page, each after the last one of the page before.
func (c *scaled) walk(ctx context.Context) (int, error) {
	marker, size, read := "", 0, 0
	for read < min(walked, c.own) {
		path := fmt.Sprintf("/servers/detail?limit=%d", walkedPage)
		if marker != "" {
			path += "&marker=" + marker
		}
		body, err := c.call(ctx, "GET", "compute", path, nil, version, computeVersion)
		if err != nil {
			return size, err
		}
		marker, read, size = next(body), read+bytes.Count(body, []byte(`"OS-EXT-STS:vm_state"`)), size+len(body)
		if want := min(walked, c.own); marker == "" && read < want {
			return size, fmt.Errorf("the walk ends after %d of %d servers", read, want)
		}
	}
	return size, nil
}

// compare asks both clouds in turn.
func (out *Scale) compare(ctx context.Context, both []*scaled, s sizes) error {
	get := func(path func(c *scaled, i int) string) func(context.Context, *scaled, int) (int, error) {
		return func(ctx context.Context, c *scaled, i int) (int, error) {
			body, err := c.call(ctx, "GET", "compute", path(c, i), nil, version, computeVersion)
			return len(body), err
		}
	}
	at := func(path string) func(*scaled, int) string { return func(*scaled, int) string { return path } }
	day := url.Values{"start": {time.Now().Add(-time.Hour).UTC().Format("2006-01-02T15:04:05")}}.Encode()
	for _, m := range []struct {
		name string
		n    int
		call func(context.Context, *scaled, int) (int, error)
	}{
		{"server_get", s.get, get(func(c *scaled, i int) string { return "/servers/" + c.ids[i%len(c.ids)] })},
		{"servers_detail_page", s.page, get(at("/servers/detail?limit=1000"))},
		{"servers_walk_10000", max(3, s.page/5), func(ctx context.Context, c *scaled, _ int) (int, error) { return c.walk(ctx) }},
		{"servers_page_of_all_projects", s.page, get(at("/servers/detail?limit=1000&all_tenants=1"))},
		{"servers_in_error", s.page, get(at("/servers/detail?status=ERROR"))},
		{"servers_of_a_host", s.page, get(at("/servers/detail?all_tenants=1&host=scale-000001"))},
		{"servers_deleted", s.page, get(at("/servers/detail?deleted=true&all_tenants=1"))},
		{"servers_changed_lately", s.page, get(at("/servers/detail?changes-since=" + url.QueryEscape(time.Now().Add(time.Hour).UTC().Format(time.RFC3339))))},
		{"limits", s.get, get(at("/limits"))},
		{"quota_detail", s.page, get(func(c *scaled, _ int) string { return "/os-quota-sets/" + c.project + "/detail" })},
		{"hypervisors_statistics", s.page, get(at("/os-hypervisors/statistics"))},
		{"usage_of_a_project_page", s.page, get(func(c *scaled, _ int) string { return "/os-simple-tenant-usage/" + c.project + "?limit=100&" + day })},
		{"server_create_and_active", s.alone, func(ctx context.Context, c *scaled, i int) (int, error) {
			id, err := c.create(ctx, fmt.Sprintf("%s-%04d", c.name, i), 1)
			if err != nil {
				return 0, err
			}
			return 0, until(ctx, s.patience, func() (bool, error) { return c.active(ctx, id) })
		}},
		{"walk_by_name_that_none_has", max(3, s.page/20), get(at("/servers/detail?name=%5Enone-has-this$"))},
	} {
		if err := out.inTurn(ctx, both, m.name, m.n, s.limit, m.call); err != nil {
			return err
		}
	}
	return nil
}

// rounds is how often the turn changes within one measurement.
const rounds = 10

// inTurn measures a call in both clouds, some at a time in each.
func (out *Scale) inTurn(ctx context.Context, both []*scaled, name string, n int, limit time.Duration, call func(context.Context, *scaled, int) (int, error)) error {
	took := make([][]float64, len(both))
	began := time.Now()
	calls := func(c *scaled, from, n int, keep *[]float64) error {
		for i := range n {
			t := time.Now()
			if _, err := call(ctx, c, from+i); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if keep != nil {
				*keep = append(*keep, milliseconds(time.Since(t)))
			}
		}
		return nil
	}
	each := max(1, n/rounds)
	for r := range rounds + 1 { // the first warms
		for i, c := range both {
			keep := &took[i]
			if r == 0 {
				keep = nil
			}
			if err := errors.Join(c.fresh(ctx), calls(c, r*each, each, keep)); err != nil {
				return err
			}
		}
		if time.Since(began) > 2*limit && r > 0 {
			break
		}
	}
	var p50 []float64
	for i, size := range []int{out.Small, out.Large} {
		var busy float64
		for _, ms := range took[i] {
			busy += ms
		}
		d := distribution(took[i], 1, time.Duration(busy*float64(time.Millisecond)))
		out.Calls[fmt.Sprintf("%s_of_%d", name, size)] = d
		p50 = append(p50, d.P50)
	}
	if p50[0] > 0 {
		out.Times[name] = rounded(p50[1] / p50[0])
	}
	say("scale: %-28s p50 %9.3f of %d, %9.3f ms of %d: %.2f times", name, p50[0], out.Small, p50[1], out.Large, out.Times[name])
	return ctx.Err()
}

// listing has clients list page after page and looks at the memory meanwhile.
func (c *scaled) listing(ctx context.Context, s sizes) (Listing, error) {
	const clients = 8
	l := Listing{Clients: clients, Pages: 4 * max(1, s.page/4) * clients}
	if err := pause(ctx, settle); err != nil {
		return l, err
	}
	l.Before = c.tree.memory().PSS
	if err := c.fresh(ctx); err != nil {
		return l, err
	}
	var peaks []float64
	for range 4 {
		peak, err := c.peak(ctx, clients, max(1, s.page/4))
		if err != nil {
			return l, err
		}
		peaks = append(peaks, rounded(peak))
	}
	l.Early, l.Late = peaks[0], peaks[len(peaks)-1]
	if err := pause(ctx, settle); err != nil {
		return l, err
	}
	l.After = c.tree.memory().PSS
	say("scale: memory before %.0f, listing %.0f, at last %.0f, after %.0f MiB", l.Before, l.Early, l.Late, l.After)
	return l, nil
}

// listed are the lists that clients read in turn.
var listed = []string{"/servers/detail?limit=1000", "/servers/detail?limit=1000&all_tenants=1", "/servers?limit=1000", "/servers/detail?deleted=true&all_tenants=1",
	"/servers/detail?limit=1000&name=scale-.*5%24", "/servers/detail?limit=1000&all_tenants=1&sort_key=display_name"}

// peak returns the highest PSS seen while each of some clients reads n pages.
func (c *scaled) peak(ctx context.Context, clients, n int) (highest float64, err error) {
	ended := make(chan struct{})
	errs := make([]error, clients)
	var all sync.WaitGroup
	for w := range clients {
		all.Go(func() {
			markers := make([]string, len(listed))
			for i := 0; i < n && errs[w] == nil; i++ {
				k := (w + i) % len(listed)
				path := listed[k]
				if markers[k] != "" {
					path += "&marker=" + markers[k]
				}
				var body []byte
				if body, errs[w] = c.call(ctx, "GET", "compute", path, nil, version, computeVersion); errs[w] != nil {
					return
				}
				markers[k] = next(body)
			}
		})
	}
	go func() { all.Wait(); close(ended) }()
	for {
		highest = max(highest, c.tree.memory().PSS)
		select {
		case <-ended:
			return highest, errors.Join(errs...)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// scaleGoals compares with what was promised.
func scaleGoals(s *Scale) (goals []Goal) {
	add := func(what, unit string, limit, measured float64) {
		goals = append(goals, Goal{what, unit, limit, measured, measured > 0 && measured < limit})
	}
	for _, size := range []int{s.Small, s.Large} {
		for _, g := range []struct {
			what, call string
			limit      float64
		}{{"GET one server", "server_get", .5}, {"GET /servers/detail of 1,000", "servers_detail_page", 15}, {"10,000 servers in pages of 1,000", "servers_walk_10000", 200}} {
			add(fmt.Sprintf("%s, %d servers in the database, p50", g.what, size), "ms", g.limit, s.Calls[fmt.Sprintf("%s_of_%d", g.call, size)].P50)
		}
	}
	for _, name := range []string{"server_get", "servers_detail_page", "servers_walk_10000"} {
		add(fmt.Sprintf("%s with %d servers to the same with %d", name, s.Large, s.Small), "times", 1.5, s.Times[name])
	}
	if s.Memory.Early > 0 {
		add("peak of memory at the end of many pages to the peak at their beginning", "times", 1.25, rounded(s.Memory.Late/s.Memory.Early))
	}
	return goals
}

// next is the marker in a page's link to the one after it; "" in the last page's.
func next(page []byte) string {
	at := bytes.LastIndex(page, []byte("marker="))
	if at < 0 {
		return ""
	}
	marker := page[at+len("marker="):]
	if end := bytes.IndexAny(marker, `"&`); end >= 0 {
		marker = marker[:end]
	}
	return string(marker)
}
