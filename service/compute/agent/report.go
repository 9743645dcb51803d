package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// reportLoop says regularly that the host lives, and at once when a guest has
// changed by itself.
func (a *Agent) reportLoop(ctx context.Context) {
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			pause := a.ReportInterval
			if err := a.report(ctx); err != nil && ctx.Err() == nil {
				a.Log.Warn("compute agent: report", "error", err)
				if !fault.Is(err, fault.Invalid) { // which somebody has to mend
					pause = min(pause, 250*time.Millisecond) // control may just be starting
				}
			}
			tick.Reset(pause)
		case id := <-a.changed:
			if err := a.reportGuest(ctx, id); err != nil && ctx.Err() == nil {
				a.Log.Warn("compute agent: report", "server", id, "error", err)
			}
		}
	}
}

// methods are the calls that this agent serves, for a control that is newer.
var methods = []string{compute.Build.Name, compute.Destroy.Name, compute.PowerCall.Name, compute.AttachInterface.Name, compute.DetachInterface.Name, compute.AttachVolumeCall.Name, compute.DetachVolumeCall.Name, compute.ConsoleLog.Name,
	compute.CacheImage.Name, compute.RebuildGuest.Name}

// methodsOf adds those that only some drivers can do.
func methodsOf(d hypervisor.Driver) []string {
	all := slices.Clone(methods)
	if _, ok := d.(hypervisor.ColdMigrator); ok {
		all = append(all, compute.ParkGuest.Name, compute.ArriveGuest.Name, compute.UnparkGuest.Name, compute.DropParked.Name, compute.Parcel.Name, compute.ReadParcel.Name)
	}
	if _, ok := d.(hypervisor.LiveMigrator); ok {
		all = append(all, compute.ExpectGuest.Name, compute.CarryGuest.Name, compute.HandGuest.Name, compute.TakeUpGuest.Name, compute.SteerCarry.Name)
	}
	return all
}

func (a *Agent) report(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	began := a.Now()
	r := compute.HostReport{Host: a.Host, Traits: traits(a.Driver), Methods: slices.Concat(methodsOf(a.Driver), able(a.Driver)), Busy: a.locks.busy()}
	var err error
	if r.Resources, err = a.Driver.Resources(ctx); err != nil {
		return err
	}
	r.Resources.Uptime, r.Resources.Load = uptime("/proc")
	r.Resources.Initiator = initiator("/etc/iscsi/initiatorname.iscsi")
	guests, err := a.Driver.List(ctx)
	if err != nil {
		return err
	}
	if m, ok := a.Driver.(hypervisor.ColdMigrator); ok {
		if r.Parked, err = m.Parked(ctx); err != nil {
			return err
		}
	}
	r.Busy = append(r.Busy, a.locks.busy()...) // what began in between
	for _, g := range guests {
		r.Guests = append(r.Guests, compute.GuestReport{ServerID: g.ID, Power: compute.Power(g.State)})
	}
	r.Age = a.Now().Sub(began).Milliseconds() + 1
	return a.tell(ctx, r)
}

// initiator reads this host's iSCSI name as open-iscsi keeps it; "" where it does not.
func initiator(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "InitiatorName="); ok {
			return name
		}
	}
	return ""
}

// uptime reads how long this host is up and what load it has had; nothing where
// the kernel does not tell it in this way.
func uptime(proc string) (seconds int64, load string) {
	text, err := os.ReadFile(filepath.Join(proc, "uptime"))
	if err != nil {
		return 0, ""
	}
	whole, _, _ := strings.Cut(string(text), ".")
	if seconds, err = strconv.ParseInt(whole, 10, 64); err != nil {
		return 0, ""
	}
	text, err = os.ReadFile(filepath.Join(proc, "loadavg"))
	if fields := strings.Fields(string(text)); err == nil && len(fields) >= 3 {
		load = strings.Join(fields[:3], " ")
	}
	return seconds, load
}

func (a *Agent) reportGuest(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	began, busy := a.Now(), a.locks.busy()
	state, err := a.Driver.State(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return nil // gone; the regular report tells whether it should be
	}
	if err != nil {
		return err
	}
	return a.tell(ctx, compute.HostReport{Host: a.Host, Partial: true, Age: a.Now().Sub(began).Milliseconds() + 1, Busy: busy, Guests: []compute.GuestReport{{ServerID: id, Power: compute.Power(state)}}})
}

// tell sends a report and does what control answers.
func (a *Agent) tell(ctx context.Context, r compute.HostReport) error {
	orders, err := compute.Report.Do(ctx, a.Bus, compute.ControlName, r)
	if err != nil {
		return err
	}
	for _, id := range orders.Remove {
		a.Log.Info("removing a guest whose server is no more", "server", id)
		if _, err := a.destroy(ctx, compute.DestroyRequest{ServerID: id, Networks: orders.Networks[id]}); err != nil {
			a.Log.Warn("compute agent: cannot remove a guest", "server", id, "error", err)
		}
	}
	for _, id := range orders.Drop {
		a.Log.Info("removing what is left of a guest that has moved away", "server", id)
		if _, err := a.dropParked(ctx, compute.DropRequest{ServerID: id}); err != nil {
			a.Log.Warn("compute agent: cannot remove a parked guest", "server", id, "error", err)
		}
	}
	return nil
}

// traits are the capabilities of a driver, as Placement knows them: what its
// optional interfaces say, so that nothing can be claimed and missing.
func traits(d hypervisor.Driver) []string {
	// A driver takes these formats; the last four are raw to it.
	all := []string{"COMPUTE_NODE", "COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW", "COMPUTE_IMAGE_TYPE_ISO", "COMPUTE_IMAGE_TYPE_AMI", "COMPUTE_IMAGE_TYPE_AKI",
		"COMPUTE_IMAGE_TYPE_ARI"}
	if _, ok := d.(hypervisor.Plugger); ok {
		all = append(all, "COMPUTE_NET_ATTACH_INTERFACE")
	}
	if is[hypervisor.Sharer](d) { // which includes memory that others can map
		all = append(all, "COMPUTE_STORAGE_VIRTIO_FS", "COMPUTE_MEM_BACKING_FILE")
	}
	if is[hypervisor.VolumeRescuer](d) {
		all = append(all, compute.TraitRescueVolumes)
	}
	return all
}
