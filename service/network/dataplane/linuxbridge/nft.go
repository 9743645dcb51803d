package linuxbridge

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"kilonova/internal/fault"
	"kilonova/internal/host"
)

// filters is what is known of this host's ruleset. It is as good as the kernel's
// generation of rulesets, which every change by anybody advances: if that is not
// ours, sync looks again.
type filters struct {
	generation uint32              // after our last transaction; 0: look again
	marks      map[string]uint32   // device of a filtered port: number of its marks
	zones      map[string]uint16   // bridge: conntrack zone
	hosted     map[string][]string // chain: elements of the map "hosted" that lead to it
	taps       map[string]bool     // devices of ports
	applied    map[string]string   // device or bridge: its rules
	present    bool                // our tables are there
	based      bool                // this process has written their base rules
}

func newFilters() filters {
	return filters{
		marks:   map[string]uint32{},
		zones:   map[string]uint16{},
		hosted:  map[string][]string{},
		taps:    map[string]bool{},
		applied: map[string]string{},
	}
}

// look finds out what others did to our tables since the last transaction, such
// as the flush at the start of a firewall service.
func (d *Driver) look(ctx context.Context) error {
	f := &d.filters
	now, err := d.generation()
	if err != nil || now == f.generation {
		return err
	}
	if err := d.load(ctx); err != nil {
		return err
	}
	maps.DeleteFunc(f.applied, func(name, _ string) bool { return f.marks[name] == 0 })
	f.based = f.based && f.present
	f.generation = now
	return nil
}

// sync looks, and puts the base rules back where they are gone. The rules of
// ports and bridges come back with the next Ensure.
func (d *Driver) sync(ctx context.Context) error {
	if err := d.look(ctx); err != nil || d.filters.based {
		return err
	}
	if err := d.commit(ctx, d.baseRules()); err != nil {
		return err
	}
	d.filters.present, d.filters.based = true, true
	return nil
}

// load reads our maps from the kernel. Without them there is no table.
func (d *Driver) load(ctx context.Context) error {
	f := &d.filters
	clear(f.marks)
	clear(f.zones)
	clear(f.hosted)
	clear(f.taps)
	f.present = true
	for _, m := range []struct {
		kind, family, name string
		take               func(element json.RawMessage) error
	}{
		{"map", "bridge", "ports", f.takePort},
		{"map", "inet", "zones", f.takeZone},
		{"map", "inet", "hosted", f.takeHosted},
		{"set", "inet", "taps", f.takeTap},
	} {
		found, err := d.readElements(ctx, m.kind, m.family, m.name, m.take)
		if err != nil {
			return err
		}
		f.present = f.present && found
	}
	return nil
}

func (f *filters) takePort(element json.RawMessage) error {
	var device string
	var mark uint32
	err := json.Unmarshal(element, &[]any{&device, &mark})
	f.marks[device] = mark &^ markKind
	return err
}

func (f *filters) takeZone(element json.RawMessage) error {
	var bridge string
	var zone uint16
	err := json.Unmarshal(element, &[]any{&bridge, &zone})
	f.zones[bridge] = zone
	return err
}

func (f *filters) takeTap(element json.RawMessage) error {
	var device string
	err := json.Unmarshal(element, &device)
	f.taps[device] = true
	return err
}

// takeHosted keeps one element of the map "hosted" in the form in which it can
// be deleted.
func (f *filters) takeHosted(element json.RawMessage) error {
	var key struct{ Concat []string }
	var value struct{ Jump struct{ Target string } }
	if err := json.Unmarshal(element, &[]any{&key, &value}); err != nil {
		return err
	}
	if len(key.Concat) != 2 {
		return fmt.Errorf("the key of %s does not have two parts", element)
	}
	chain := value.Jump.Target
	f.hosted[chain] = append(f.hosted[chain], fmt.Sprintf("%q . %s", key.Concat[0], key.Concat[1]))
	return nil
}

// readElements gives each element of one of our maps or sets to take.
func (d *Driver) readElements(ctx context.Context, kind, family, name string, take func(json.RawMessage) error) (found bool, err error) {
	out, err := d.run.Run(ctx, nil, "nft", "-j", "list", kind, family, table, name)
	if exit, ok := errors.AsType[*host.ExitError](err); ok && strings.Contains(exit.Stderr, "No such file") {
		return false, nil
	}
	if err != nil {
		return false, fault.Wrap(err, fault.Unavailable, "The packet filter of this host cannot be read.")
	}
	type elements struct{ Elem []json.RawMessage }
	var listing struct{ Nftables []struct{ Map, Set elements } }
	if err := json.Unmarshal(out, &listing); err != nil {
		return false, fmt.Errorf("read %s %s of nft: %w", kind, name, err)
	}
	for _, object := range listing.Nftables {
		for _, e := range append(object.Map.Elem, object.Set.Elem...) {
			if err := take(e); err != nil {
				return false, fmt.Errorf("read %s %s of nft: %w", kind, name, err)
			}
		}
	}
	return true, nil
}

// commit gives one transaction to nft: all of it or nothing happens. sync must
// have been called before.
func (d *Driver) commit(ctx context.Context, text string) error {
	f := &d.filters
	if _, err := d.run.Run(ctx, strings.NewReader(text), "nft", "-f", "-"); err != nil {
		f.generation = 0
		return fault.Wrap(err, fault.Unavailable, "The packet filter of this host does not take a change.")
	}
	now, err := d.generation()
	if err != nil || now != f.generation+1 {
		now = 0 // somebody else was in between
	}
	f.generation = now
	return err
}

// generation asks the kernel for the number of the host's present ruleset. The
// socket is kept: the end of one that speaks of netfilter waits until the kernel
// has let go of what the last transaction removed, for milliseconds.
func (d *Driver) generation() (uint32, error) {
	const idAttribute = 1 // NFTA_GEN_ID
	if d.netfilter == nil {
		socket, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_NETFILTER)
		if err != nil {
			return 0, fault.Wrap(err, fault.Unavailable, "This host's kernel does not answer for nftables.")
		}
		d.netfilter = map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: {Socket: socket}}
	}
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0)
	req.Sockets = d.netfilter
	req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
	messages, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "This host's kernel does not answer for nftables.")
	}
	for _, m := range messages {
		if len(m) < nl.SizeofNfgenmsg {
			continue
		}
		attributes, err := nl.ParseRouteAttr(m[nl.SizeofNfgenmsg:])
		if err != nil {
			return 0, fmt.Errorf("read the generation of nftables: %w", err)
		}
		for _, a := range attributes {
			if a.Attr.Type == idAttribute && len(a.Value) == 4 {
				return binary.BigEndian.Uint32(a.Value), nil
			}
		}
	}
	return 0, fault.New(fault.Unavailable, "This host's kernel does not tell the generation of nftables.")
}
