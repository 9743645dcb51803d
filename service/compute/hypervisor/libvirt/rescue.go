package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// rescuePath is the disk that is made of a rescue image, by upstream's name.
func rescuePath(dir string) string { return filepath.Join(dir, "disk.rescue") }

// inRescue: a guest is, when its definition has the rescue disk.
func (s seen) inRescue(dir string) bool {
	return slices.ContainsFunc(s.Devices.Disks, func(v disk) bool { return v.Source != nil && v.Source.File == rescuePath(dir) })
}

// Rescue implements hypervisor.Rescuer.
func (d *Driver) Rescue(ctx context.Context, g hypervisor.Guest, r hypervisor.Rescue) error {
	if err := g.Check(); err != nil {
		return err
	}
	dir := d.dir(g.ID)
	spec, err := d.builder.rescue(g, r, dir)
	if err != nil {
		return err
	}
	return d.redefine(ctx, g, spec, func(s seen) (bool, error) {
		if s.inRescue(dir) {
			return true, nil
		}
		// of a rescue that has not come as far as to a definition, or of one before
		if err := os.Remove(rescuePath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		return false, d.makeRoot(ctx, hypervisor.Guest{ID: g.ID, Image: r.Image}, rescuePath(dir))
	}, func() error { return nil })
}

// RescuesVolumes implements hypervisor.VolumeRescuer.
func (d *Driver) RescuesVolumes() {}

// Unrescue implements hypervisor.Rescuer.
func (d *Driver) Unrescue(ctx context.Context, g hypervisor.Guest) error {
	if err := g.Check(); err != nil {
		return err
	}
	dir := d.dir(g.ID)
	spec, err := d.builder.build(g, dir)
	if err != nil {
		return err
	}
	return d.redefine(ctx, g, spec, func(s seen) (bool, error) { return !s.inRescue(dir), nil }, func() error {
		if err := os.Remove(rescuePath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the rescue disk of guest %s: %w", g.ID, err)
		}
		return nil
	})
}

// redefine ends a guest, gives it another definition and starts it. prepare says
// whether it has that definition already; after is done before the start.
func (d *Driver) redefine(ctx context.Context, g hypervisor.Guest, spec domain, prepare func(seen) (bool, error), after func() error) error {
	return d.with(ctx, g.ID, func(t *turn, dom lv.Domain, _ lv.DomainState) error {
		s, err := d.see(ctx, t, dom, lv.DomainXMLInactive)
		if err != nil {
			return err
		}
		is, err := prepare(s)
		if err != nil {
			return err
		}
		if !is {
			text, err := encode(spec)
			if err != nil {
				return err
			}
			if err := d.stop(ctx, t, dom); err != nil {
				return err
			}
			if dom, err = ask(ctx, d.conn, t, "define guest "+g.ID, func(l *lv.Libvirt) (lv.Domain, error) { return l.DomainDefineXMLFlags(text, 0) }); err != nil {
				return err
			}
		}
		if err := after(); err != nil {
			return err
		}
		if err := d.replug(ctx, t, dom); err != nil {
			return err
		}
		return d.start(ctx, t, dom)
	})
}

// rescue is the domain of a guest in rescue.
func (b builder) rescue(g hypervisor.Guest, r hypervisor.Rescue, dir string) (domain, error) {
	switch {
	case r.Image.Path == "":
		return domain{}, fault.Invalidf("Guest %s is to be rescued without an image.", g.ID)
	case r.Stable():
		return b.stableRescue(g, r, dir)
	case g.Image.Path == "":
		return domain{}, fault.New(fault.Unsupported, "Guest %s boots from a volume, whose place a rescue disk cannot take.", g.ID)
	}
	from := g
	from.Image = r.Image
	d, err := b.build(from, dir)
	if err != nil {
		return d, err
	}
	h, err := readHardware(g, b.cfg.MachineType)
	if err != nil {
		return d, err
	}
	var s seen
	s.Devices.Disks = d.Devices.Disks
	root := d.Devices.Disks[0]
	root.Boot, root.Target = nil, diskTarget{Dev: freeTarget(h.diskBus, "", s), Bus: h.diskBus}
	d.Devices.Disks[0].Source = &diskSource{File: rescuePath(dir)}
	d.Devices.Disks = append(d.Devices.Disks, root)
	return d, nil
}

// stableRescue leaves the guest's disks where they are and boots from a further
// one, of the kind and on the bus that the rescue image asks for.
func (b builder) stableRescue(g hypervisor.Guest, r hypervisor.Rescue, dir string) (domain, error) {
	d, err := b.build(g, dir)
	if err != nil {
		return d, err
	}
	h, err := readHardware(g, b.cfg.MachineType)
	if err != nil {
		return d, err
	}
	extra := disk{Type: "file", Device: r.Device, Driver: &diskDriver{Name: "qemu", Type: "qcow2"}, Source: &diskSource{File: rescuePath(dir)}, Boot: &bootOrder{Order: 1}}
	bus := r.Bus
	switch r.Device {
	case "", "disk":
		extra.Device = "disk"
		if bus == "" {
			bus = h.diskBus
		}
	case "cdrom":
		extra.ReadOnly = &struct{}{}
		if bus == "" {
			bus = h.cdromBus
		}
	default:
		return d, fault.New(fault.Unsupported, "Rescue image %s asks for hw_rescue_device %.32q; disk and cdrom are possible.", r.Image.ID, r.Device)
	}
	if !slices.Contains(choices["hw_disk_bus"], bus) {
		return d, fault.Invalidf("Rescue image %s asks for hw_rescue_bus %.32q; %q are possible.", r.Image.ID, bus, choices["hw_disk_bus"])
	}
	for i := range d.Devices.Disks {
		d.Devices.Disks[i].Boot = nil
	}
	d.OS.Kernel, d.OS.Initrd, d.OS.Cmdline = r.Image.Kernel, r.Image.Ramdisk, ""
	if r.Image.Kernel != "" {
		extra.Boot, d.OS.Cmdline = nil, h.cmdline
	}
	var s seen
	s.Devices.Disks = d.Devices.Disks
	extra.Target = diskTarget{Dev: freeTarget(bus, "", s), Bus: bus}
	d.Devices.Disks = append(d.Devices.Disks, extra)
	return d, nil
}
