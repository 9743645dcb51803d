package control

import (
	"testing"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// TestFacts: what few requests ask of hosts is there when they do.
func TestFacts(t *testing.T) {
	c, _ := fleetOf(t, 2, 10, func(o *Options) {
		o.Scheduler.Filter.EnabledFilters = append(o.Scheduler.Filter.EnabledFilters, "TypeAffinityFilter")
		o.Scheduler.Filter.ImageProps = 5
	})
	mustTx(t, c, func(tx *db.Tx) error {
		h, err := c.Store.Host(t.Context(), tx, compute.BinaryCompute, "h00001")
		if err != nil {
			return err
		}
		h.Resources.CPU = compute.CPU{Arch: "x86_64", Vendor: "Intel", Features: []string{"avx", "aes"}}
		return c.Store.UpdateHost(t.Context(), tx, h)
	})
	choose := func(s *compute.Server, want string) {
		t.Helper()
		s.ID, s.Flavor.VCPUs, s.Flavor.MemoryMB = newID(), 1, 64
		choices, explanation, err := c.choose(t.Context(), s, &buildState{})
		if err != nil || choices[0].Name != want {
			t.Fatalf("%v, want %s: %v\n%s", choices, want, err, explanation.String())
		}
		mustTx(t, c, func(tx *db.Tx) error {
			s.Host, s.State, s.CreatedAt, s.UpdatedAt = want, compute.Active, epoch, epoch
			return c.Store.InsertServers(t.Context(), tx, s)
		})
	}
	specs := map[string]string{"capabilities:cpu_info:vendor": "Intel", "capabilities:cpu_info:features": "<in> avx"}
	choose(&compute.Server{Flavor: compute.Flavor{Name: "intel", ExtraSpecs: specs}}, "h00001")
	choose(&compute.Server{Flavor: compute.Flavor{Name: "other"}, ImageMeta: compute.ImageMeta{Properties: map[string]string{"os_distro": "debian"}}}, "h00000")
	choose(&compute.Server{Flavor: compute.Flavor{Name: "intel"}}, "h00001") // its kind is there

	c.Options.Scheduler.Filter.EnabledFilters = nil
	c, err := New(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	s := &compute.Server{ID: newID(), Flavor: compute.Flavor{Name: "x", VCPUs: 1, MemoryMB: 64}, ImageMeta: compute.ImageMeta{Properties: map[string]string{"os_distro": "debian"}}}
	if choices, _, err := c.choose(t.Context(), s, &buildState{}); err != nil || choices[0].Name != "h00000" {
		t.Errorf("beside servers of like images: %v, %v", choices, err)
	}
}
