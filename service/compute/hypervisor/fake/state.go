package fake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// guest is one server as this host knows it.
type guest struct {
	Spec  hypervisor.Guest
	State hypervisor.State
	// Rescue is the image that it has been started from instead of its own disk.
	Rescue string
	// Frozen: its file systems hold still; Freezes counts how often that changed.
	Frozen  bool           `json:",omitempty"`
	Sizes   map[string]int `json:",omitempty"` // of volumes that have grown, in GB
	Freezes int            `json:",omitempty"`
	// Chains are the snapshots of its volumes, oldest first.
	Chains map[string][]hypervisor.VolumeSnapshot `json:",omitempty"`
	Boots  []boot                                 // the last of them, oldest first: what the console tells of
	Lost   int                                    // boots that the console has forgotten
}

// boot is one run of a guest.
type boot struct {
	VCPUs, MemoryMB int
	End             string // how it ended, in the console's words; empty: it runs
}

// maxBoots bounds what a console remembers.
const maxBoots = 16

// taps are the plugged interfaces, by port.
type taps map[string]hypervisor.NIC

// state is what a restart must not lose.
type state struct {
	Guests map[string]*guest
	Taps   taps
	Parked map[string]*guest `json:",omitempty"` // put aside, to be carried elsewhere
	// Expected is what guests will have here which come while they run.
	Expected map[string]expected `json:",omitempty"`
	// Mounts are the shares on the host: by guest, where each comes from.
	Mounts map[string]map[string]string `json:",omitempty"`
	// Off and Maintained are what the host has been told to be.
	Off        bool `json:",omitempty"`
	Maintained bool `json:",omitempty"`
}

// load reads the state file at the first use, so that New can neither fail nor
// cost anything; d.mu is held.
func (d *Driver) load() error {
	if d.loaded || d.cfg.StateFile == "" {
		d.loaded = true
		return nil
	}
	text, err := os.ReadFile(d.cfg.StateFile)
	if err == nil {
		err = json.Unmarshal(text, &d.state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(err, fault.Unavailable, "The fake hypervisor %s cannot read its state file.", d.cfg.Host)
	}
	d.loaded = true
	return nil
}

// save writes the state file in one step; d.mu is held.
func (d *Driver) save() error {
	if d.cfg.StateFile == "" {
		return nil
	}
	text, err := json.Marshal(d.state)
	if err != nil {
		return fmt.Errorf("encode the state of fake hypervisor %s: %w", d.cfg.Host, err)
	}
	if err := os.MkdirAll(filepath.Dir(d.cfg.StateFile), 0o755); err != nil {
		return fmt.Errorf("make the folder of a state file: %w", err)
	}
	next := d.cfg.StateFile + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("write the state of fake hypervisor %s: %w", d.cfg.Host, err)
	}
	return os.Rename(next, d.cfg.StateFile)
}

// change runs effect on the loaded state, saves it if effect marked it as
// changed and tells the watchers whom it touched.
func (d *Driver) change(effect func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.load(); err != nil {
		return err
	}
	d.dirty = false
	err := effect()
	if d.dirty {
		err = errors.Join(err, d.save())
	}
	return err
}

// touched marks the state as changed and tells the watchers; d.mu is held.
func (d *Driver) touched(id string) {
	d.dirty = true
	for w := range d.watchers {
		w.tell(id)
	}
}

// find returns a guest; d.mu is held.
func (d *Driver) find(id string) (*guest, error) {
	if g, ok := d.state.Guests[id]; ok {
		return g, nil
	}
	return nil, fault.NotFoundf("Guest %s is not on host %s.", id, d.cfg.Host)
}

// start begins a run.
func (g *guest) start() {
	switch g.State {
	case hypervisor.Running:
		return
	case hypervisor.Paused:
		g.State = hypervisor.Running
		return
	}
	g.State, g.Frozen = hypervisor.Running, false
	g.Boots = append(g.Boots, boot{VCPUs: g.Spec.VCPUs, MemoryMB: g.Spec.MemoryMB})
	if drop := len(g.Boots) - maxBoots; drop > 0 {
		g.Boots = append([]boot(nil), g.Boots[drop:]...)
		g.Lost += drop
	}
}

// stop ends a run; how goes to the console.
func (g *guest) stop(state hypervisor.State, how string) {
	if (g.State == hypervisor.Running || g.State == hypervisor.Paused || g.State == hypervisor.Suspended) && len(g.Boots) > 0 {
		g.Boots[len(g.Boots)-1].End = how
	}
	g.State = state
}
