package libvirt

import (
	"context"
	"fmt"
	"os"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// Create implements hypervisor.Driver.
func (d *Driver) Create(ctx context.Context, g hypervisor.Guest) error {
	if err := g.Check(); err != nil {
		return err
	}
	t, end, err := d.begin(ctx, g.ID)
	if err != nil {
		return err
	}
	defer end()
	began := d.now()
	// Everything that can be refused is refused before anything is made.
	spec, err := d.builder.build(g, d.dir(g.ID))
	if err != nil {
		return err
	}
	text, err := encode(spec)
	if err != nil {
		return err
	}
	if err := d.nameIsFree(ctx, t, g); err != nil {
		return err
	}
	if err := d.makeDisks(ctx, g); err != nil {
		return err
	}
	for _, v := range g.Volumes {
		if err := d.keepSecret(ctx, t, v); err != nil {
			return err
		}
	}
	disks := d.now()
	dom, err := ask(ctx, d.conn, t, "define guest "+g.ID, func(l *lv.Libvirt) (lv.Domain, error) {
		return l.DomainDefineXMLFlags(text, 0)
	})
	if err != nil {
		return err
	}
	defined := d.now()
	if g.PowerOn {
		for _, nic := range g.NICs {
			if err := d.Plug(ctx, nic); err != nil {
				return err
			}
		}
		if err := d.start(ctx, t, dom); err != nil {
			return err
		}
	}
	d.log.Info("guest created", "instance", g.ID, "domain", g.Name, "disks", disks.Sub(began),
		"define", defined.Sub(disks), "start", d.now().Sub(defined))
	return nil
}

// nameIsFree refuses a name that another domain has: libvirt says that in words only.
func (d *Driver) nameIsFree(ctx context.Context, t *turn, g hypervisor.Guest) error {
	other, err := ask(ctx, d.conn, t, "look up the domain name "+g.Name, func(l *lv.Libvirt) (lv.Domain, error) {
		return l.DomainLookupByName(g.Name)
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err == nil && formatUUID(other.UUID) != g.ID {
		return fault.Conflictf("The name %s belongs to the domain %s already.", g.Name, formatUUID(other.UUID))
	}
	return err
}

// Destroy implements hypervisor.Driver. The folder goes last: it is the mark by
// which a repeated Destroy knows the guest.
func (d *Driver) Destroy(ctx context.Context, id string) error {
	t, end, err := d.begin(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer end()
	dom, err := d.find(ctx, t, id)
	switch {
	case err == nil:
		if err := d.undefine(ctx, t, dom); err != nil {
			return err
		}
	case !fault.Is(err, fault.NotFound):
		return err
	}
	if err := os.RemoveAll(d.dir(id)); err != nil {
		return fmt.Errorf("remove the folder of guest %s: %w", id, err)
	}
	return nil
}

// undefineFlags: whatever libvirt keeps for a domain goes with it.
const undefineFlags = lv.DomainUndefineManagedSave | lv.DomainUndefineSnapshotsMetadata |
	lv.DomainUndefineNvram | lv.DomainUndefineCheckpointsMetadata

func (d *Driver) undefine(ctx context.Context, t *turn, dom lv.Domain) error {
	id := formatUUID(dom.UUID)
	s, err := d.see(ctx, t, dom, lv.DomainXMLInactive)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := d.stop(ctx, t, dom); err != nil {
		return err
	}
	err = tell(ctx, d.conn, t, "undefine guest "+id, func(l *lv.Libvirt) error { return l.DomainUndefineFlags(dom, undefineFlags) })
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	for _, v := range s.Devices.Disks {
		if v.Source != nil && v.Source.Auth != nil && v.Serial != "" {
			if err := d.dropSecret(ctx, t, v.Serial); err != nil {
				return err
			}
		}
	}
	return nil
}
