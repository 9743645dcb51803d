package simulate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/compute/schedule"
)

// Shape describes hosts that are alike.
type Shape struct {
	Hosts    int      `json:"hosts"`  // how many
	Prefix   string   `json:"prefix"` // of their names
	VCPUs    int      `json:"vcpus"`
	MemoryMB int      `json:"ram"`
	DiskGB   int      `json:"disk"`
	Zones    int      `json:"zones"` // over how many they are dealt out; 0: one
	Traits   []string `json:"traits"`
	// Metadata is that of the one aggregate that they are in; none: no aggregate.
	Metadata map[string]string `json:"metadata"`
	// Devices is how many PCI devices each has, by the alias that flavors ask for.
	Devices map[string]int `json:"devices"`
}

// Ratios are how much of a host servers may take.
type Ratios struct {
	CPU, RAM, Disk float64
	ReservedMB     int // memory of the host itself
}

// maxHosts bounds a fleet.
const maxHosts = 1_000_000

// NewFleet imagines hosts, all up and empty. fault.Invalid for shapes without
// size, and for too many.
func NewFleet(ratios Ratios, shapes ...Shape) ([]*schedule.Host, error) {
	var hosts []*schedule.Host
	for i, s := range shapes {
		if s.Hosts < 1 || s.VCPUs < 1 || s.MemoryMB < 1 || s.DiskGB < 0 || s.Zones < 0 {
			return nil, fault.Invalidf("Shape %d of the fleet needs hosts, vcpus and ram above 0: it has %d, %d and %d.", i+1, s.Hosts, s.VCPUs, s.MemoryMB)
		}
		for alias, n := range s.Devices {
			if n < 1 || n > maxDevices {
				return nil, fault.Invalidf("Shape %d of the fleet has %d devices of alias %s; there may be 1 to %d.", i+1, n, alias, maxDevices)
			}
		}
		if len(hosts)+s.Hosts > maxHosts {
			return nil, fault.Invalidf("The fleet has more than %d hosts.", maxHosts)
		}
		if s.Prefix == "" {
			s.Prefix = fmt.Sprintf("host%d-", i+1)
		}
		var aggregates []*schedule.Aggregate
		if len(s.Metadata) > 0 {
			aggregates = []*schedule.Aggregate{schedule.NewAggregate(fmt.Sprint(i+1), fmt.Sprintf("shape%d", i+1), s.Metadata)}
		}
		for n := range s.Hosts {
			name := fmt.Sprintf("%s%06d", s.Prefix, n)
			zone := "nova"
			if s.Zones > 1 {
				zone = fmt.Sprintf("zone%d", n%s.Zones+1)
			}
			hosts = append(hosts, &schedule.Host{Name: name, Node: name, ProviderID: name, IP: fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255), Up: true, Zone: zone,
				Aggregates: aggregates, Traits: s.Traits, HypervisorType: "QEMU", Supported: [][3]string{{"x86_64", "kvm", "hvm"}},
				VCPUs:    schedule.Resource{Total: s.VCPUs, Ratio: ratios.CPU},
				MemoryMB: schedule.Resource{Total: s.MemoryMB, Used: ratios.ReservedMB, Ratio: ratios.RAM},
				DiskGB:   schedule.Resource{Total: s.DiskGB, Ratio: ratios.Disk}, PCI: poolsOf(s.Devices)})
		}
	}
	return hosts, nil
}

// maxDevices bounds the devices of one kind of a host.
const maxDevices = 4096

// aliasTag is by what devices are known here.
const aliasTag = "alias"

func poolsOf(devices map[string]int) []schedule.PCIPool {
	var pools []schedule.PCIPool
	for _, alias := range slices.Sorted(maps.Keys(devices)) {
		pools = append(pools, schedule.PCIPool{Count: devices[alias], Cell: -1, Tags: map[string]string{aliasTag: alias}})
	}
	return pools
}

// ReadShapes reads a fleet: one JSON object a line.
func ReadShapes(r io.Reader) ([]Shape, error) {
	var shapes []Shape
	err := eachLine(r, func(n int, line []byte) error {
		var s Shape
		if err := strict(line, &s); err != nil {
			return fault.Invalidf("Line %d of the fleet: %v.", n, err)
		}
		shapes = append(shapes, s)
		return nil
	})
	return shapes, err
}

// maxLine bounds a line of a file.
const maxLine = 64 << 10

func eachLine(r io.Reader, do func(n int, line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	n := 0
	for lines.Scan() {
		n++
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := do(n, lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fault.Invalidf("Line %d cannot be read: %v (a line has at most %d bytes).", n+1, err, maxLine)
	}
	return nil
}

func strict(line []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if dec.More() {
		return fmt.Errorf("there is more after the object")
	}
	return nil
}
