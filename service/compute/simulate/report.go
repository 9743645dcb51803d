package simulate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"kilonova/service/compute/schedule"
)

// Report is what a run has shown. Shares are of what the ratios allow.
type Report struct {
	Driver string `json:"driver"`
	Hosts  int    `json:"hosts"`
	Asked  int    `json:"servers_asked"`
	Placed int    `json:"servers_placed"`
	// Refused counts refusals by what left no host, with its most frequent reason
	// there.
	Refused    map[string]int `json:"refused"`
	Violations int            `json:"group_violations"`

	VCPUCapacity   float64 `json:"vcpu_capacity"`
	MemoryCapacity float64 `json:"memory_mb_capacity"`
	DiskCapacity   float64 `json:"disk_gb_capacity"`

	Packing  Packing  `json:"packing"`
	Decision Latency  `json:"decision_us"`
	Samples  []Sample `json:"samples"`
	// Fill is a histogram of hosts at the end by the share of their memory that is
	// taken, in twentieths.
	Fill [20]int `json:"memory_fill"`

	vcpus, memory, disk float64
	servers             int
}

// Packing says how the servers lie on the hosts at the end.
type Packing struct {
	Servers   int     `json:"servers"`
	Used      int     `json:"hosts_used"`
	Empty     int     `json:"hosts_empty"`
	VCPUs     float64 `json:"vcpu_share"`
	Memory    float64 `json:"memory_share"`
	Disk      float64 `json:"disk_share"`
	OfUsed    float64 `json:"memory_share_of_used_hosts"`
	PerHost   float64 `json:"servers_per_host"`
	Deviation float64 `json:"servers_per_host_deviation"`
	Most      int     `json:"servers_on_fullest_host"`
	// Evenness is Jain's index of memory over all hosts: 1 is even, 1/hosts is all
	// on one.
	Evenness float64 `json:"evenness"`
	// Stranded is the share of free memory on hosts without a free VCPU.
	Stranded float64 `json:"stranded_memory_share"`
	// Zones counts servers by availability zone.
	Zones map[string]int `json:"servers_by_zone"`
}

// Latency is how long decisions took, in microseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Sample is the fleet at one moment.
type Sample struct {
	At      float64 `json:"at"`
	Servers int     `json:"servers"`
	VCPUs   float64 `json:"vcpu_share"`
	Memory  float64 `json:"memory_share"`
	Disk    float64 `json:"disk_share"`
	Refused int     `json:"refused"` // so far
}

func (r *Report) capacity(fleet []*schedule.Host) {
	for _, h := range fleet {
		r.VCPUCapacity += h.VCPUs.Limit()
		r.MemoryCapacity += h.MemoryMB.Limit() - float64(h.MemoryMB.Used)
		r.DiskCapacity += h.DiskGB.Limit()
	}
}

func (r *Report) count(a *Arrival, sign int) {
	r.vcpus += float64(sign * a.VCPUs)
	r.memory += float64(sign * a.MemoryMB)
	r.disk += float64(sign * a.DiskGB)
	r.servers += sign
}

func (r *Report) refuse(a *Arrival, e *schedule.Explanation) {
	why := fmt.Sprintf("no host with room for %d vcpus, %d MiB, %d GB", a.VCPUs, a.MemoryMB, a.DiskGB)
	if a.Zone != "" {
		why += " in zone " + a.Zone
	}
	if n := len(e.Filters); n > 0 && e.Hosts > 0 {
		step := &e.Filters[n-1]
		why = step.Filter
		if len(step.Reasons) > 0 {
			why += ": " + step.Reasons[0].Why
		}
	}
	r.Refused[why]++
}

func (r *Report) finish(fleet []*schedule.Host, took []float64) {
	p := &r.Packing
	p.Zones = map[string]int{}
	p.VCPUs, p.Memory, p.Disk = share(r.vcpus, r.VCPUCapacity), share(r.memory, r.MemoryCapacity), share(r.disk, r.DiskCapacity)
	sum, squares, servers, usedOf, capacityOf, free, stranded := 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
	for _, h := range fleet {
		fill := min(1, float64(h.MemoryMB.Used)/h.MemoryMB.Limit())
		r.Fill[min(19, int(fill*20))]++
		sum, squares = sum+fill, squares+fill*fill
		servers += float64(h.Servers) * float64(h.Servers)
		p.Servers += h.Servers
		p.Most = max(p.Most, h.Servers)
		p.Zones[h.Zone] += h.Servers
		left := h.MemoryMB.Limit() - float64(h.MemoryMB.Used)
		if free += left; float64(h.VCPUs.Used)+1 > h.VCPUs.Limit() {
			stranded += left
		}
		if h.Servers > 0 {
			p.Used++
			usedOf, capacityOf = usedOf+float64(h.MemoryMB.Used), capacityOf+h.MemoryMB.Limit()
		}
	}
	n := float64(max(1, len(fleet)))
	p.Empty = len(fleet) - p.Used
	p.OfUsed, p.Stranded = share(usedOf, capacityOf), share(stranded, free)
	p.PerHost = float64(p.Servers) / n
	p.Deviation = math.Sqrt(max(0, servers/n-p.PerHost*p.PerHost))
	p.Evenness = share(sum*sum, n*squares)
	slices.Sort(took)
	at := func(q float64) float64 {
		if len(took) == 0 {
			return 0
		}
		return took[max(0, min(len(took)-1, int(math.Ceil(q*float64(len(took))))-1))]
	}
	r.Decision = Latency{at(.5), at(.9), at(.99), at(1)}
}

// JSON writes the report whole.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Write prints the report for people.
func (r *Report) Write(w io.Writer) {
	p := &r.Packing
	fmt.Fprintf(w, "scheduler %s, %d hosts, %d servers asked for, %d placed, %d refused\n\n", r.Driver, r.Hosts, r.Asked, r.Placed, r.Asked-r.Placed)
	fmt.Fprintf(w, "packing   %d servers at the end on %d hosts, %d hosts empty\n", p.Servers, p.Used, p.Empty)
	fmt.Fprintf(w, "          taken of all: vcpus %.1f%%, memory %.1f%%, disk %.1f%%; memory of hosts in use %.1f%%\n", 100*p.VCPUs, 100*p.Memory, 100*p.Disk, 100*p.OfUsed)
	fmt.Fprintf(w, "          free memory on hosts without a free vcpu: %.1f%%\n", 100*p.Stranded)
	fmt.Fprintf(w, "spread    %.2f servers a host, deviation %.2f, at most %d; evenness %.3f (1: all hosts alike)\n", p.PerHost, p.Deviation, p.Most, p.Evenness)
	for _, zone := range slices.Sorted(maps.Keys(p.Zones)) {
		fmt.Fprintf(w, "          zone %s: %d servers\n", zone, p.Zones[zone])
	}
	fmt.Fprintf(w, "groups    %d servers where their group's policy forbids\n", r.Violations)
	fmt.Fprintf(w, "decisions p50 %.0f, p90 %.0f, p99 %.0f, at most %.0f microseconds\n", r.Decision.P50, r.Decision.P90, r.Decision.P99, r.Decision.Max)
	if len(r.Refused) == 0 {
		return
	}
	fmt.Fprintln(w, "\nrefused")
	reasons := slices.SortedFunc(maps.Keys(r.Refused), func(a, b string) int { return cmp.Or(r.Refused[b]-r.Refused[a], cmp.Compare(a, b)) })
	const shown = 20
	for _, why := range reasons[:min(shown, len(reasons))] {
		fmt.Fprintf(w, "  %7d  %s\n", r.Refused[why], why)
	}
	if more := len(reasons) - shown; more > 0 {
		fmt.Fprintf(w, "  and for %d further reasons\n", more)
	}
}
