package cloud

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// newCardedProcess is a process whose hosts have physical functions with two virtual
// ones each.
func newCardedProcess(t *testing.T, functions int, spec string, reports, asks bool) *process {
	t.Helper()
	p := newProcess(t)
	p.configure(t, functions, spec, reports, asks)
	return p
}

const anyVF = `{"vendor_id": "8086", "product_id": "1520", "live_migratable": "yes"}`

// configure has the process be another one, as far as devices go, when it starts next.
func (p *process) configure(t *testing.T, functions int, spec string, reports, asks bool) {
	t.Helper()
	file := filepath.Join(filepath.Dir(p.binary), "kilonova.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "\n# devices\n"
	before, _, _ := strings.Cut(string(text), mark)
	if !strings.Contains(before, "pci_devices") {
		before = strings.Replace(before, "[fake]\n", fmt.Sprintf("[fake]\npci_devices = %d\npci_functions = 2\npci_cards = 1\n", functions), 1)
	}
	before += mark + fmt.Sprintf("[pci]\nalias = ['{\"name\": \"live\", \"vendor_id\": \"8086\", \"product_id\": \"1520\", \"live_migratable\": \"yes\"}']\ndevice_spec = ['%s']\nreport_in_placement = %v\n[filter_scheduler]\npci_in_placement = %v\n",
		spec, reports, asks)
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
}

// says waits until the process's log has a text.
func (p *process) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the log", func() string {
		log, err := os.ReadFile(p.log.Name())
		if err != nil || !strings.Contains(string(log), text) {
			return fmt.Sprintf("it does not have %q, %v", text, err)
		}
		return ""
	})
}

// TestDevicesToldLater: servers that had devices before Placement knew of any have them
// in their claims as soon as it does, whether it is asked for them or not; and what
// cannot be taken back is refused.
func TestDevicesToldLater(t *testing.T) {
	p := newCardedProcess(t, 4, anyVF, false, false)
	p.start(t)
	p.fillAndLogIn(t)
	hostsUp(t, p.cloud)
	flavor := flavorOf(t, p.cloud, "live", 1, 64, flavors.ExtraSpecsOpts{"pci_passthrough:alias": "live:1"})
	var ids []string
	boot := func() {
		t.Helper()
		id := bootOf(t, p.cloud, flavor)
		settledAs(t, p.admin, id, "ACTIVE")
		ids = append(ids, id)
	}
	again := func(spec string, reports, asks bool) {
		t.Helper()
		p.kill(t)
		p.configure(t, 4, spec, reports, asks)
		p.start(t)
		hostsUp(t, p.cloud)
	}
	boot()
	boot()
	if all := p.deviceProviders(t); len(all) != 0 {
		t.Errorf("Placement knows %v", all)
	}
	again(anyVF, true, false)
	p.published(t, 4)
	p.devicesAgree(t, ids...)
	boot() // Placement is not asked for devices yet
	p.devicesAgree(t, ids...)
	again(anyVF, true, true)
	boot()
	p.devicesAgree(t, ids...)
	has := map[string]string{}
	for _, id := range ids {
		has[id] = p.devicesOf(t, id)
	}

	again(anyVF, false, false)
	p.says(t, "has [pci] report_in_placement = false, and Placement knows 2 of its devices already")
	again(`{"vendor_id": "8086", "product_id": "1521"}`, true, true)
	p.says(t, "which is part of the same card: only either can be given away")
	again(`{"vendor_id": "8086", "product_id": "1520", "resource_class": "other"}`, true, true)
	p.says(t, "as CUSTOM_OTHER, and server")
	for _, id := range ids {
		if now := p.devicesOf(t, id); now != has[id] {
			t.Errorf("server %s had %s and has %s", id, has[id], now)
		}
	}

	// Devices that are not named any more stay as long as servers have them.
	again(`{"vendor_id": "10de"}`, true, true)
	held := map[string]int{}
	for _, id := range ids {
		for text := range strings.SplitSeq(strings.TrimSpace(p.devicesOf(t, id)), " ") {
			name, _, _ := strings.Cut(text, "=")
			held[name]++
		}
	}
	stay := func() {
		t.Helper()
		eventually(t, "the providers", func() string {
			all := p.deviceProviders(t)
			for name, n := range held {
				if got := all[name].inventories[vfClass].Total; got != n {
					return fmt.Sprintf("%s has %d, and servers %d", name, got, n)
				}
			}
			if len(all) != len(held)+2 { // and the cards
				return fmt.Sprintf("%d providers, want %d", len(all), len(held)+2)
			}
			return ""
		})
	}
	stay()
	p.devicesAgree(t, ids...)
	for _, id := range ids {
		if err := servers.Delete(t.Context(), p.admin.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, p.cloud, id)
	}
	clear(held)
	stay()
	p.devicesAgree(t)
}

// TestDevicesKilledAtAnyMoment kills the process while servers with devices are made,
// moved and deleted, and sees that what their guests have is what they have claimed, and
// that nothing is taken that nobody has.
func TestDevicesKilledAtAnyMoment(t *testing.T) {
	for name, asks := range map[string]bool{"asked for in Placement": true, "only reported there": false} {
		t.Run(name, func(t *testing.T) { devicesKilled(t, newCardedProcess(t, 40, anyVF, true, asks)) })
	}
}

func devicesKilled(t *testing.T, p *process) {
	t.Helper()
	p.start(t)
	p.fillAndLogIn(t)
	hostsUp(t, p.cloud)
	p.published(t, 2*20)
	for id, asked := range map[string]string{"1": "live:1", "2": "live:3"} {
		if _, err := flavors.CreateExtraSpecs(t.Context(), p.admin.compute, id, flavors.ExtraSpecsOpts{"pci_passthrough:alias": asked}).Extract(); err != nil {
			t.Fatal(err)
		}
	}
	k := &killing{process: p, rnd: rand.New(rand.NewPCG(number("KILONOVA_SEED", 13), 2026)), image: imageID(t, p.demo), private: networkID(t, p.demo, "private"),
		servers: map[string]string{}, ports: map[string]bool{}, networks: map[string]bool{}, rounds: map[string]int{}}
	k.boot(t)
	k.settled(t)
	rounds := number("KILONOVA_KILLS", 12)
	began := time.Now()
	for range rounds {
		k.strike(t, 120*time.Millisecond, []stroke{{"boot", k.boot}, {"boot", k.boot}, {"delete while building", k.bootAndDelete}, {"delete", k.delete}, {"resize", k.resize}, {"resize", k.resize}, {"migrate", k.migrate},
			{"confirm", k.confirm}, {"confirm", k.confirm}, {"revert", k.revert}, {"revert", k.revert}, {"live", k.live}, {"live", k.live}, {"rebuild", k.rebuild}, {"delete while moving", k.moveAndDelete}})
		settled(t, k.admin)
		var ids []string
		for _, s := range k.all(t) {
			ids = append(ids, s.ID)
		}
		k.devicesAgree(t, ids...)
		k.devicesOnce(t)
	}
	t.Logf("%d kills in %s: %v", rounds, time.Since(began).Round(time.Second), k.rounds)
	k.end(t)
	k.devicesAgree(t)
}

// devicesOnce sees that no two guests of a host have one device.
func (c *cloud) devicesOnce(t *testing.T) {
	t.Helper()
	has := map[string]string{}
	for id, g := range guestsHold(t, c) {
		for _, d := range g.hold.Devices {
			at := g.host + " " + d.Address
			if has[at] != "" {
				t.Errorf("device %s is that of %s and of %s", at, has[at], id)
			}
			has[at] = id
		}
	}
}
