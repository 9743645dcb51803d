package hypervisortest

import "kilonova/service/compute/hypervisor"

func (b *bench) resources() {
	before, err := b.d.Resources(b.ctx)
	b.must(err)
	switch {
	case before.HypervisorType == "" || before.HypervisorVersion <= 0 || before.HypervisorName == "":
		b.t.Errorf("the hypervisor does not say what it is: %+v", before)
	case before.VCPUs < 1 || before.MemoryMB < 1 || before.DiskGB < 1:
		b.t.Errorf("the host has nothing: %+v", before)
	case before.MemoryUsedMB < 0 || before.MemoryUsedMB > before.MemoryMB:
		b.t.Errorf("%d MB of %d MB memory are used", before.MemoryUsedMB, before.MemoryMB)
	case before.DiskUsedGB < 0 || before.DiskFreeGB < 0 || before.DiskUsedGB+before.DiskFreeGB > before.DiskGB+1:
		b.t.Errorf("%d GB used and %d GB free make more than %d GB", before.DiskUsedGB, before.DiskFreeGB, before.DiskGB)
	case before.CPU.Arch == "" || before.CPU.Topology.Cores < 1 || before.CPU.Topology.Sockets < 1 || before.CPU.Topology.Threads < 1:
		b.t.Errorf("the processor is not described: %+v", before.CPU)
	case len(before.Supported) == 0:
		b.t.Error("nothing can run here")
	}
	g := b.create(b.Guest(b.t), true)
	during, err := b.d.Resources(b.ctx)
	b.must(err)
	if during.Running != before.Running+1 {
		b.t.Errorf("%d guests ran before one was started and %d after", before.Running, during.Running)
	}
	b.must(b.d.Power(b.ctx, g.ID, hypervisor.PowerOff))
	after, err := b.d.Resources(b.ctx)
	b.must(err)
	if after.Running != before.Running {
		b.t.Errorf("%d guests ran before one was started and %d after it was stopped", before.Running, after.Running)
	}
}
