package fake

import (
	"context"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// AttachVolume implements hypervisor.Driver.
func (d *Driver) AttachVolume(ctx context.Context, id string, v hypervisor.Volume) error {
	if err := v.Check(); err != nil {
		return err
	}
	return d.do(ctx, AttachVolume, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		has := func(other hypervisor.Volume) bool { return other.ID == v.ID }
		switch {
		case slices.ContainsFunc(g.Spec.Volumes, has):
			return nil
		case len(g.Spec.Volumes) >= hypervisor.MaxDevices:
			return fault.New(fault.OverLimit, "Guest %s has %d volumes; it takes no more.", id, len(g.Spec.Volumes))
		}
		v.Secret = ""
		g.Spec.Volumes = append(g.Spec.Volumes, v)
		d.touched(id)
		return nil
	})
}

// DetachVolume implements hypervisor.Driver.
func (d *Driver) DetachVolume(ctx context.Context, id, volumeID string) error {
	return d.do(ctx, DetachVolume, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		g.Spec.Volumes = slices.DeleteFunc(g.Spec.Volumes, func(v hypervisor.Volume) bool { return v.ID == volumeID })
		d.touched(id)
		return nil
	})
}

// AttachInterface implements hypervisor.Driver.
func (d *Driver) AttachInterface(ctx context.Context, id string, nic hypervisor.NIC) error {
	if err := nic.Check(); err != nil {
		return err
	}
	return d.do(ctx, AttachInterface, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		has := func(other hypervisor.NIC) bool { return other.PortID == nic.PortID }
		switch {
		case slices.ContainsFunc(g.Spec.NICs, has):
			return nil
		case len(g.Spec.NICs) >= hypervisor.MaxDevices:
			return fault.New(fault.OverLimit, "Guest %s has %d interfaces; it takes no more.", id, len(g.Spec.NICs))
		}
		g.Spec.NICs = append(g.Spec.NICs, nic)
		d.touched(id)
		return nil
	})
}

// DetachInterface implements hypervisor.Driver.
func (d *Driver) DetachInterface(ctx context.Context, id, portID string) error {
	return d.do(ctx, DetachInterface, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		g.Spec.NICs = slices.DeleteFunc(g.Spec.NICs, func(nic hypervisor.NIC) bool { return nic.PortID == portID })
		d.touched(id)
		return nil
	})
}

// Plug implements hypervisor.Plugger: it remembers the device.
func (d *Driver) Plug(ctx context.Context, nic hypervisor.NIC) error {
	if err := nic.Check(); err != nil {
		return err
	}
	return d.do(ctx, Plug, nic.PortID, func() error {
		if d.state.Taps == nil {
			d.state.Taps = make(taps)
		}
		d.state.Taps[nic.PortID] = nic
		d.dirty = true
		return nil
	})
}

// Unplug implements hypervisor.Plugger: it forgets the device.
func (d *Driver) Unplug(ctx context.Context, nic hypervisor.NIC) error {
	return d.do(ctx, Unplug, nic.PortID, func() error {
		delete(d.state.Taps, nic.PortID)
		d.dirty = true
		return nil
	})
}

// ExtendVolume implements hypervisor.VolumeExtender: it remembers the size.
func (d *Driver) ExtendVolume(ctx context.Context, id, volumeID string, sizeGB int) error {
	return d.do(ctx, ExtendVolume, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(g.Spec.Volumes, func(v hypervisor.Volume) bool { return v.ID == volumeID }) {
			return fault.NotFoundf("Guest %s has no volume %s.", id, volumeID)
		}
		if g.Sizes == nil {
			g.Sizes = map[string]int{}
		}
		g.Sizes[volumeID] = sizeGB
		d.touched(id)
		return nil
	})
}

// SwapVolume implements hypervisor.VolumeSwapper.
func (d *Driver) SwapVolume(ctx context.Context, id, oldID string, v hypervisor.Volume) error {
	if err := v.Check(); err != nil {
		return err
	}
	return d.do(ctx, SwapVolume, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		at := func(id string) int {
			return slices.IndexFunc(g.Spec.Volumes, func(v hypervisor.Volume) bool { return v.ID == id })
		}
		i := at(oldID)
		switch {
		case i < 0 && at(v.ID) >= 0:
			return nil
		case i < 0:
			return fault.NotFoundf("Guest %s has no volume %s.", id, oldID)
		}
		v.Secret, v.Device, v.Boot = "", g.Spec.Volumes[i].Device, g.Spec.Volumes[i].Boot
		g.Spec.Volumes[i] = v
		d.touched(id)
		return nil
	})
}
