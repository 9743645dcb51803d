package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"kilonova/service/compute/schedule"
	"kilonova/service/compute/simulate"
	"kilonova/stack"
)

// Scheduling is what was measured in clouds of some sizes.
type Scheduling struct {
	Calls map[string]Distribution
	// Heap is how many bytes the whole process keeps for a host after decisions:
	// compute's fleet and lists, and Placement's picture of the providers.
	Heap map[string]float64
}

// scheduling measures decisions, throughput and searches for some sizes of clouds.
func scheduling(ctx context.Context, sizes []int, servers int, profile string) (Scheduling, error) {
	found := Scheduling{map[string]Distribution{}, map[string]float64{}}
	for _, hosts := range sizes {
		if err := found.size(ctx, hosts, servers, profile); err != nil {
			return found, err
		}
	}
	return found, nil
}

// size fills a cloud and measures each scheduler in a copy of it.
func (found *Scheduling) size(ctx context.Context, hosts, servers int, profile string) error {
	folder, err := os.MkdirTemp("", "kilonova-fleet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	filled := filepath.Join(folder, "filled")
	var empty uint64
	name := fmt.Sprintf("fill_%d_hosts", hosts)
	found.Calls[name], err = profiled(profile, name, func() (d Distribution, err error) {
		d, empty, err = fillFleet(ctx, filled, hosts)
		return d, err
	})
	if err != nil {
		return err
	}
	for _, driver := range []string{"filter", "caching"} {
		data := filepath.Join(folder, driver)
		if err := os.CopyFS(data, os.DirFS(filled)); err != nil {
			return err
		}
		if err := found.driver(ctx, data, hosts, driver, servers, profile, empty); err != nil {
			return err
		}
		if err := os.RemoveAll(data); err != nil {
			return err
		}
	}
	return nil
}

// fillFleet makes a cloud with so many hosts in a folder, and returns how long
// their first reports took and how many bytes a cloud without any host keeps.
func fillFleet(ctx context.Context, folder string, hosts int) (d Distribution, empty uint64, err error) {
	f, err := newFleet(ctx, folder, nil)
	if err != nil {
		return d, 0, err
	}
	defer f.close()
	if err := f.bench.prepare(ctx); err != nil {
		return d, 0, err
	}
	empty = heap()
	self := only(os.Getpid())
	began, before := time.Now(), self.cpu()
	took, err := report(ctx, f.agents, hosts)
	if err != nil {
		return d, 0, err
	}
	d = distribution(took, reporters, time.Since(began))
	d.CPU = rounded(milliseconds(self.cpu()-before) / float64(hosts))
	say("fleet: %d hosts reported in %.1f s, cpu %.3f ms each", hosts, d.Wall, d.CPU)
	return d, empty, nil
}

// driver measures one scheduler. Each measurement has a profile of its own.
func (found *Scheduling) driver(ctx context.Context, data string, hosts int, driver string, servers int, profile string, empty uint64) error {
	f, err := newFleet(ctx, data, func(c *stack.Config) { c.Scheduler.Driver = driver })
	if err != nil {
		return err
	}
	defer f.close()
	if err := f.bench.prepare(ctx); err != nil {
		return err
	}
	n := max(20, servers/2) // of a few hundred the slowest hundredth is one or two
	measurements := []struct {
		what string
		do   func() (Distribution, error)
	}{
		{"decision", func() (Distribution, error) { return f.decisions(ctx, n, 1) }},
		{"scheduled_one_a_request", func() (Distribution, error) { return f.throughput(ctx, "single", servers, 1, 16) }},
		{"scheduled_fifty_a_request", func() (Distribution, error) { return f.throughput(ctx, "many", servers, 50, 4) }},
		{"candidates_limit_10", func() (Distribution, error) { return f.candidates(ctx, n, min(10, hosts)) }},
		{"candidates_limit_1000", func() (Distribution, error) { return f.candidates(ctx, n, min(1000, hosts)) }},
		{"decision_of_20_flavors", func() (Distribution, error) { return f.decisions(ctx, n, someFlavors) }},
		{"decision_of_40_flavors", func() (Distribution, error) { return f.decisions(ctx, n, manyFlavors) }},
	}
	if driver != "filter" { // Placement's part is the same
		measurements = measurements[:3]
	}
	for i, m := range measurements {
		name := fmt.Sprintf("%s_%s_%d_hosts", m.what, driver, hosts)
		d, err := profiled(profile, name, m.do)
		found.Calls[name] = d
		say("fleet: %-44s n=%-5d p50 %8.3f  p99 %8.3f ms  %8.1f/s  cpu %.3f ms", name, d.N, d.P50, d.P99, d.PerSecond, d.CPU)
		if err != nil {
			return err
		}
		if i == 0 {
			name := fmt.Sprintf("%s_%d_hosts", driver, hosts)
			found.Heap[name] = math.Round((float64(heap()) - float64(empty)) / float64(hosts))
			say("fleet: %-44s %.0f bytes a host in the whole process", name, found.Heap[name])
		}
	}
	return nil
}

// heap is how much the process keeps, in bytes.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // pools keep what they have through one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// profiled does something and writes where CPU time went to a file whose name
// begins with prefix; not so if that is "".
func profiled(prefix, name string, do func() (Distribution, error)) (Distribution, error) {
	if prefix == "" {
		return do()
	}
	out, err := os.Create(prefix + "-" + name)
	if err != nil {
		return Distribution{}, err
	}
	defer out.Close()
	if err := pprof.StartCPUProfile(out); err != nil {
		return Distribution{}, err
	}
	defer pprof.StopCPUProfile()
	return do()
}

// policies measures the decision alone, from who has room to the order of the
// hosts, among a thousand, ten thousand and a hundred thousand hosts.
func policies(ctx context.Context) (map[string]simulate.Latency, error) {
	found := map[string]simulate.Latency{}
	for _, hosts := range []int{1_000, 10_000, 100_000} {
		fleet, err := simulate.NewFleet(simulate.Ratios{CPU: 4, RAM: 1, Disk: 1}, simulate.Shape{Hosts: hosts, VCPUs: 64, MemoryMB: 256 << 10, DiskGB: 4000})
		if err != nil {
			return found, err
		}
		r, err := simulate.Run(ctx, simulate.Config{Options: schedule.Defaults(), Pick: rand.New(rand.NewPCG(1, 1)).IntN, Now: time.Now}, fleet, simulate.Generate(1, 2000))
		if err != nil {
			return found, err
		}
		found[fmt.Sprintf("%d_hosts", hosts)] = r.Decision
		say("fleet: the policy alone among %d hosts: p50 %.0f, p99 %.0f microseconds", hosts, r.Decision.P50, r.Decision.P99)
	}
	return found, nil
}
