package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"kilonova/internal/bus"
	"kilonova/internal/config"
	"kilonova/service/compute"
	"kilonova/stack"
)

// fleet is a cloud in this process with any number of hosts that only pretend:
// they have reported what they have, and say of each guest at once that it runs.
// API, conductor, Placement and databases are the real ones.
type fleet struct {
	stack  *stack.Stack
	agents *bus.Bus
	cloud  *cloud
	bench  *bench

	mu     sync.Mutex
	built  map[string]bool
	wanted int
	all    chan struct{} // closed when wanted servers have come to their hosts
}

// newFleet starts one with the data in a folder, which may be empty. The caller
// closes it.
func newFleet(ctx context.Context, folder string, change func(*stack.Config)) (*fleet, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // some port that is free
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	c := stack.Dev(folder, "127.0.0.1:0", 1)
	c.Roles, c.Database.Synchronous = "identity,placement,image,network,compute,conductor", ""
	c.Bus.Listen = address
	c.Default.ServiceDown = config.Duration(time.Hour)
	c.Quota.Instances, c.Quota.Cores, c.Quota.RAM = -1, -1, -1
	if change != nil {
		change(&c)
	}
	f := &fleet{built: map[string]bool{}}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	if f.stack, err = stack.StartDev(ctx, c, log, time.Now); err != nil {
		return nil, err
	}
	if err := f.begin(ctx, address, log); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *fleet) close() {
	if f.agents != nil {
		f.agents.Close()
	}
	f.stack.Close()
}

func (f *fleet) begin(ctx context.Context, address string, log *slog.Logger) (err error) {
	if f.agents, err = bus.Dial(log, "nats://"+address, f.stack.Config.Secrets.BusToken); err != nil {
		return err
	}
	if _, err = compute.Build.Serve(f.agents, "*", f.build); err != nil {
		return err
	}
	admin, _ := f.stack.Logins()
	env := map[string]string{"OS_AUTH_URL": admin.AuthURL, "OS_USERNAME": admin.Username, "OS_PASSWORD": admin.Password, "OS_PROJECT_NAME": admin.Project,
		"OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default"}
	if f.cloud, err = open(ctx, env, nil); err != nil {
		return err
	}
	f.bench = newBench(f.cloud, "fleet", full(), map[string]Distribution{})
	return nil
}

// reporters is how many hosts report at a time.
const reporters = 8

// report says that hosts are there, and returns how long each had to wait until it
// was heard, in milliseconds.
func report(ctx context.Context, b *bus.Bus, hosts int) ([]float64, error) {
	next, errs, took := make(chan int), make([]error, reporters), make([]float64, hosts)
	var group sync.WaitGroup
	for w := range errs {
		group.Go(func() {
			for i := range next {
				if errs[w] != nil {
					continue
				}
				r := compute.HostReport{Host: fmt.Sprintf("host-%06d", i), Methods: []string{compute.Build.Name}, Resources: compute.Resources{VCPUs: 64, MemoryMB: 256 << 10,
					DiskGB: 4000, DiskFreeGB: 4000, HypervisorType: "QEMU", HypervisorVersion: 7002000, HypervisorName: fmt.Sprintf("host-%06d", i), HostIP: "127.0.0.1"}}
				began := time.Now()
				_, errs[w] = compute.Report.Do(ctx, b, compute.ControlName, r)
				took[i] = milliseconds(time.Since(began))
			}
		})
	}
	for i := range hosts {
		next <- i
	}
	close(next)
	group.Wait()
	return took, errors.Join(errs...)
}

// build is what all agents do.
func (f *fleet) build(_ context.Context, w compute.Work[compute.BuildRequest]) (compute.Progress, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.built[w.Request.Server.ID] = true
	if f.all != nil && len(f.built) >= f.wanted {
		close(f.all)
		f.all = nil
	}
	return compute.Progress{Done: true, Power: compute.PowerRunning}, nil
}

// expect returns a channel that is closed when n more servers have come to hosts.
func (f *fleet) expect(n int) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted = len(f.built) + n
	f.all = make(chan struct{})
	return f.all
}

// Of someFlavors in turn compute remembers all answers. manyFlavors are more than it
// does, so that each decision of theirs is as one that was never made before: the worst.
const (
	someFlavors = 20
	manyFlavors = 40
)

// decisions boots servers of some flavors in turn and sums up how long it took to
// decide where they go, from the question to the claim, as the cloud itself has noted it.
func (f *fleet) decisions(ctx context.Context, n, flavors int) (Distribution, error) {
	ids := []string{f.bench.flavor}
	for i := 1; i < flavors; i++ {
		id, err := f.bench.ensure(ctx, "compute", "/flavors", "flavor", fmt.Sprint("m1.nano", i), object{"vcpus": 1, "ram": 64 + i, "disk": 1}, nil)
		if err != nil {
			return Distribution{}, err
		}
		ids = append(ids, id)
	}
	var took []float64
	self := only(os.Getpid())
	began, before := time.Now(), self.cpu()
	for i := range n + 5 {
		if i == 5 { // the first ones fill caches
			began, before = time.Now(), self.cpu()
		}
		arrived := f.expect(1)
		var out struct{ Server struct{ ID string } }
		if err := f.cloud.into(ctx, &out, "POST", "compute", "/servers", f.request(fmt.Sprint("alone-", i), ids[i%len(ids)], 1), version, computeVersion); err != nil {
			return Distribution{}, err
		}
		if err := await(ctx, arrived); err != nil {
			return Distribution{}, err
		}
		var why struct {
			Placements []struct {
				Took float64 `json:"took_ms"`
			}
		}
		if err := f.cloud.into(ctx, &why, "GET", "compute", "/servers/"+out.Server.ID+"/kilonova-placement", nil); err != nil {
			return Distribution{}, err
		}
		if len(why.Placements) != 1 {
			return Distribution{}, fmt.Errorf("server %s has %d decisions on record", out.Server.ID, len(why.Placements))
		}
		if i >= 5 {
			took = append(took, why.Placements[0].Took)
		}
	}
	d := distribution(took, 1, time.Since(began))
	d.CPU = rounded(milliseconds(self.cpu()-before) / float64(n)) // a server, with the client's
	return d, nil
}

func (f *fleet) request(name, flavor string, count int) object {
	return object{"server": object{"name": name, "flavorRef": flavor, "imageRef": f.bench.image, "networks": "none", "min_count": count, "max_count": count}}
}

// throughput asks for n servers, so many to a request, from several clients, and
// measures until the last of them has come to its host.
func (f *fleet) throughput(ctx context.Context, name string, n, each, clients int) (Distribution, error) {
	self := only(os.Getpid())
	began, arrived, before := time.Now(), f.expect(n), self.cpu()
	d := measure(ctx, plan{n: n / each, concurrency: clients, limit: 2 * time.Minute}, nil, func(ctx context.Context, i int) (int, error) {
		body, err := f.cloud.call(ctx, "POST", "compute", "/servers", f.request(fmt.Sprintf("%s-%d", name, i), f.bench.flavor, each), version, computeVersion)
		return len(body), err
	})
	if d.Errors > 0 {
		return d, errors.New(d.FirstError)
	}
	if err := await(ctx, arrived); err != nil {
		return d, err
	}
	d.Wall = rounded(time.Since(began).Seconds())
	d.PerSecond = rounded(float64(n) / time.Since(began).Seconds())
	d.CPU = rounded(milliseconds(self.cpu()-before) / float64(n)) // a server, with the client's
	return d, nil
}

// candidates asks Placement for hosts as a scheduler does.
func (f *fleet) candidates(ctx context.Context, n, limit int) (Distribution, error) {
	path := fmt.Sprintf("/allocation_candidates?resources=VCPU:1,MEMORY_MB:64,DISK_GB:1&limit=%d", limit)
	if err := f.bench.complete(ctx, "placement", path, placement, `"mappings"`, limit); err != nil {
		return Distribution{}, err
	}
	d := measure(ctx, plan{n: n, concurrency: 1, warm: 5, limit: time.Minute}, only(os.Getpid()).cpu, func(ctx context.Context, _ int) (int, error) {
		body, err := f.cloud.call(ctx, "GET", "placement", path, nil, version, placement)
		return len(body), err
	})
	if d.Errors > 0 {
		return d, errors.New(d.FirstError)
	}
	return d, nil
}

func await(ctx context.Context, arrived <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for servers to come to their hosts: %w", ctx.Err())
	}
}
