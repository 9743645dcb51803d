package fake

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

var _ hypervisor.ColdMigrator = (*Driver)(nil)

// Park implements hypervisor.ColdMigrator.
func (d *Driver) Park(ctx context.Context, id string) error {
	return d.do(ctx, Park, id, func() error {
		g, here := d.state.Guests[id]
		if _, parked := d.state.Parked[id]; parked {
			return nil // a guest of this id that is here too has come since
		}
		if !here {
			_, err := d.find(id)
			return err
		}
		g.stop(hypervisor.Shutdown, poweredDown)
		if d.state.Parked == nil {
			d.state.Parked = map[string]*guest{}
		}
		d.state.Parked[id] = g
		delete(d.state.Guests, id)
		d.touched(id)
		return nil
	})
}

// Parked implements hypervisor.ColdMigrator.
func (d *Driver) Parked(ctx context.Context) (ids []string, err error) {
	err = d.do(ctx, List, "", func() error {
		ids = slices.Sorted(maps.Keys(d.state.Parked))
		return nil
	})
	return ids, err
}

// parcelName is the one file of a parcel: all that there is of a guest.
const parcelName = "guest.json"

func (d *Driver) parcel(ctx context.Context, id string) (text []byte, err error) {
	err = d.do(ctx, State, id, func() error {
		g, ok := d.state.Parked[id]
		if !ok {
			return fault.NotFoundf("Guest %s is not parked on host %s.", id, d.cfg.Host)
		}
		var err error
		text, err = json.Marshal(g)
		return err
	})
	return text, err
}

// Parcel implements hypervisor.ColdMigrator.
func (d *Driver) Parcel(ctx context.Context, id string) ([]hypervisor.ParcelFile, error) {
	text, err := d.parcel(ctx, id)
	if err != nil {
		return nil, err
	}
	return []hypervisor.ParcelFile{{Name: parcelName, Size: int64(len(text))}}, nil
}

type parcelReader struct{ *bytes.Reader }

// Close implements io.Closer.
func (parcelReader) Close() error { return nil }

// OpenParcel implements hypervisor.ColdMigrator.
func (d *Driver) OpenParcel(ctx context.Context, id, name string) (hypervisor.ParcelReader, error) {
	text, err := d.parcel(ctx, id)
	if err != nil {
		return nil, err
	}
	if name != parcelName {
		return nil, fault.NotFoundf("The parcel of guest %s has no file %s.", id, name)
	}
	return parcelReader{bytes.NewReader(text)}, nil
}

// maxParcel bounds what is received, in bytes.
const maxParcel = 1 << 20

// Receive implements hypervisor.ColdMigrator.
func (d *Driver) Receive(ctx context.Context, spec hypervisor.Guest, parcel []hypervisor.ParcelFile, open func(context.Context, string) (io.ReadCloser, error)) error {
	if err := spec.Check(); err != nil {
		return err
	}
	if len(parcel) != 1 || parcel[0].Name != parcelName {
		return fault.Invalidf("What was sent of guest %s is no parcel of a fake hypervisor.", spec.ID)
	}
	file, err := open(ctx, parcelName)
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxParcel))
	if err != nil {
		return err
	}
	return d.do(ctx, Receive, spec.ID, func() error { return d.receive(spec.ID, text, &spec) })
}

// receive makes a guest that was another host's; d.mu is held.
func (d *Driver) receive(id string, text []byte, spec *hypervisor.Guest) error {
	if _, here := d.state.Guests[id]; here {
		return nil
	}
	var g guest
	if err := json.Unmarshal(text, &g); err != nil || g.Spec.ID != id {
		return fault.New(fault.Invalid, "What was sent as guest %s cannot be read: %w", id, err)
	}
	if spec != nil {
		if spec.EphemeralMB() < g.Spec.EphemeralMB() {
			return fault.Invalidf("Resize error: Unable to resize disk down: the ephemeral disks of guest %s have %d MB, the flavor's %d are fewer.", id, g.Spec.EphemeralMB(), spec.EphemeralMB())
		}
		g.Spec = keep(*spec)
	}
	if d.state.Guests == nil {
		d.state.Guests = map[string]*guest{}
	}
	d.state.Guests[id] = &g
	d.touched(id)
	return nil
}

// Unpark implements hypervisor.ColdMigrator.
func (d *Driver) Unpark(ctx context.Context, id string) error {
	return d.do(ctx, Unpark, id, func() error {
		parked, ok := d.state.Parked[id]
		_, here := d.state.Guests[id]
		switch {
		case ok && here:
			return fault.Conflictf("Guest %s is on host %s twice, parked and not.", id, d.cfg.Host)
		case !ok:
			_, err := d.find(id)
			return err
		}
		if d.state.Guests == nil {
			d.state.Guests = map[string]*guest{}
		}
		d.state.Guests[id] = parked
		delete(d.state.Parked, id)
		d.touched(id)
		return nil
	})
}

// Drop implements hypervisor.ColdMigrator.
func (d *Driver) Drop(ctx context.Context, id string) error {
	return d.do(ctx, Drop, id, func() error {
		if _, ok := d.state.Parked[id]; ok {
			delete(d.state.Parked, id)
			d.dirty = true
		}
		return nil
	})
}
