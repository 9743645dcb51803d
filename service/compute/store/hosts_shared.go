package store

import (
	"context"
	"encoding/json"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// hostText is a row of hosts whose JSON is still text.
type hostText struct {
	Name           string  `db:"name"`
	NodeID         string  `db:"node_id"`
	Disabled       bool    `db:"disabled"`
	DisabledReason string  `db:"disabled_reason"`
	ForcedDown     bool    `db:"forced_down"`
	LastSeen       db.Time `db:"last_seen"`
	Resources      string  `db:"resources"`
	Traits         string  `db:"traits"`
	Methods        string  `db:"methods"`
	Owned          int     `db:"owned"`
}

// sharing decodes what is alike on many hosts once: machines of one make have the
// same processors, nodes, devices and traits, and they are most of what a host
// says of itself.
type sharing struct {
	names, traits, methods map[string][]string
	supported              map[string][][3]string
	cpus                   map[string]compute.CPU
	numa                   map[string][]compute.NUMACell
	pci                    map[string][]compute.PCIDevice
	words                  map[string]string

	text resourcesText // of the row that is read
	last compute.Host  // likewise
}

func newSharing() *sharing {
	return &sharing{names: map[string][]string{}, traits: map[string][]string{}, methods: map[string][]string{}, supported: map[string][][3]string{},
		cpus: map[string]compute.CPU{}, numa: map[string][]compute.NUMACell{}, pci: map[string][]compute.PCIDevice{}, words: map[string]string{}}
}

// shared decodes a text, or returns what it was decoded to before.
func shared[T any](known map[string]T, text []byte) (T, error) {
	if v, ok := known[string(text)]; ok || len(text) == 0 {
		return v, nil
	}
	var v T
	err := json.Unmarshal(text, &v)
	known[string(text)] = v
	return v, err
}

// resourcesText are resources of which the larger parts are still text.
type resourcesText struct {
	compute.Resources
	CPU, Supported, Traits, NUMA, PCI json.RawMessage
}

// host decodes a row. What it returns is good until the next one.
func (s *sharing) host(row *hostText) (*compute.Host, error) {
	r, h := &s.text, &s.last
	*r = resourcesText{}
	if err := json.Unmarshal([]byte(row.Resources), r); err != nil {
		return nil, err
	}
	*h = compute.Host{Binary: compute.BinaryCompute, Name: row.Name, NodeID: row.NodeID, Disabled: row.Disabled, DisabledReason: s.word(row.DisabledReason),
		ForcedDown: row.ForcedDown, LastSeen: row.LastSeen.Time, Resources: r.Resources}
	h.Resources.HypervisorType = s.word(r.HypervisorType)
	if h.Resources.HypervisorName == h.Name {
		h.Resources.HypervisorName = h.Name // one text instead of two
	}
	var err error
	decode := func(e error) {
		if err == nil {
			err = e
		}
	}
	var e error
	h.Resources.CPU, e = shared(s.cpus, r.CPU)
	decode(e)
	h.Resources.Supported, e = shared(s.supported, r.Supported)
	decode(e)
	h.Resources.Traits, e = shared(s.names, r.Traits)
	decode(e)
	h.Resources.NUMA, e = shared(s.numa, r.NUMA)
	decode(e)
	h.Resources.PCI, e = shared(s.pci, r.PCI)
	decode(e)
	h.Traits, e = shared(s.traits, []byte(row.Traits))
	decode(e)
	h.Methods, e = shared(s.methods, []byte(row.Methods))
	decode(e)
	return h, err
}

func (s *sharing) word(w string) string {
	if known, ok := s.words[w]; ok {
		return known
	}
	s.words[w] = w
	return w
}

// ComputeHosts calls f with each compute host, in the order of their arrival, with
// what a decision wants to know of it, and with whether Placement has been told
// compute.TraitOwner of it. h is good during the call only. What is alike on several
// of them they share: it is not to be changed.
func (s *Store) ComputeHosts(ctx context.Context, q db.Querier, f func(h *compute.Host, owned bool)) error {
	same := newSharing()
	for row, err := range db.Each[hostText](ctx, q, `SELECT name, node_id, disabled, disabled_reason, forced_down, last_seen, resources, traits, methods,
		CASE WHEN published LIKE ? THEN 1 ELSE 0 END AS owned
		FROM hosts WHERE binary_name = ? ORDER BY seq`, `%"`+compute.TraitOwner+`"%`, compute.BinaryCompute) {
		if err != nil {
			return err
		}
		h, err := same.host(row)
		if err != nil {
			return err
		}
		f(h, row.Owned == 1)
	}
	return nil
}

// BusyByHost counts the existing servers of each host that have something under
// way. These are few among many.
func (s *Store) BusyByHost(ctx context.Context, q db.Querier) (map[string]int, error) {
	type count struct {
		Host    string `db:"host"`
		Servers int    `db:"servers"`
	}
	all := map[string]int{}
	for row, err := range db.Each[count](ctx, q, `SELECT host, COUNT(*) AS servers FROM servers
		WHERE deleted_at IS NULL AND task_state > '' AND host <> '' GROUP BY host`) {
		if err != nil {
			return nil, err
		}
		all[row.Host] = row.Servers
	}
	return all, nil
}
