package schedule

import "kilonova/service/compute/hardware"

// guestNUMA is the NUMA topology that flavor and image ask for together, to be fitted
// on those of hosts.
type guestNUMA struct{ hardware.Topology }

// parseNUMA returns the topology that r asks for, nil when it asks for none.
func parseNUMA(r *Request) (*guestNUMA, error) { return numaOf(r.Flavor, r.Image) }

func numaOf(f Flavor, i Image) (*guestNUMA, error) {
	if len(f.ExtraSpecs) == 0 && len(i.Properties) == 0 {
		return nil, nil
	}
	t, err := hardware.TopologyOf(
		hardware.Flavor{Name: f.Name, VCPUs: f.VCPUs, MemoryMB: f.MemoryMB, ExtraSpecs: f.ExtraSpecs},
		hardware.Image{ID: i.ID, Name: i.ID, Properties: i.Properties})
	if err != nil || t == nil {
		return nil, err
	}
	return &guestNUMA{*t}, nil
}

// extraOf is how many processors the guest's i-th node takes for emulator threads.
func (g *guestNUMA) extraOf(i int) int {
	if i == 0 && g.IsolateEmulator {
		return 1
	}
	return 0
}
