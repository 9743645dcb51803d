package schedule

import (
	"fmt"
	"strconv"
)

// Filters that count what hosts have and what is taken.

// room is the filter for one resource: what is asked for must fit the bare host,
// since no server may overcommit against itself, and, with what others take,
// within the ratio.
func room(asked int, unit, noun string, of func(h *Host) Resource) *filter {
	small, full := "with less "+noun+" than asked for", "with too little free "+noun
	return &filter{
		refuse: func(h *Host) string {
			res := of(h)
			switch {
			case asked > res.Total:
				return small
			case float64(asked) > res.Limit()-float64(res.Used):
				return full
			}
			return ""
		},
		detail: func(h *Host) string {
			res := of(h)
			return fmt.Sprintf("%d %s asked for, %g of %g %s free (total %d, ratio %g)", asked, unit,
				res.Limit()-float64(res.Used), res.Limit(), unit, res.Total, res.ratio())
		},
	}
}

// exactly is the filter that wants precisely what is asked for to be free.
func exactly(asked int, unit, noun string, free func(h *Host) int) *filter {
	reason := "with not exactly the free " + noun + " asked for"
	return &filter{
		refuse: func(h *Host) string {
			if free(h) != asked {
				return reason
			}
			return ""
		},
		detail: func(h *Host) string { return fmt.Sprintf("%d %s asked for, %d free", asked, unit, free(h)) },
	}
}

// DiskMB is what a server of the flavor takes of a host's disk.
func (f Flavor) DiskMB() int { return 1024*(f.RootGB+f.EphemeralGB) + f.SwapMB }

// freeDiskMB is what servers may still take, which is what the file system can
// really give where that is less than the books say.
func (h *Host) freeDiskMB() int {
	free := h.DiskGB.Free()
	if h.DiskLeastGB != nil {
		free = min(free, *h.DiskLeastGB)
	}
	return 1024 * free
}

func (h *Host) diskMB() Resource {
	total := 1024 * h.DiskGB.Total
	return Resource{Total: total, Used: total - h.freeDiskMB(), Ratio: h.DiskGB.Ratio}
}

// withRatio takes the ratio from the host's aggregates, where they have one.
func withRatio(h *Host, res Resource, key string) Resource {
	res.Ratio = aggregateNumber(h, key, parseFloat, res.Ratio)
	return res
}

func ramFilter(_ *Options, r *Request) (*filter, error) {
	return room(r.Flavor.MemoryMB, "MiB", "memory", func(h *Host) Resource { return h.MemoryMB }), nil
}

func aggregateRAM(_ *Options, r *Request) (*filter, error) {
	return room(r.Flavor.MemoryMB, "MiB", "memory", func(h *Host) Resource {
		return withRatio(h, h.MemoryMB, "ram_allocation_ratio")
	}), nil
}

func coreFilter(_ *Options, r *Request) (*filter, error) {
	return cores(r, func(h *Host) Resource { return h.VCPUs }), nil
}

func aggregateCore(_ *Options, r *Request) (*filter, error) {
	return cores(r, func(h *Host) Resource { return withRatio(h, h.VCPUs, "cpu_allocation_ratio") }), nil
}

// cores lets hosts pass that do not say how many processors they have.
func cores(r *Request, of func(h *Host) Resource) *filter {
	f := room(r.Flavor.VCPUs, "VCPUs", "processors", of)
	known := f.refuse
	f.refuse = func(h *Host) string {
		if h.VCPUs.Total == 0 {
			return ""
		}
		return known(h)
	}
	return f
}

func diskFilter(_ *Options, r *Request) (*filter, error) {
	return room(r.Flavor.DiskMB(), "MiB", "disk", func(h *Host) Resource { return h.diskMB() }), nil
}

func aggregateDisk(_ *Options, r *Request) (*filter, error) {
	return room(r.Flavor.DiskMB(), "MiB", "disk", func(h *Host) Resource {
		return withRatio(h, h.diskMB(), "disk_allocation_ratio")
	}), nil
}

func exactRAM(_ *Options, r *Request) (*filter, error) {
	return exactly(r.Flavor.MemoryMB, "MiB", "memory", func(h *Host) int { return h.MemoryMB.Free() }), nil
}

func exactCore(_ *Options, r *Request) (*filter, error) {
	return exactly(r.Flavor.VCPUs, "VCPUs", "processors", func(h *Host) int { return h.VCPUs.Free() }), nil
}

func exactDisk(_ *Options, r *Request) (*filter, error) {
	return exactly(r.Flavor.DiskMB(), "MiB", "disk", func(h *Host) int { return h.freeDiskMB() }), nil
}

// below is the filter for a number that must be less than its limit.
func below(reason, noun string, number, limit func(h *Host) int) *filter {
	return &filter{
		refuse: func(h *Host) string {
			if number(h) >= limit(h) {
				return reason
			}
			return ""
		},
		detail: func(h *Host) string { return fmt.Sprintf("%d %s, the limit is %d", number(h), noun, limit(h)) },
	}
}

func ioOps(o *Options, _ *Request) (*filter, error) {
	return belowIOOps(func(*Host) int { return o.Filter.MaxIOOpsPerHost }), nil
}

func aggregateIOOps(o *Options, _ *Request) (*filter, error) {
	return belowIOOps(func(h *Host) int {
		return aggregateNumber(h, "max_io_ops_per_host", strconv.Atoi, o.Filter.MaxIOOpsPerHost)
	}), nil
}

func belowIOOps(limit func(h *Host) int) *filter {
	return below("busy with I/O", "operations under way", func(h *Host) int { return h.IOOps }, limit)
}

func numInstances(o *Options, _ *Request) (*filter, error) {
	return belowServers(func(*Host) int { return o.Filter.MaxInstancesPerHost }), nil
}

func aggregateNumInstances(o *Options, _ *Request) (*filter, error) {
	return belowServers(func(h *Host) int {
		return aggregateNumber(h, "max_instances_per_host", strconv.Atoi, o.Filter.MaxInstancesPerHost)
	}), nil
}

func belowServers(limit func(h *Host) int) *filter {
	return below("with as many servers as allowed", "servers", func(h *Host) int { return h.Servers }, limit)
}

// metricsFilter refuses hosts that do not measure what is to be weighed.
func metricsFilter(o *Options, _ *Request) (*filter, error) {
	settings, err := parseSettings("[metrics] weight_setting", o.Metrics.Setting)
	if err != nil || len(settings) == 0 {
		return nil, err
	}
	missing := func(h *Host) string {
		for _, s := range settings {
			if _, ok := h.Metrics[s.name]; !ok {
				return s.name
			}
		}
		return ""
	}
	return &filter{
		refuse: func(h *Host) string {
			if missing(h) != "" {
				return "without a metric"
			}
			return ""
		},
		detail: func(h *Host) string { return "does not report metric " + missing(h) },
	}, nil
}
