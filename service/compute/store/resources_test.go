package store

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// in runs f in a transaction and fails the test if that fails.
func in(t *testing.T, s *Store, f func(tx *db.Tx) error) {
	t.Helper()
	if err := s.Tx(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// refused runs f in a transaction, which must fail with a kind of fault.
func refused(t *testing.T, s *Store, kind fault.Kind, f func(tx *db.Tx) error) {
	t.Helper()
	if err := s.Tx(t.Context(), f); !fault.Is(err, kind) {
		t.Errorf("%v, and not %v", err, kind)
	}
}

func TestFlavors(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx, text := t.Context(), "größer"
		small := compute.Flavor{ID: "1", Name: "small", VCPUs: 1<<31 - 1, MemoryMB: 1<<31 - 1, RxTxFactor: 0.1, Public: true, CreatedAt: epoch}
		own := compute.Flavor{ID: "2", Name: "Small", VCPUs: 1, Description: &text, ExtraSpecs: map[string]string{"hw:cpu_policy": "dedicated"}, CreatedAt: epoch}
		in(t, s, func(tx *db.Tx) error { return s.InsertFlavor(ctx, tx, small) })
		in(t, s, func(tx *db.Tx) error { return s.InsertFlavor(ctx, tx, own) })
		for _, again := range []compute.Flavor{{ID: "1", Name: "other"}, {ID: "3", Name: "small"}} {
			err := s.Tx(ctx, func(tx *db.Tx) error { return s.InsertFlavor(ctx, tx, again) })
			if want := map[bool]string{true: "ID 1 ", false: "name small "}[again.ID == "1"]; !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v again: %v", again, err)
			}
		}
		if all, err := s.Flavors(ctx, s.DB); err != nil || len(all) != 2 || all[0].MemoryMB != small.MemoryMB || all[0].RxTxFactor != 0.1 || *all[1].Description != text {
			t.Errorf("%+v, %v", all, err)
		}
		in(t, s, func(tx *db.Tx) error { return s.AllowFlavor(ctx, tx, "2", "p") })
		refused(t, s, fault.Conflict, func(tx *db.Tx) error { return s.AllowFlavor(ctx, tx, "2", "p") })
		if got, err := s.FlavorProjects(ctx, s.DB, "2"); err != nil || !slices.Equal(got, []string{"p"}) {
			t.Error(got, err)
		}
		if got, err := s.ProjectFlavors(ctx, s.DB, "p"); err != nil || !slices.Equal(got, []string{"2"}) {
			t.Error(got, err)
		}
		in(t, s, func(tx *db.Tx) error { return s.RefuseFlavor(ctx, tx, "2", "p") })
		refused(t, s, fault.NotFound, func(tx *db.Tx) error { return s.RefuseFlavor(ctx, tx, "2", "p") })
		own.Description, own.ExtraSpecs = nil, map[string]string{}
		in(t, s, func(tx *db.Tx) error { return s.UpdateFlavor(ctx, tx, own) })
		if got, err := s.Flavor(ctx, s.DB, "2"); err != nil || got.Description != nil || len(got.ExtraSpecs) != 0 || got.Public {
			t.Errorf("%+v, %v", got, err)
		}
		in(t, s, func(tx *db.Tx) error { return s.DeleteFlavor(ctx, tx, "2") })
		refused(t, s, fault.NotFound, func(tx *db.Tx) error { return s.DeleteFlavor(ctx, tx, "2") })
		if _, err := s.Flavor(ctx, s.DB, "2"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

func TestKeypairs(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for _, name := range []string{"b", "B", "a", "b "} { // a blank more is another name
			in(t, s, func(tx *db.Tx) error {
				return s.InsertKeypair(ctx, tx, compute.Keypair{UserID: "u", Name: name, Type: "ssh", PublicKey: "ssh-rsa x", CreatedAt: epoch})
			})
		}
		refused(t, s, fault.Conflict, func(tx *db.Tx) error {
			return s.InsertKeypair(ctx, tx, compute.Keypair{UserID: "u", Name: "a", CreatedAt: epoch})
		})
		var got []string
		for marker := ""; ; {
			page, err := s.Keypairs(ctx, s.DB, "u", marker, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range page {
				got = append(got, k.Name)
			}
			if len(page) < 2 {
				break
			}
			marker = page[1].Name
		}
		if want := []string{"B", "a", "b", "b "}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		in(t, s, func(tx *db.Tx) error { return s.DeleteKeypair(ctx, tx, "u", "b") })
		refused(t, s, fault.NotFound, func(tx *db.Tx) error { return s.DeleteKeypair(ctx, tx, "u", "b") })
		if _, err := s.Keypair(ctx, s.DB, "u", "b"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if k, err := s.Keypair(ctx, s.DB, "u", "b "); err != nil || k.Name != "b " || !k.CreatedAt.Equal(epoch) {
			t.Errorf("%+v, %v", k, err)
		}
	})
}

func TestHosts(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		h := &compute.Host{ID: "i", NodeID: "n", Binary: compute.BinaryCompute, Name: "h1", CreatedAt: epoch, UpdatedAt: epoch}
		in(t, s, func(tx *db.Tx) error { return s.InsertHost(ctx, tx, h) })
		if err := s.Tx(ctx, func(tx *db.Tx) error { return s.InsertHost(ctx, tx, h) }); !db.IsUnique(err) {
			t.Errorf("the same host again: %v", err)
		}
		h, err := s.Host(ctx, s.DB, compute.BinaryCompute, "h1")
		if err != nil || !h.LastSeen.IsZero() {
			t.Fatalf("%+v, %v", h, err)
		}
		h.ForcedDown, h.Disabled, h.DisabledReason, h.Traits, h.Resources.VCPUs, h.LastSeen = true, true, "why", []string{"COMPUTE_NODE"}, 8, epoch
		in(t, s, func(tx *db.Tx) error { return s.UpdateHost(ctx, tx, h) })
		in(t, s, func(tx *db.Tx) error { return s.SeeHost(ctx, tx, h.Seq, epoch.Add(time.Second)) })
		got, err := s.HostByID(ctx, s.DB, "i")
		if err != nil || !got.Disabled || got.DisabledReason != "why" || got.Resources.VCPUs != 8 || len(got.Traits) != 1 || !got.LastSeen.Equal(epoch.Add(time.Second)) {
			t.Errorf("%+v, %v", got, err)
		}
		fill(t, s, 6)
		host, task := "h1", compute.Rebooting
		for i, v := range ids(t, s, compute.ServerQuery{Limit: 4}) {
			in(t, s, func(tx *db.Tx) error {
				p := ServerPatch{Host: &host}
				if i == 0 {
					p.Task = &task
				}
				_, err := s.UpdateServer(ctx, tx, v, p, Expect{}, epoch)
				return err
			})
		}
		loads, err := s.HostLoads(ctx, s.DB)
		if want := (HostLoad{"h1", 4, 4, 40, 1}); err != nil || len(loads) != 1 || loads["h1"] != want {
			t.Errorf("%+v, %v", loads, err)
		}
		for _, binary := range []string{"", compute.BinaryCompute} {
			if all, err := s.Hosts(ctx, s.DB, binary); err != nil || len(all) != 1 {
				t.Error(all, err)
			}
		}
		in(t, s, func(tx *db.Tx) error { return s.DeleteHost(ctx, tx, h.Seq) })
		if _, err := s.HostByID(ctx, s.DB, "i"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if all, err := s.Aggregates(ctx, s.DB); err != nil || len(all) != 0 {
			t.Error(all, err)
		}
	})
}

func TestActions(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx, bad := t.Context(), "Error"
		for _, request := range []string{"r1", "r2"} {
			in(t, s, func(tx *db.Tx) error {
				return s.InsertAction(ctx, tx, compute.Action{RequestID: request, ServerID: "s", Action: "stop", StartedAt: epoch})
			})
		}
		in(t, s, func(tx *db.Tx) error {
			for _, e := range []compute.ActionEvent{{Name: "first", StartedAt: epoch}, {Name: "second", StartedAt: epoch, FinishedAt: epoch, Result: &bad}} {
				if err := s.AddEvent(ctx, tx, "r1", "s", e, epoch.Add(time.Minute)); err != nil {
					return err
				}
			}
			return s.AddEvent(ctx, tx, "unknown", "s", compute.ActionEvent{Name: "x"}, epoch)
		})
		all, err := s.Actions(ctx, s.DB, "s")
		if err != nil || len(all) != 2 || all[0].RequestID != "r2" || all[1].Message == nil || *all[1].Message != "Error" {
			t.Errorf("%+v, %v", all, err)
		}
		a, err := s.Action(ctx, s.DB, "s", "r1")
		if err != nil || len(a.Events) != 2 || a.Events[0].Name != "second" || !a.Events[1].FinishedAt.IsZero() || !a.UpdatedAt.Equal(epoch.Add(time.Minute)) {
			t.Errorf("%+v, %v", a, err)
		}
		if _, err := s.Action(ctx, s.DB, "s", "r3"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}
