package fake

import (
	"context"
	"time"
)

// Verb names a method of the driver in delays and faults.
type Verb string

// The verbs.
const (
	Create             Verb = "create"
	Destroy            Verb = "destroy"
	Power              Verb = "power"
	State              Verb = "state"
	List               Verb = "list"
	AttachVolume       Verb = "attach-volume"
	DetachVolume       Verb = "detach-volume"
	SwapVolume         Verb = "swap-volume"
	ExtendVolume       Verb = "extend-volume"
	AttachInterface    Verb = "attach-interface"
	DetachInterface    Verb = "detach-interface"
	Resources          Verb = "resources"
	Reboot             Verb = "reboot"
	ConsoleLog         Verb = "console-log"
	Plug               Verb = "plug"
	Unplug             Verb = "unplug"
	Park               Verb = "park"
	Receive            Verb = "receive"
	Unpark             Verb = "unpark"
	Drop               Verb = "drop"
	Expect             Verb = "expect"
	MigrateLive        Verb = "migrate-live"
	Arrive             Verb = "arrive"
	Pause              Verb = "pause"
	Unpause            Verb = "unpause"
	Suspend            Verb = "suspend"
	Resume             Verb = "resume"
	Rescue             Verb = "rescue"
	Unrescue           Verb = "unrescue"
	Snapshot           Verb = "snapshot"
	CrashDump          Verb = "crash-dump"
	SetPassword        Verb = "set-password"
	Diagnose           Verb = "diagnose"
	Console            Verb = "console"
	SwitchHost         Verb = "switch-host"
	MaintainHost       Verb = "maintain-host"
	MountShare         Verb = "mount-share"
	UnmountShare       Verb = "unmount-share"
	SnapshotVolume     Verb = "snapshot-volume"
	DropVolumeSnapshot Verb = "drop-volume-snapshot"
	Quiesce            Verb = "quiesce"
	Thaw               Verb = "thaw"
)

// Fault is something that goes wrong on purpose.
type Fault struct {
	Verb  Verb
	Guest string // a guest's id (of Plug and Unplug: a port's); empty: any
	Err   error  // what the verb answers; nil: it only takes longer
	// After: the verb has its effect and then fails, as when an answer is lost.
	After bool
	Delay time.Duration // added to the verb's own
	Times int           // how often; 0: until it is withdrawn
}

// Inject puts a fault in force. The function that it returns withdraws it.
func (d *Driver) Inject(f Fault) (withdraw func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	armed := &f
	d.faults = append(d.faults, armed)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.disarm(armed)
	}
}

// disarm removes a fault; d.mu is held.
func (d *Driver) disarm(f *Fault) {
	for i, other := range d.faults {
		if other == f {
			d.faults = append(d.faults[:i:i], d.faults[i+1:]...)
			return
		}
	}
}

// meet looks up what goes wrong with this call and uses up one time of it: the
// first fault that fits with an error, and the delay of it.
func (d *Driver) meet(verb Verb, id string) (Fault, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.faults {
		if f.Verb != verb || f.Guest != "" && f.Guest != id {
			continue
		}
		met := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				d.disarm(f)
			}
		}
		return met, true
	}
	return Fault{}, false
}

// do runs one verb: its delay, its fault, its effect. The effect runs with d.mu
// held and the state loaded; what it has changed is saved before the call ends.
func (d *Driver) do(ctx context.Context, verb Verb, id string, effect func() error) error {
	f, met := d.meet(verb, id)
	if err := pause(ctx, d.cfg.Delays[verb]+f.Delay); err != nil {
		return err
	}
	if met && f.Err != nil && !f.After {
		return f.Err
	}
	if err := d.change(effect); err != nil {
		return err
	}
	if met {
		return f.Err
	}
	return nil
}

// pause waits, or says why it did not.
func pause(ctx context.Context, wait time.Duration) error {
	if wait <= 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
