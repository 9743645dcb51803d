package control

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// witness is an attestation service.
type witness struct {
	levels map[string]string
	err    error
	asked  [][]string
}

func (w *witness) Trust(_ context.Context, nodes []string) (map[string]string, error) {
	w.asked = append(w.asked, nodes)
	return w.levels, w.err
}

// TestTrustedHosts: a flavor that asks for trusted hosts gets those that are
// attested so, and no other when nobody can say; others are not asked about.
func TestTrustedHosts(t *testing.T) {
	c, _ := fleetOf(t, 4, 10, nil)
	w := &witness{levels: map[string]string{"h00001": "trusted", "h00002": "untrusted", "h00003": "unknown"}}
	o := c.Options
	o.Scheduler.Filter.EnabledFilters = append(slices.Clone(o.Scheduler.Filter.EnabledFilters), "TrustedFilter")
	if _, err := New(Config{Store: c.Store, Options: o, Log: slog.New(slog.DiscardHandler), Now: time.Now}); !fault.Is(err, fault.Invalid) {
		t.Errorf("TrustedFilter without anybody to ask: %v", err)
	}
	c, err := New(Config{Store: c.Store, Placement: c.Placement, Attestation: w, Options: o, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	decide := func(specs map[string]string) (hosts []string, err error) {
		s := &compute.Server{ID: newID(), CreatedAt: time.Now().Add(-time.Hour), Flavor: compute.Flavor{VCPUs: 1, MemoryMB: 64, ExtraSpecs: specs}}
		d, err := c.decide(t.Context(), s, &buildState{}, newView(0))
		for _, choice := range d.choices {
			hosts = append(hosts, choice.Name)
		}
		return hosts, err
	}
	if hosts, err := decide(nil); err != nil || len(hosts) == 0 || len(w.asked) != 0 {
		t.Errorf("a flavor that asks for nothing: %v, %v, asked about %v", hosts, err, w.asked)
	}
	for level, want := range map[string]string{"trusted": "h00001", "untrusted": "h00002"} {
		hosts, err := decide(map[string]string{"trust:trusted_host": level})
		if err != nil || !slices.Equal(hosts, []string{want}) {
			t.Errorf("%s: %v, %v", level, hosts, err)
		}
	}
	if len(w.asked) != 2 || len(w.asked[0]) != 4 {
		t.Errorf("asked about %v", w.asked)
	}
	w.levels, w.err = nil, errors.New("gone")
	if hosts, err := decide(map[string]string{"trust:trusted_host": "trusted"}); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "TrustedFilter") || len(hosts) > 0 {
		t.Errorf("nobody attests: %v, %v", hosts, err)
	}
}
