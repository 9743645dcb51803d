package schedule

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// fleet makes n hosts as a cloud has them: in zones and racks, some busy, a few
// down.
func fleet(n int, seed uint64) []*Host {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var racks []*Aggregate
	for i := range 40 {
		racks = append(racks, NewAggregate(fmt.Sprint(i), fmt.Sprintf("rack%d", i), map[string]string{"rack": fmt.Sprint(i), "ssd": "true"}))
	}
	zones := []*Aggregate{NewAggregate("z1", "z1", map[string]string{"availability_zone": "z1"}), NewAggregate("z2", "z2", map[string]string{"availability_zone": "z2"})}
	hosts := make([]*Host, n)
	for i := range hosts {
		name := fmt.Sprintf("compute-%06d.example.org", i)
		hosts[i] = &Host{
			Name: name, Node: name, ProviderID: name, IP: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255),
			Up: rnd.IntN(100) > 0, Disabled: rnd.IntN(100) == 0,
			Zone: zones[i%2].Name, Aggregates: []*Aggregate{zones[i%2], racks[i%len(racks)]},
			VCPUs:    Resource{Total: 64, Used: rnd.IntN(65), Ratio: 4},
			MemoryMB: Resource{Total: 262144, Used: 1024 * rnd.IntN(257), Ratio: 1},
			DiskGB:   Resource{Total: 4000, Used: rnd.IntN(4001), Ratio: 1},
			Servers:  rnd.IntN(40), IOOps: rnd.IntN(4), FailedBuilds: rnd.IntN(50) / 49,
			HypervisorType: "QEMU", HypervisorVersion: 7002000 + rnd.IntN(2),
			Supported: [][3]string{{"i686", "qemu", "hvm"}, {"x86_64", "qemu", "hvm"}, {"x86_64", "kvm", "hvm"}},
			CPUInfo:   map[string]any{"arch": "x86_64", "features": []any{"avx", "avx2"}},
		}
	}
	return hosts
}

func benchmark(b *testing.B, n int, o Options, r *Request) {
	s, err := New(o, rand.IntN)
	if err != nil {
		b.Fatal(err)
	}
	hosts := fleet(n, 1)
	b.ReportAllocs()
	for b.Loop() {
		result, err := s.Select(hosts, r)
		if err != nil || len(result.Ordered) == 0 {
			b.Fatal(err, result.Explanation.Summary())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/host")
}

func BenchmarkSelect(b *testing.B) {
	request := &Request{Flavor: Flavor{Name: "m1.small", VCPUs: 1, MemoryMB: 2048, RootGB: 20}, Choices: 10,
		Image: Image{Properties: map[string]string{"hw_architecture": "x86_64"}}}
	all := *request
	all.Choices = 0
	more := Defaults()
	more.Filter.EnabledFilters = append(more.Filter.EnabledFilters, "AvailabilityZoneFilter", "RamFilter", "CoreFilter", "DiskFilter",
		"AggregateInstanceExtraSpecsFilter", "AggregateMultiTenancyIsolation", "NumInstancesFilter", "IoOpsFilter")
	detailed := *request
	detailed.Zone = "z1"
	detailed.Flavor.ExtraSpecs = map[string]string{"aggregate_instance_extra_specs:ssd": "true", "capabilities:cpu_info:arch": "x86_64"}
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("default/%d", n), func(b *testing.B) { benchmark(b, n, Defaults(), request) })
		b.Run(fmt.Sprintf("all-ordered/%d", n), func(b *testing.B) { benchmark(b, n, Defaults(), &all) })
		b.Run(fmt.Sprintf("13-filters/%d", n), func(b *testing.B) { benchmark(b, n, more, &detailed) })
	}
}

// BenchmarkFilter is the filters alone, without weighing.
func BenchmarkFilter(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := Defaults()
			o.Filter.WeightClasses = nil
			benchmark(b, n, o, &Request{Choices: 1, Image: Image{Properties: map[string]string{"hw_architecture": "x86_64"}}})
		})
	}
}
