package libvirt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// List implements hypervisor.Driver, in one call to libvirt for all guests.
func (d *Driver) List(ctx context.Context) ([]hypervisor.Observed, error) {
	records, err := ask(ctx, d.conn, nil, "list the guests", func(l *lv.Libvirt) ([]lv.DomainStatsRecord, error) {
		return l.ConnectGetAllDomainStats(nil, uint32(lv.DomainStatsState), uint32(lv.ConnectGetAllDomainsStatsNowait))
	})
	if err != nil {
		return nil, err
	}
	all := make([]hypervisor.Observed, 0, len(records))
	for _, r := range records {
		ours, err := d.isOurs(ctx, nil, r.Dom)
		if err != nil {
			return nil, err
		}
		if ours {
			all = append(all, hypervisor.Observed{ID: formatUUID(r.Dom.UUID), Name: r.Dom.Name, State: states[stateOf(r.Params)]})
		}
	}
	return all, nil
}

func stateOf(params []lv.TypedParam) lv.DomainState {
	for _, p := range params {
		if n, ok := p.Value.I.(int32); ok && p.Field == "state.state" {
			return lv.DomainState(n)
		}
	}
	return lv.DomainNostate
}

// Clean destroys every guest of this instances_path, with its taps and with the
// folders that have no domain any more, and touches nothing else. It goes on
// after a failure and returns all of them.
func (d *Driver) Clean(ctx context.Context) error {
	all, err := d.List(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, g := range all {
		failed = errors.Join(failed, d.cleanGuest(ctx, g.ID, d.Destroy))
	}
	entries, err := os.ReadDir(d.cfg.InstancesPath)
	if err != nil {
		return errors.Join(failed, fmt.Errorf("look for folders of guests: %w", err))
	}
	for _, e := range entries {
		if hypervisor.IsUUID(e.Name()) {
			failed = errors.Join(failed, d.Destroy(ctx, e.Name()))
		}
		if id, ok := strings.CutSuffix(e.Name(), parkedSuffix); ok {
			failed = errors.Join(failed, d.Drop(ctx, id))
		}
	}
	return failed
}

// Retire ends every guest and removes its definition and its taps, but keeps its
// disks: Create then goes on with these.
func (d *Driver) Retire(ctx context.Context) error {
	all, err := d.List(ctx)
	for _, g := range all {
		err = errors.Join(err, d.cleanGuest(ctx, g.ID, d.retire))
	}
	return err
}

// retire is Destroy without the folder.
func (d *Driver) retire(ctx context.Context, id string) error {
	t, end, err := d.begin(ctx, id)
	if err != nil {
		return err
	}
	defer end()
	dom, err := d.find(ctx, t, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.undefine(ctx, t, dom)
}

// cleanGuest removes a guest by remove, and then its taps.
func (d *Driver) cleanGuest(ctx context.Context, id string, remove func(context.Context, string) error) error {
	dom, err := d.find(ctx, nil, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := d.see(ctx, nil, dom, 0)
	if err != nil {
		return err
	}
	if err := remove(ctx, id); err != nil {
		return err
	}
	for _, i := range s.Devices.Interfaces {
		if i.Target != nil {
			if err := unplugTap(i.Target.Dev); err != nil {
				return err
			}
		}
	}
	return nil
}
