package libvirt

import (
	"context"
	"encoding/xml"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// unplugInterval is how often a guest is asked again to let go of a device.
const unplugInterval = 5 * time.Second

// device is a disk or an interface on its way into a guest or out of it.
type device struct {
	what string            // for messages
	has  func(s seen) bool // whether a domain has it
	xml  func(config, live seen) (any, error)
}

// AttachVolume implements hypervisor.Driver.
func (d *Driver) AttachVolume(ctx context.Context, id string, v hypervisor.Volume) error {
	if err := v.Check(); err != nil {
		return err
	}
	return d.attach(ctx, id, device{
		what: "volume " + v.ID,
		has:  func(s seen) bool { _, ok := s.volume(v.ID); return ok },
		xml: func(config, live seen) (any, error) {
			for _, s := range []seen{config, live} { // half attached: the same name again
				if old, ok := s.volume(v.ID); ok {
					return volumeDisk(v, old.Target.Bus, old.Target.Dev)
				}
			}
			bus := "virtio"
			if m := config.Metadata.Mark; m != nil && m.DiskBus != "" {
				bus = m.DiskBus
			}
			return volumeDisk(v, bus, freeTarget(bus, v.Device, config, live))
		},
	}, func(t *turn) error { return d.keepSecret(ctx, t, v) })
}

// DetachVolume implements hypervisor.Driver.
func (d *Driver) DetachVolume(ctx context.Context, id, volumeID string) error {
	return d.detach(ctx, id, device{
		what: "volume " + volumeID,
		has:  func(s seen) bool { _, ok := s.volume(volumeID); return ok },
		xml: func(config, live seen) (any, error) {
			old, ok := live.volume(volumeID)
			if !ok {
				old, _ = config.volume(volumeID)
			}
			old.Driver, old.Boot, old.ReadOnly = nil, nil, nil
			return old, nil
		},
	}, func(t *turn) error { return d.dropSecret(ctx, t, volumeID) })
}

// AttachInterface implements hypervisor.Driver.
func (d *Driver) AttachInterface(ctx context.Context, id string, nic hypervisor.NIC) error {
	if err := nic.Check(); err != nil {
		return err
	}
	return d.attach(ctx, id, device{
		what: "port " + nic.PortID,
		has:  func(s seen) bool { _, ok := s.port(nic.PortID); return ok },
		xml: func(config, _ seen) (any, error) {
			model := "virtio"
			if m := config.Metadata.Mark; m != nil && m.VIFModel != "" {
				model = m.VIFModel
			}
			return d.builder.nic(nic, model), nil
		},
	}, func(*turn) error { return d.Plug(ctx, nic) })
}

// DetachInterface implements hypervisor.Driver.
func (d *Driver) DetachInterface(ctx context.Context, id, portID string) error {
	return d.detach(ctx, id, device{
		what: "port " + portID,
		has:  func(s seen) bool { _, ok := s.port(portID); return ok },
		xml: func(config, live seen) (any, error) {
			old, ok := live.port(portID)
			if !ok {
				old, _ = config.port(portID)
			}
			return iface{XMLName: xml.Name{Local: "interface"}, Type: old.Type, MAC: old.MAC}, nil
		},
	}, func(*turn) error { return nil })
}

// views reads both sides of a domain: what is defined, and what runs; a domain
// that is off has only the first.
func (d *Driver) views(ctx context.Context, t *turn, dom lv.Domain) (config, live seen, running bool, err error) {
	if config, err = d.see(ctx, t, dom, lv.DomainXMLInactive); err != nil {
		return
	}
	state, err := d.rawState(ctx, t, dom)
	if err != nil || state == lv.DomainShutoff {
		return config, seen{}, false, err
	}
	live, err = d.see(ctx, t, dom, 0)
	return config, live, true, err
}

// attach brings a device into the sides of a domain that lack it: the running
// one first, since that is the one that may refuse.
func (d *Driver) attach(ctx context.Context, id string, dev device, prepare func(*turn) error) error {
	t, end, err := d.begin(ctx, id)
	if err != nil {
		return err
	}
	defer end()
	dom, err := d.find(ctx, t, id)
	if err != nil {
		return err
	}
	config, live, running, err := d.views(ctx, t, dom)
	if err != nil {
		return err
	}
	var flags lv.DomainModificationImpact
	if running && !dev.has(live) {
		flags |= lv.DomainAffectLive
	}
	if !dev.has(config) {
		flags |= lv.DomainAffectConfig
	}
	if flags == 0 {
		return nil
	}
	part, err := dev.xml(config, live)
	if err != nil {
		return err
	}
	text, err := encode(part)
	if err != nil {
		return err
	}
	if err := prepare(t); err != nil {
		return err
	}
	return tell(ctx, d.conn, t, "attach "+dev.what+" to guest "+id, func(l *lv.Libvirt) error {
		return l.DomainAttachDeviceFlags(dom, text, uint32(flags))
	})
}

// detach takes a device out of the definition, so that it cannot come back, and
// then asks the guest for it until the guest has let go.
func (d *Driver) detach(ctx context.Context, id string, dev device, after func(*turn) error) error {
	t, end, err := d.begin(ctx, id)
	if err != nil {
		return err
	}
	defer end()
	dom, err := d.find(ctx, t, id)
	if err != nil {
		return err
	}
	config, live, running, err := d.views(ctx, t, dom)
	if err != nil {
		return err
	}
	part, err := dev.xml(config, live)
	if err != nil {
		return err
	}
	text, err := encode(part)
	if err != nil {
		return err
	}
	if dev.has(config) {
		if err := d.detachFrom(ctx, t, dom, dev, text, lv.DomainAffectConfig); err != nil {
			return err
		}
	}
	if running && dev.has(live) {
		if err := d.letGo(ctx, t, dom, dev, text); err != nil {
			return err
		}
	}
	return after(t)
}

func (d *Driver) detachFrom(ctx context.Context, t *turn, dom lv.Domain, dev device, text string, side lv.DomainModificationImpact) error {
	err := tell(ctx, d.conn, t, "detach "+dev.what+" from guest "+formatUUID(dom.UUID), func(l *lv.Libvirt) error {
		return l.DomainDetachDeviceFlags(dom, text, uint32(side))
	})
	if fault.Is(err, fault.NotFound) {
		return nil // the device, or the domain, has gone meanwhile
	}
	return err
}

// letGo asks the running guest for the device and waits for it. Unplugging is a
// request, which a guest that is booting, or busy with the device, does not hear.
func (d *Driver) letGo(ctx context.Context, t *turn, dom lv.Domain, dev device, text string) error {
	poll, again := time.NewTicker(pollInterval), time.NewTicker(unplugInterval)
	defer poll.Stop()
	defer again.Stop()
	for asked := false; ; {
		if !asked {
			asked = true
			// A guest that was asked before and has not answered: libvirt or QEMU
			// refuses to ask twice, which changes nothing.
			err := d.detachFrom(ctx, t, dom, dev, text, lv.DomainAffectLive)
			if err != nil && (ctx.Err() != nil || fault.Is(err, fault.Unsupported) || fault.Is(err, fault.Unavailable)) {
				return err
			}
		}
		_, live, running, err := d.views(ctx, t, dom)
		if err != nil {
			return err
		}
		if !running || !dev.has(live) {
			return nil
		}
		select {
		case <-poll.C:
		case <-again.C:
			asked = false
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
