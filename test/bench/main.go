package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kilonova/stack"
)

// options are what the command line says.
type options struct {
	binary    string
	peer      bool
	quick     bool
	servers   int
	hosts     int
	out       string
	fleet     string // sizes of the clouds in which decisions are measured
	profile   string
	only      bool
	providers int    // of resources
	search    bool   // for candidates, and nothing else
	images    int    // MiB of the image whose way is measured
	scale     string // servers in the database of the small and of the large cloud
	alone     bool   // nothing but that
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.StringVar(&o.binary, "binary", "bin/kilonova", "the `file` to measure")
	flag.BoolVar(&o.peer, "peer", false, "measure the cloud that KILONOVA_BENCH_PEER describes as well")
	flag.BoolVar(&o.quick, "quick", false, "a tenth of the samples")
	flag.IntVar(&o.servers, "servers", 1000, "`number` of servers on the page")
	flag.IntVar(&o.hosts, "hosts", 8, "`number` of fake hypervisor hosts; 250 servers fit on one")
	flag.StringVar(&o.out, "out", "", "`file` for the document; standard output by default")
	flag.StringVar(&o.fleet, "fleet", "1000,10000,100000", "`numbers` of pretended hosts among which is decided, with commas; empty: that is not measured")
	flag.StringVar(&o.profile, "fleet-profile", "", "`prefix` of files for CPU profiles of that")
	flag.IntVar(&o.providers, "providers", 1000, "`number` of resource providers among which candidates are searched")
	flag.BoolVar(&o.search, "candidates-only", false, "measure nothing but the search for candidates")
	flag.BoolVar(&o.only, "fleet-only", false, "measure nothing else")
	flag.IntVar(&o.images, "image", 0, "measure also the way of an image of so many `MiB`; with -fleet-only nothing else")
	flag.StringVar(&o.scale, "scale", "10000,100000", "two `numbers` of servers in the database, with a comma, with which reading is compared; empty: that is not measured")
	flag.BoolVar(&o.alone, "scale-only", false, "measure nothing else")
	flag.Parse()
	stack.TuneCollector() // the cloud with the pretended hosts is in this process
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// run measures and writes the document, also when a part of it failed.
func run(ctx context.Context, o options) error {
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return err
	}
	s := full()
	if o.quick {
		s = s.divided(10)
	}
	s.servers, s.providers, s.search = o.servers, o.providers, o.search
	r := Report{Began: time.Now().UTC().Truncate(time.Second), Host: Host{Cores: runtime.NumCPU(), Go: runtime.Version(), Kernel: kernel()}}
	if o.images > 0 {
		if r.Images, err = images(ctx, binary, o.images); err != nil {
			return err
		}
		r.Goals = imageGoals(r.Images)
		if o.only {
			return write(r, o.out)
		}
	}
	if o.scale != "" && !o.search {
		if r.Scale, err = scales(ctx, binary, o.scale, s); err != nil {
			return err
		}
		r.Goals = append(r.Goals, scaleGoals(r.Scale)...)
		if o.alone {
			return write(r, o.out)
		}
	}
	if o.fleet != "" && !o.search {
		var err error
		found, err := fleets(ctx, o)
		r.Scheduling, r.Heap = found.Calls, found.Heap
		if err != nil {
			return err
		}
		if r.Policy, err = policies(ctx); err != nil {
			return err
		}
		r.Goals = append(r.Goals, schedulingGoals(r.Scheduling)...)
		if o.only {
			return write(r, o.out)
		}
	}
	var peerErr error
	if o.peer { // first: it is the slower one to find out that it does not answer
		if r.Peer, peerErr = other(ctx, s); r.Peer == nil {
			return peerErr
		}
	}
	var ourErr error
	r.Ours, r.Host.Others, ourErr = ours(ctx, binary, o.hosts, s)
	if !o.search {
		if r.Wires, err = wires(ctx, 5*s.get); err != nil {
			return err
		}
	}
	r.Goals = append(r.Goals, goals(r.Ours)...)
	if r.Peer != nil {
		r.Ratios = ratios(r.Ours, r.Peer)
	}
	return errors.Join(write(r, o.out), ourErr, peerErr)
}

// fleets measures scheduling in clouds of the sizes that are asked for.
func fleets(ctx context.Context, o options) (Scheduling, error) {
	var sizes []int
	for text := range strings.SplitSeq(o.fleet, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > 1_000_000 {
			return Scheduling{}, fmt.Errorf("-fleet: %q is no number of hosts", text)
		}
		sizes = append(sizes, n)
	}
	servers := 2000
	if o.quick {
		servers = 500
	}
	return scheduling(ctx, sizes, servers, o.profile)
}

// scales measures with the two sizes that are asked for.
func scales(ctx context.Context, binary, text string, s sizes) (*Scale, error) {
	var small, large int
	if _, err := fmt.Sscanf(text, "%d,%d", &small, &large); err != nil || small < 1000 || large <= small || large > 10_000_000 {
		return nil, fmt.Errorf("-scale: %q is not two numbers of servers, the smaller from 1000 on", text)
	}
	folder, err := os.MkdirTemp("", "kilonova-scale-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	return scale(ctx, binary, folder, small, large, s)
}

func write(r Report, path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	if path == "" {
		_, err = os.Stdout.Write(data)
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func kernel() string {
	data, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(data))
}

// settle is how long a cloud rests before its memory is looked at.
const settle = 10 * time.Second

// ours starts and measures a cloud of our own. The second result is how many
// cores other processes used meanwhile.
func ours(ctx context.Context, binary string, hosts int, s sizes) (*Cloud, float64, error) {
	folder, err := os.MkdirTemp("", "kilonova-bench-")
	if err != nil {
		return nil, 0, err
	}
	defer os.RemoveAll(folder)
	out := &Cloud{Calls: map[string]Distribution{}}
	if info, err := os.Stat(binary); err == nil {
		out.Binary = rounded(float64(info.Size()) / (1 << 20))
	}
	began, busyBefore, selfBefore := time.Now(), busy(), only(os.Getpid()).cpu()
	used, err := out.own(ctx, binary, folder, hosts, s)
	used += only(os.Getpid()).cpu() - selfBefore
	return out, rounded(float64(busy()-busyBefore-used) / float64(time.Since(began))), failed(out, err)
}

// own measures our cloud and returns the CPU time that its processes used.
func (out *Cloud) own(ctx context.Context, binary, folder string, hosts int, s sizes) (used time.Duration, err error) {
	data := filepath.Join(folder, "data")
	if !s.search {
		if used, err = out.starts(ctx, binary, folder, data, hosts); err != nil {
			return used, err
		}
	}
	with := func(data string, rounds int, do func(c *child, t tree) error) error {
		c, err := serve(ctx, binary, data, hosts, rounds)
		if err != nil {
			return err
		}
		t := only(c.cmd.Process.Pid)
		err = do(c, t)
		used += t.cpu()
		return errors.Join(err, c.stop())
	}
	err = with(data, defaultRounds, func(c *child, t tree) error { return out.measure(ctx, c.env, t, s, "kilonova") })
	if err != nil || s.search {
		return used, err
	}
	// Once more with hashes that cost as much as upstream's.
	return used, with(data+"-rounds", peerRounds, func(c *child, t tree) error {
		cloud, err := open(ctx, c.env, t)
		if err != nil {
			return err
		}
		b := newBench(cloud, "kilonova", s, out.Calls)
		return b.issuing(ctx, sameHash, max(1, s.issue/5))
	})
}

// sameHash is token_issue with a password's hash that costs what upstream's does.
const sameHash = "token_issue_bcrypt_12"

func failed(c *Cloud, err error) error {
	if err != nil {
		c.Error = err.Error()
	}
	return err
}

// starts measures how soon the cloud is ready, five times each: with a folder that
// is not there, and with the last of these folders.
func (out *Cloud) starts(ctx context.Context, binary, folder, data string, hosts int) (used time.Duration, err error) {
	const times = 5
	fresh := func(name string, i int) string { return filepath.Join(folder, name+strconv.Itoa(i)) }
	for _, kind := range []struct {
		into  **Distribution
		name  string
		start func(i int) (*child, error)
	}{
		{&out.Dev, "dev", func(i int) (*child, error) { return dev(ctx, binary, fresh("dev", i), hosts) }},
		{&out.Cold, "serve, cold", func(i int) (*child, error) { return serve(ctx, binary, fresh("cold", i), hosts, defaultRounds) }},
		{&out.Warm, "serve, warm", func(int) (*child, error) { return serve(ctx, binary, data, hosts, defaultRounds) }},
	} {
		if kind.into == &out.Warm { // somebody has to make the folder
			c, err := kind.start(0)
			if err != nil {
				return used, err
			}
			if err := c.stop(); err != nil {
				return used, err
			}
		}
		var took []float64
		began := time.Now()
		for i := range times {
			c, err := kind.start(i)
			if err != nil {
				return used, err
			}
			took = append(took, milliseconds(c.ready))
			used += only(c.cmd.Process.Pid).cpu()
			if err := c.stop(); err != nil {
				return used, err
			}
		}
		d := distribution(took, 1, time.Since(began))
		d.PerSecond = 0 // that is not what it is about
		*kind.into = &d
		say("kilonova: start to ready, %s: p50 %.0f ms", kind.name, d.P50)
	}
	return used, nil
}

// other measures the cloud that the environment describes. Without one there is
// no Cloud.
func other(ctx context.Context, s sizes) (*Cloud, error) {
	text := os.Getenv("KILONOVA_BENCH_PEER")
	if text == "" {
		return nil, errors.New("KILONOVA_BENCH_PEER is empty; it has to hold the OS_* assignments of a running cloud")
	}
	var processes tree
	if dir := os.Getenv("KILONOVA_BENCH_PEER_PIDS"); dir != "" {
		processes = pidFiles(dir)
	}
	out := &Cloud{Calls: map[string]Distribution{}}
	env := assignments(strings.NewReader(text))
	s.issue, s.validate, s.get, s.page, s.alone, s.ports, s.candidates = min(s.issue, 100), min(s.validate, 300), min(s.get, 300), min(s.page, 20), min(s.alone, 15), min(s.ports, 80), min(s.candidates, 20)
	s.rounds, s.patience = 1, 10*time.Minute // it is some hundred times slower: enough samples, in minutes and not hours
	return out, failed(out, out.measure(ctx, env, processes, s, "peer"))
}

// measure does everything there is to do with a running cloud.
func (out *Cloud) measure(ctx context.Context, env map[string]string, processes tree, s sizes, name string) error {
	c, err := open(ctx, env, processes)
	if err != nil {
		return err
	}
	b := newBench(c, name, s, out.Calls)
	if s.search {
		return b.candidates(ctx)
	}
	remember := func(into **Memory) error {
		if processes == nil {
			return nil
		}
		if err := pause(ctx, settle); err != nil {
			return err
		}
		m := processes.memory()
		*into = &m
		b.say("memory %.1f MiB PSS in %d processes", m.PSS, m.Processes)
		return nil
	}
	if err := remember(&out.Idle); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{b.prepare, b.tokens, b.boots, b.ports, b.removePorts, b.lists,
		func(context.Context) error { return remember(&out.Loaded) }, b.candidates} {
		if err := step(ctx); err != nil {
			return errors.Join(err, b.tidy(ctx))
		}
	}
	return b.tidy(ctx)
}
