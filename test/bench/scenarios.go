package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// sizes are how much is done of everything.
type sizes struct {
	issue, validate, get, page, alone, ports, candidates int
	rounds                                               int           // of 40 boots at 8 at a time
	servers                                              int           // on the page
	search                                               bool          // for candidates, and nothing else
	providers                                            int           // of resources
	limit                                                time.Duration // of one measurement
	patience                                             time.Duration // for a boot, or for servers to go
}

func full() sizes {
	return sizes{issue: 300, validate: 2000, get: 3000, page: 100, alone: 100, ports: 300, candidates: 100, rounds: 3, servers: 1000, providers: 1000,
		limit: time.Minute, patience: 3 * time.Minute}
}

// divided does less of each call, but not fewer servers and providers.
func (s sizes) divided(by int) sizes {
	for _, n := range []*int{&s.issue, &s.validate, &s.get, &s.page, &s.alone, &s.ports, &s.candidates, &s.rounds} {
		*n = max(1, *n/by)
	}
	return s
}

// record measures and keeps the result under a name.
func (b *bench) record(ctx context.Context, name string, n, concurrency int, call func(ctx context.Context, i int) (int, error)) error {
	if err := b.fresh(ctx); err != nil {
		return err
	}
	var cpu func() time.Duration
	if b.processes != nil {
		cpu = b.processes.cpu
	}
	d := measure(ctx, plan{n: n, concurrency: concurrency, warm: min(5, n), limit: b.sizes.limit}, cpu, call)
	b.calls[name] = d
	b.say("%-28s n=%-5d p50 %9.3f  p99 %9.3f ms  %8.1f/s  cpu %.3f ms  errors %d", name, d.N, d.P50, d.P99, d.PerSecond, d.CPU, d.Errors)
	if d.N == 0 && d.FirstError != "" {
		return fmt.Errorf("%s: %s", name, d.FirstError)
	}
	return ctx.Err()
}

// issuing measures logins by password.
func (b *bench) issuing(ctx context.Context, name string, n int) error {
	return b.record(ctx, name, n, 1, func(ctx context.Context, _ int) (int, error) {
		_, body, err := b.issue(ctx)
		return len(body), err
	})
}

func (b *bench) tokens(ctx context.Context) error {
	if err := b.issuing(ctx, "token_issue", b.sizes.issue); err != nil {
		return err
	}
	validate := func(ctx context.Context, _ int) (int, error) {
		body, err := b.call(ctx, "GET", "identity", "/auth/tokens", nil, "X-Subject-Token", b.token)
		return len(body), err
	}
	if err := b.record(ctx, "token_validate", b.sizes.validate, 1, validate); err != nil {
		return err
	}
	return b.record(ctx, "token_validate_at_8", 4*b.sizes.validate, 8, validate)
}

// boots measures from the POST to the first GET that says ACTIVE.
func (b *bench) boots(ctx context.Context) error {
	boot := func(prefix string) func(context.Context, int) (int, error) {
		return func(ctx context.Context, i int) (int, error) {
			id, err := b.create(ctx, fmt.Sprintf("%s-%04d", prefix, i), 1)
			if err != nil {
				return 0, err
			}
			return 0, until(ctx, b.sizes.patience, func() (bool, error) { return b.active(ctx, id) })
		}
	}
	prefix := b.name + "-alone"
	if err := b.record(ctx, "boot_alone", b.sizes.alone, 1, boot(prefix)); err != nil {
		return err
	}
	if err := b.remove(ctx, prefix); err != nil {
		return err
	}
	var walls []Distribution
	for round := range b.sizes.rounds {
		prefix := fmt.Sprintf("%s-eight-%d", b.name, round)
		if err := b.record(ctx, "boot_40_at_8", 40, 8, boot(prefix)); err != nil {
			return err
		}
		walls = append(walls, b.calls["boot_40_at_8"])
		if err := b.remove(ctx, prefix); err != nil {
			return err
		}
	}
	slices.SortFunc(walls, func(a, b Distribution) int { return int((a.Wall - b.Wall) * 1e6) })
	b.calls["boot_40_at_8"] = walls[len(walls)/2] // the round with the median time for all
	return nil
}

func (b *bench) ports(ctx context.Context) error {
	return b.record(ctx, "port_create", b.sizes.ports, 1, func(ctx context.Context, i int) (int, error) {
		body, err := b.call(ctx, "POST", "network", "/ports", object{"port": object{"network_id": b.net, "name": fmt.Sprintf("%s-%d", b.name, i)}})
		return len(body), err
	})
}

func (b *bench) removePorts(ctx context.Context) error {
	var out struct{ Ports []struct{ ID, Name string } }
	if b.net == "" {
		return nil
	}
	if err := b.into(ctx, &out, "GET", "network", "/ports?fields=id&fields=name&network_id="+b.net, nil); err != nil {
		return err
	}
	ours := slices.DeleteFunc(out.Ports, func(p struct{ ID, Name string }) bool { return !strings.HasPrefix(p.Name, b.name) })
	return b.each(ctx, len(ours), func(i int) error {
		_, err := b.call(ctx, "DELETE", "network", "/ports/"+ours[i].ID, nil)
		return err
	})
}

// lists reads servers one by one and by the page.
func (b *bench) lists(ctx context.Context) error {
	b.say("making %d servers", b.sizes.servers)
	if err := b.fill(ctx, b.sizes.servers); err != nil {
		return err
	}
	ids, err := b.servers(ctx, "", "")
	if err != nil {
		return err
	}
	get := func(path func(i int) string) func(context.Context, int) (int, error) {
		return func(ctx context.Context, i int) (int, error) {
			body, err := b.call(ctx, "GET", "compute", path(i), nil, version, computeVersion)
			return len(body), err
		}
	}
	one := get(func(i int) string { return "/servers/" + ids[i%len(ids)] })
	page := fmt.Sprintf("?limit=%d", b.sizes.servers)
	if err := b.complete(ctx, "compute", "/servers/detail"+page, computeVersion, `"OS-EXT-STS:vm_state"`, b.sizes.servers); err != nil {
		return err
	}
	for _, m := range []struct {
		name           string
		n, concurrency int
		call           func(context.Context, int) (int, error)
	}{
		{"server_get", b.sizes.get, 1, one}, {"server_get_at_8", b.sizes.get, 8, one},
		{"servers_page", b.sizes.page, 1, get(func(int) string { return "/servers" + page })},
		{"servers_detail_page", b.sizes.page, 1, get(func(int) string { return "/servers/detail" + page })},
	} {
		if err := b.record(ctx, m.name, m.n, m.concurrency, m.call); err != nil {
			return err
		}
	}
	return nil
}

// complete makes sure that an answer is what it is measured as: that it has at
// least n elements, each of which has a member of this name.
func (b *bench) complete(ctx context.Context, service, path, ver, member string, n int) error {
	body, err := b.call(ctx, "GET", service, path, nil, version, ver)
	if err != nil {
		return err
	}
	if has := bytes.Count(body, []byte(member)); has < n {
		return fmt.Errorf("%s answers with %d elements of %d", path, has, n)
	}
	return nil
}

// candidates asks placement for hosts among many: flat ones, those with traits and
// aggregates, and trees.
func (b *bench) candidates(ctx context.Context) error {
	n := b.sizes.providers
	b.say("making %d resource providers", n)
	racks := make([]string, (n+rack-1)/rack)
	for i := range racks {
		racks[i] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
	}
	if err := b.each(ctx, n, func(i int) error { return b.flatProvider(ctx, i, racks[i/rack]) }); err != nil {
		return err
	}
	resources := "resources=VCPU:1,MEMORY_MB:512,DISK_GB:1"
	if err := b.search(ctx, "candidates", resources, n); err != nil {
		return err
	}
	conditions := "&required=HW_CPU_X86_AVX2,!HW_CPU_X86_SGX&member_of=in:" + strings.Join(racks[:(len(racks)+1)/2], ",")
	suiting := 0
	for i := range min(n, (len(racks)+1)/2*rack) {
		if i%2 == 0 && i%10 != 0 {
			suiting++
		}
	}
	if err := b.search(ctx, "candidates_conditions", resources+conditions, suiting); err != nil {
		return err
	}
	if err := b.removeProviders(ctx); err != nil {
		return err
	}
	trees := n / (1 + cells)
	if err := b.each(ctx, trees, func(i int) error { return b.tree(ctx, i) }); err != nil {
		return err
	}
	err := b.search(ctx, "candidates_nested", "resources=DISK_GB:1&resources1=VCPU:2,MEMORY_MB:512", trees*cells)
	if err != nil {
		return err
	}
	return b.removeProviders(ctx)
}

// rack is how many hosts are in an aggregate, cells how many NUMA nodes are below
// a host.
const (
	rack  = 40
	cells = 4
)

// search measures a question with two limits; answers is how many there are to it.
func (b *bench) search(ctx context.Context, name, question string, answers int) error {
	for _, limit := range []int{10, 1000} {
		path := fmt.Sprintf("/allocation_candidates?%s&limit=%d", question, limit)
		if err := b.complete(ctx, "placement", path, placement, `"mappings"`, min(limit, answers)); err != nil {
			return err
		}
		err := b.record(ctx, fmt.Sprintf("%s_limit_%d", name, limit), b.sizes.candidates, 1, func(ctx context.Context, _ int) (int, error) {
			body, err := b.call(ctx, "GET", "placement", path, nil, version, placement)
			return len(body), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// flatProvider makes a host without anything below it. Every second one has AVX2,
// every tenth SGX.
func (b *bench) flatProvider(ctx context.Context, i int, aggregate string) error {
	generation, path, err := b.provider(ctx, fmt.Sprintf("%s-%05d", b.name, i), "", object{"VCPU": inventory(64, 16), "MEMORY_MB": inventory(262144, 1), "DISK_GB": inventory(2000, 1)})
	if err != nil {
		return err
	}
	traits := []string{"HW_CPU_X86_SSE", "HW_CPU_X86_SSE2"}
	if i%2 == 0 {
		traits = append(traits, "HW_CPU_X86_AVX2")
	}
	if i%10 == 0 {
		traits = append(traits, "HW_CPU_X86_SGX")
	}
	if _, err := b.call(ctx, "PUT", "placement", path+"/traits", object{"resource_provider_generation": generation, "traits": traits}, version, placement); err != nil {
		return err
	}
	_, err = b.call(ctx, "PUT", "placement", path+"/aggregates", object{"resource_provider_generation": generation + 1, "aggregates": []string{aggregate}}, version, placement)
	return err
}

// tree makes a host with processors and memory in NUMA nodes below it.
func (b *bench) tree(ctx context.Context, i int) error {
	name := fmt.Sprintf("%s-%05d", b.name, i)
	_, path, err := b.provider(ctx, name, "", object{"DISK_GB": inventory(2000, 1)})
	if err != nil {
		return err
	}
	for cell := range cells {
		root := path[strings.LastIndexByte(path, '/')+1:]
		if _, _, err := b.provider(ctx, fmt.Sprint(name, "-", cell), root, object{"VCPU": inventory(16, 16), "MEMORY_MB": inventory(65536, 1)}); err != nil {
			return err
		}
	}
	return nil
}

func inventory(total int, ratio float64) object {
	return object{"total": total, "reserved": 0, "min_unit": 1, "max_unit": total, "step_size": 1, "allocation_ratio": ratio}
}

// provider makes a resource provider and returns its path, and its generation
// after that.
func (b *bench) provider(ctx context.Context, name, parent string, inventories object) (generation int, path string, err error) {
	var made struct {
		UUID       string
		Generation int
	}
	in := object{"name": name}
	if parent != "" {
		in["parent_provider_uuid"] = parent
	}
	if err := b.into(ctx, &made, "POST", "placement", "/resource_providers", in, version, placement); err != nil {
		return 0, "", err
	}
	path = "/resource_providers/" + made.UUID
	_, err = b.call(ctx, "PUT", "placement", path+"/inventories", object{"resource_provider_generation": made.Generation, "inventories": inventories}, version, placement)
	return made.Generation + 1, path, err
}

func (b *bench) removeProviders(ctx context.Context) error {
	var out struct {
		Providers []struct{ UUID, Name string } `json:"resource_providers"`
	}
	body, err := b.call(ctx, "GET", "placement", "/resource_providers", nil, version, placement)
	if err == nil {
		err = json.Unmarshal(body, &out)
	}
	if err != nil {
		return err
	}
	var hosts, below []string
	for _, p := range out.Providers {
		switch rest, ours := strings.CutPrefix(p.Name, b.name+"-"); {
		case !ours:
		case strings.Contains(rest, "-"):
			below = append(below, p.UUID)
		default:
			hosts = append(hosts, p.UUID)
		}
	}
	for _, list := range [][]string{below, hosts} { // what has something below it stays
		err := b.each(ctx, len(list), func(i int) error {
			_, err := b.call(ctx, "DELETE", "placement", "/resource_providers/"+list[i], nil, version, placement)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
