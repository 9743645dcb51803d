package libvirt

import (
	"context"
	"fmt"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/service/compute"
)

// Diagnose implements hypervisor.Diagnoser, with what libvirt counts.
func (d *Driver) Diagnose(ctx context.Context, id string) (out compute.Diagnostics, err error) {
	err = d.with(ctx, id, func(t *turn, dom lv.Domain, state lv.DomainState) error {
		if !runs(state) && state != lv.DomainPaused {
			return notRunning(id)
		}
		s, err := d.see(ctx, t, dom, 0)
		if err != nil {
			return err
		}
		const stats = lv.DomainStatsVCPU | lv.DomainStatsBalloon | lv.DomainStatsInterface | lv.DomainStatsBlock
		records, err := ask(ctx, d.conn, t, "read the counters of guest "+id, func(l *lv.Libvirt) ([]lv.DomainStatsRecord, error) {
			return l.ConnectGetAllDomainStats([]lv.Domain{dom}, uint32(stats), 0)
		})
		if err != nil {
			return err
		}
		if len(records) != 1 {
			return d.unknown(id)
		}
		out = diagnosticsOf(counters(records[0].Params), s)
		out.Driver, out.Hypervisor, out.OS, out.State = "libvirt", d.builder.virtType, "linux", "running"
		if state == lv.DomainPaused {
			out.State = "paused"
		}
		return nil
	})
	return out, err
}

// counts are libvirt's counters and names, by its names for them.
type counts struct {
	numbers map[string]int64
	texts   map[string]string
}

func counters(params []lv.TypedParam) counts {
	c := counts{map[string]int64{}, map[string]string{}}
	for _, p := range params {
		switch v := p.Value.I.(type) {
		case int32:
			c.numbers[p.Field] = int64(v)
		case uint32:
			c.numbers[p.Field] = int64(v)
		case int64:
			c.numbers[p.Field] = v
		case uint64:
			c.numbers[p.Field] = int64(v)
		case string:
			c.texts[p.Field] = v
		}
	}
	return c
}

// get is nil for what libvirt does not count.
func (c counts) get(name string, args ...any) *int64 {
	n, ok := c.numbers[fmt.Sprintf(name, args...)]
	if !ok {
		return nil
	}
	return &n
}

// mib turns KiB into MiB.
func mib(kib *int64) *int64 {
	if kib != nil {
		*kib >>= 10
	}
	return kib
}

func diagnosticsOf(c counts, s seen) compute.Diagnostics {
	out := compute.Diagnostics{MemoryMB: mib(c.get("balloon.maximum")), MemoryUsedMB: mib(c.get("balloon.rss"))}
	for i := range c.numbers["vcpu.current"] {
		out.CPUs = append(out.CPUs, compute.CPUDiagnostics{ID: int(i), Time: c.get("vcpu.%d.time", i)})
	}
	for i := range c.numbers["net.count"] {
		n := compute.NICDiagnostics{Device: c.texts[fmt.Sprintf("net.%d.name", i)],
			RxOctets: c.get("net.%d.rx.bytes", i), RxPackets: c.get("net.%d.rx.pkts", i), RxErrors: c.get("net.%d.rx.errs", i), RxDrop: c.get("net.%d.rx.drop", i),
			TxOctets: c.get("net.%d.tx.bytes", i), TxPackets: c.get("net.%d.tx.pkts", i), TxErrors: c.get("net.%d.tx.errs", i), TxDrop: c.get("net.%d.tx.drop", i)}
		for _, x := range s.Devices.Interfaces {
			if x.Target != nil && x.Target.Dev == n.Device && x.MAC != nil {
				n.MAC = x.MAC.Address
			}
		}
		out.NICs = append(out.NICs, n)
	}
	for i := range c.numbers["block.count"] {
		out.Disks = append(out.Disks, compute.DiskDiagnostics{Device: c.texts[fmt.Sprintf("block.%d.name", i)],
			ReadBytes: c.get("block.%d.rd.bytes", i), ReadRequests: c.get("block.%d.rd.reqs", i),
			WriteBytes: c.get("block.%d.wr.bytes", i), WriteRequests: c.get("block.%d.wr.reqs", i), Errors: c.get("block.%d.errors", i)})
	}
	return out
}
