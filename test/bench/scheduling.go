package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"kilonova/service/compute/schedule"
	"kilonova/service/compute/simulate"
	"kilonova/stack"
)

// scheduling measures decisions and throughput for some sizes of clouds.
func scheduling(ctx context.Context, sizes []int, servers int, profile string) (map[string]Distribution, error) {
	found := map[string]Distribution{}
	for _, hosts := range sizes {
		for _, driver := range []string{"filter", "caching"} {
			if err := schedulingOf(ctx, found, hosts, driver, servers, profile); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

// schedulingOf measures one cloud. Each measurement has a profile of its own.
func schedulingOf(ctx context.Context, found map[string]Distribution, hosts int, driver string, servers int, profile string) error {
	folder, err := os.MkdirTemp("", "kilonova-fleet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	began := time.Now()
	f, err := newFleet(ctx, filepath.Join(folder, "data"), hosts, func(c *stack.Config) { c.Scheduler.Driver = driver })
	if err != nil {
		return err
	}
	defer f.close()
	say("fleet: %d hosts reported in %.1f s", hosts, time.Since(began).Seconds())
	for _, m := range []struct {
		what string
		do   func() (Distribution, error)
	}{
		{"decision", func() (Distribution, error) { return f.decisions(ctx, max(20, servers/10)) }},
		{"scheduled_one_a_request", func() (Distribution, error) { return f.throughput(ctx, "single", servers, 1, 16) }},
		{"scheduled_fifty_a_request", func() (Distribution, error) { return f.throughput(ctx, "many", servers, 50, 4) }},
	} {
		name := fmt.Sprintf("%s_%s_%d_hosts", m.what, driver, hosts)
		d, err := profiled(profile, name, m.do)
		found[name] = d
		say("fleet: %-36s n=%-5d p50 %8.3f  p99 %8.3f ms  %8.1f/s  cpu %.3f ms", name, d.N, d.P50, d.P99, d.PerSecond, d.CPU)
		if err != nil {
			return err
		}
	}
	return nil
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
