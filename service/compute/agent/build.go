package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// build makes a server's guest: its image in the cache, its devices on the host,
// its ports wired, then the guest itself. Each step finds what an earlier try
// has left.
func (a *Agent) build(ctx context.Context, r compute.BuildRequest) (compute.Power, error) {
	s := &r.Server
	defer a.locks.on(s.ID)()
	guest, err := a.guest(ctx, s)
	if err != nil {
		return 0, err
	}
	if r.KeepDisks { // a hard reboot: cold, and from a new definition
		if err := a.unparkLost(ctx, s.ID); err != nil {
			return 0, err
		}
		if err := a.Driver.Power(ctx, s.ID, hypervisor.PowerOff); err != nil && !fault.Is(err, fault.NotFound) {
			return 0, err
		}
	}
	if err := a.plug(ctx, guest.NICs, s.ID); err != nil {
		return 0, err
	}
	if err := a.Driver.Create(ctx, guest); err != nil {
		return 0, err
	}
	return a.powerOf(ctx, s.ID), nil
}

// guest describes a server to the driver.
func (a *Agent) guest(ctx context.Context, s *compute.Server) (hypervisor.Guest, error) {
	g := hypervisor.Guest{ID: s.ID, Name: s.GuestName(), Title: s.DisplayName, ProjectID: s.ProjectID, UserID: s.UserID, VCPUs: s.Flavor.VCPUs,
		MemoryMB: s.Flavor.MemoryMB, Root: hypervisor.Disk{SizeGB: s.Claims().RootGB}, Properties: hardware(s), Hold: s.Hold, PowerOn: true}
	for _, d := range s.LocalDisks() {
		g.Disks = append(g.Disks, hypervisor.LocalDisk{Swap: d.Swap, SizeMB: d.SizeMB, Format: d.Format, Device: d.Device})
	}
	for _, n := range s.Networks {
		g.NICs = append(g.NICs, nic(n))
	}
	var err error
	if g.Volumes, err = volumes(s); err != nil {
		return g, err
	}
	if g.Shares, err = a.mount(ctx, s); err != nil {
		return g, err
	}
	if !s.BootsFromVolume() {
		if g.Image, err = a.Images.Get(ctx, s.ImageID, s.ImageMeta); err != nil {
			return g, err
		}
	}
	if s.ConfigDrive {
		if g.ConfigDrive, err = a.Drive.make(ctx, s); err != nil {
			return g, err
		}
	}
	return g, nil
}

// hardware are the image's properties that drivers read, and of the flavor's
// extra specs those that stand above them.
func hardware(s *compute.Server) map[string]string {
	p := maps.Clone(s.ImageMeta.Properties)
	if p == nil {
		p = map[string]string{}
	}
	for spec, property := range map[string]string{"hw:rng_model": "hw_rng_model", "hw:video_ram": "hw_video_ram", "hw:boot_menu": "hw_boot_menu"} {
		if v, ok := s.Flavor.ExtraSpecs[spec]; ok {
			p[property] = v
		}
	}
	return p
}

func nic(n compute.Interface) hypervisor.NIC {
	return hypervisor.NIC{PortID: n.PortID, MAC: n.MAC, MTU: n.MTU, Tag: n.Tag}
}

// firstAsk is how long the hint that a port is wired is waited for before control
// is asked; then twice as long, and so on up to lastAsk.
const (
	firstAsk = 10 * time.Millisecond
	lastAsk  = 5 * time.Second
)

// plug makes the devices of ports and waits until the network service has wired
// them, so that a guest's first packet finds its way and its filters.
func (a *Agent) plug(ctx context.Context, nics []hypervisor.NIC, serverID string) error {
	p, ok := a.Driver.(hypervisor.Plugger)
	if !ok || len(nics) == 0 {
		return nil
	}
	wait := a.waiting.begin(nics)
	defer a.waiting.end(nics)
	for _, n := range nics {
		if err := p.Plug(ctx, n); err != nil {
			return fmt.Errorf("plug port %s: %w", n.PortID, err)
		}
	}
	if a.VIFTimeout == 0 {
		return nil
	}
	timeout := time.NewTimer(a.VIFTimeout)
	defer timeout.Stop()
	// Hints may be lost; control knows. The first question comes soon, since
	// ports that were wired before we waited make no event any more.
	pause := firstAsk
	ask := time.NewTimer(pause)
	defer ask.Stop()
	for len(wait) > 0 {
		for id, wired := range wait {
			select {
			case <-wired:
				delete(wait, id)
				continue
			default:
			}
			select {
			case <-wired:
				delete(wait, id)
			case <-ask.C:
				a.askWired(ctx, serverID, wait)
				pause = min(2*pause, lastAsk)
				ask.Reset(pause)
			case <-timeout.C:
				return fault.New(fault.Unavailable, "The network service did not wire port %s within %s.", id, a.VIFTimeout)
			case <-ctx.Done():
				return ctx.Err()
			}
			break // the map may have changed
		}
	}
	return nil
}

// askWired takes from wait the ports that control says are wired.
func (a *Agent) askWired(ctx context.Context, serverID string, wait map[string]chan struct{}) {
	reply, err := compute.PortsWired.Do(ctx, a.Bus, compute.ControlName, compute.PortsWiredRequest{ServerID: serverID})
	if err != nil {
		a.Log.Warn("compute agent: cannot learn whether ports are wired", "server", serverID, "error", err)
		return
	}
	for _, id := range reply.PortIDs {
		delete(wait, id)
	}
}

// destroy removes a guest and the devices of its ports.
func (a *Agent) destroy(ctx context.Context, r compute.DestroyRequest) (compute.Power, error) {
	defer a.locks.on(r.ServerID)()
	errs := []error{a.Driver.Destroy(ctx, r.ServerID)}
	if errs[0] == nil {
		errs = append(errs, a.unmount(ctx, r.ServerID))
	}
	if p, ok := a.Driver.(hypervisor.Plugger); ok && errs[0] == nil {
		for _, n := range r.Networks {
			errs = append(errs, p.Unplug(ctx, nic(n)))
		}
	}
	return compute.PowerNone, errors.Join(errs...)
}
