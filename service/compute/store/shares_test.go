package store

import (
	"testing"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

func TestShares(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		share := func(id, server, of, tag string) compute.Share {
			return compute.Share{ID: id, ServerID: server, ShareID: of, Tag: tag, Protocol: "NFS", ExportLocation: "192.0.2.1:/" + of, Status: compute.ShareAttaching, CreatedAt: epoch}
		}
		in(t, s, func(tx *db.Tx) error { return s.InsertShare(ctx, tx, share("1", "a", "x", "t")) })
		in(t, s, func(tx *db.Tx) error { return s.InsertShare(ctx, tx, share("2", "a", "y", "u")) })
		in(t, s, func(tx *db.Tx) error { return s.InsertShare(ctx, tx, share("3", "b", "x", "t")) })
		for _, twice := range []compute.Share{share("4", "a", "x", "other"), share("4", "a", "z", "t")} {
			if err := s.Tx(ctx, func(tx *db.Tx) error { return s.InsertShare(ctx, tx, twice) }); !fault.Is(err, fault.Conflict) {
				t.Errorf("%+v: %v", twice, err)
			}
		}
		if got, err := s.Share(ctx, s.DB, "a", "x"); err != nil || got != share("1", "a", "x", "t") {
			t.Error(got, err)
		}
		if _, err := s.Share(ctx, s.DB, "a", "z"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
		if got, err := s.UsersOfShare(ctx, s.DB, "x"); err != nil || len(got) != 2 || got[1].ServerID != "b" {
			t.Error(got, err)
		}
		in(t, s, func(tx *db.Tx) error {
			return s.SetShareStatus(ctx, tx, "a", "x", compute.ShareInactive, compute.ShareAttaching)
		})
		in(t, s, func(tx *db.Tx) error {
			return s.SetShareStatus(ctx, tx, "a", "", compute.ShareActive, compute.ShareInactive, compute.ShareError)
		})
		in(t, s, func(tx *db.Tx) error { return s.SetShareStatus(ctx, tx, "b", "", compute.ShareError) })
		for server, want := range map[string][]compute.ShareStatus{"a": {compute.ShareActive, compute.ShareAttaching}, "b": {compute.ShareError}} {
			got, err := s.Shares(ctx, s.DB, server)
			if err != nil || len(got) != len(want) {
				t.Fatal(got, err)
			}
			for i := range want {
				if got[i].Status != want[i] {
					t.Errorf("%s: %+v", server, got)
				}
			}
		}
		in(t, s, func(tx *db.Tx) error { return s.DeleteShares(ctx, tx, "a", "x") })
		if got, err := s.Shares(ctx, s.DB, "a"); err != nil || len(got) != 1 || got[0].ShareID != "y" {
			t.Error(got, err)
		}
		in(t, s, func(tx *db.Tx) error { return s.DeleteShares(ctx, tx, "a", "") })
		if got, err := s.UsersOfShare(ctx, s.DB, "y"); err != nil || len(got) != 0 {
			t.Error(got, err)
		}
	})
}
