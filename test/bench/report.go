package main

import (
	"fmt"
	"time"

	"kilonova/service/compute/simulate"
)

// Report is what a run prints.
type Report struct {
	Began time.Time `json:"began"`
	Host  Host      `json:"host"`
	Ours  *Cloud    `json:"kilonova"`
	Peer  *Cloud    `json:"peer,omitempty"`
	// Ratios say how many times the peer's median (of memory: its size) is ours.
	Ratios map[string]float64 `json:"ratios,omitempty"`
	// Scheduling is measured in clouds of our own with as many hosts as the names say.
	Scheduling map[string]Distribution `json:"scheduling,omitempty"`
	// Heap is how many bytes the whole process keeps for a host in these clouds.
	Heap map[string]float64 `json:"heap_bytes_a_host,omitempty"`
	// Policy is how long the choice alone takes, in microseconds.
	Policy map[string]simulate.Latency `json:"policy_us,omitempty"`
	Wires  map[string]Distribution     `json:"wires"` // a call between services
	Images *Images                     `json:"images,omitempty"`
	Scale  *Scale                      `json:"scale,omitempty"`
	Goals  []Goal                      `json:"goals"`
}

// Host is where it ran. Other work on it shows in Others.
type Host struct {
	Cores  int     `json:"cores"`
	Go     string  `json:"go"`
	Kernel string  `json:"kernel"`
	Others float64 `json:"cores_used_by_others"` // on average, while ours was measured
}

// Cloud is what was measured of one cloud.
type Cloud struct {
	Dev    *Distribution           `json:"start_dev,omitempty"`  // of kilonova dev, to "ready" and filled
	Cold   *Distribution           `json:"start_cold,omitempty"` // of kilonova serve with an empty folder, until healthy
	Warm   *Distribution           `json:"start_warm,omitempty"` // the same with the folder of before
	Idle   *Memory                 `json:"memory_idle,omitempty"`
	Loaded *Memory                 `json:"memory_with_servers,omitempty"`
	Binary float64                 `json:"binary_mib,omitempty"`
	Calls  map[string]Distribution `json:"calls"`
	Error  string                  `json:"error,omitempty"` // what ended the run early
}

// Goal is something that was promised.
type Goal struct {
	What     string  `json:"what"`
	Unit     string  `json:"unit"`
	Limit    float64 `json:"limit"`
	Measured float64 `json:"measured"`
	Met      bool    `json:"met"`
}

// goals compares a cloud with what was promised of it.
func goals(c *Cloud) []Goal {
	var all []Goal
	add := func(what, unit string, limit, measured float64) {
		all = append(all, Goal{what, unit, limit, measured, measured > 0 && measured < limit})
	}
	if c.Dev != nil {
		add("kilonova dev to ready, p50", "ms", 2000, c.Dev.P50)
	}
	if c.Cold != nil && c.Warm != nil {
		add("start to ready, cold, p50", "ms", 2000, c.Cold.P50)
		add("start to ready, warm, p50", "ms", 2000, c.Warm.P50)
	}
	if c.Idle != nil {
		add("memory of all roles, idle", "MiB", 100, c.Idle.PSS)
	}
	if c.Loaded != nil {
		add("memory of all roles, 1,000 servers", "MiB", 150, c.Loaded.PSS)
	}
	for _, g := range []struct {
		what, call string
		limit      float64
	}{{"POST to ACTIVE, alone, p50", "boot_alone", 50}, {"GET one server, p50", "server_get", .5},
		{"GET /servers/detail of 1,000, p50", "servers_detail_page", 30}, {"the same, once the API is whole", "servers_detail_page", 15}} {
		if d, ok := c.Calls[g.call]; ok {
			add(g.what, "ms", g.limit, d.P50)
		}
	}
	if d, ok := c.Calls["token_validate_at_8"]; ok {
		all = append(all, Goal{"tokens checked a second over HTTP, with their catalog, at 8", "1/s, at least", 5000, d.PerSecond, d.PerSecond >= 5000})
	}
	return all
}

// schedulingGoals compares decisions with what was promised of them.
func schedulingGoals(all map[string]Distribution) (goals []Goal) {
	add := func(what, unit string, limit, measured float64) {
		goals = append(goals, Goal{what, unit, limit, rounded(measured), measured > 0 && measured < limit})
	}
	for _, g := range []struct {
		limit int
		most  float64
	}{{10, 2}, {1000, 20}} {
		if d, ok := all[fmt.Sprintf("candidates_limit_%d_filter_10000_hosts", g.limit)]; ok {
			add(fmt.Sprintf("candidates among 10,000 hosts, limit %d, p50", g.limit), "ms", g.most, d.P50)
		}
	}
	for _, driver := range []string{"filter", "caching"} {
		if d, ok := all["decision_"+driver+"_10000_hosts"]; ok {
			add("decision with its claim at 10,000 hosts, "+driver+", p99", "ms", 5, d.P99)
		}
		if d, ok := all["decision_of_20_flavors_"+driver+"_10000_hosts"]; ok {
			add("the same of 20 flavors in turn, "+driver+", p99", "ms", 5, d.P99)
		}
		few, many := all["decision_"+driver+"_10000_hosts"], all["decision_"+driver+"_100000_hosts"]
		if few.P50 > 0 && many.P50 > 0 {
			add("growth of a decision from 10,000 to 100,000 hosts, "+driver+", p50", "times", 10, many.P50/few.P50)
		}
		if d, ok := all["scheduled_fifty_a_request_"+driver+"_10000_hosts"]; ok {
			goals = append(goals, Goal{"scheduled servers a second at 10,000 hosts, " + driver, "1/s, at least", 1000, d.PerSecond, d.PerSecond >= 1000})
		}
	}
	return goals
}

// ratios compares two clouds: above one, ours is the faster or the smaller.
func ratios(ours, peer *Cloud) map[string]float64 {
	all := map[string]float64{}
	for name, d := range peer.Calls {
		o := ours.Calls[name]
		if same, ok := ours.Calls[sameHash]; ok && name == "token_issue" {
			o = same // the passwords' hashes are the greater part of it
		}
		if o.P50 > 0 && d.P50 > 0 {
			all[name] = rounded(d.P50 / o.P50)
			if d.CPU > 0 && o.CPU > 0 {
				all[name+"_cpu"] = rounded(d.CPU / o.CPU)
			}
		}
	}
	if o, p := ours.Calls["boot_40_at_8"], peer.Calls["boot_40_at_8"]; o.Wall > 0 && p.Wall > 0 {
		all["boot_40_at_8_wall"] = rounded(p.Wall / o.Wall)
	}
	if ours.Idle != nil && peer.Idle != nil && ours.Idle.PSS > 0 && peer.Idle.PSS > 0 {
		all["memory_idle"] = rounded(peer.Idle.PSS / ours.Idle.PSS)
	}
	return all
}
