package store

import (
	"maps"
	"reflect"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

func TestClassQuotasAreSetOneByOne(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for _, limit := range []int{5, 7} {
			in(t, s, func(tx *db.Tx) error { return s.SetClassQuota(t.Context(), tx, "default", "cores", limit) })
		}
		in(t, s, func(tx *db.Tx) error { return s.SetClassQuota(t.Context(), tx, "other", "ram", -1) })
		if got, err := s.ClassQuotas(t.Context(), s.DB, "default"); err != nil || !maps.Equal(got, map[string]int{"cores": 7}) {
			t.Error(got, err)
		}
	})
}

// fill launches three of every four servers, the last one first.
func TestUsageIsOfServersThatRan(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		all := fill(t, s, 8) // launched: 1 2 3 5 6 7, at epoch + 7 6 5 3 2 1 minutes
		gone := epoch.Add(4 * time.Minute)
		in(t, s, func(tx *db.Tx) error {
			_, err := s.UpdateServer(ctx, tx, all[7].ID, ServerPatch{TerminatedAt: &gone, DeletedAt: &gone}, Expect{}, time.Time{})
			return err
		})
		ids := func(begin, end time.Duration, project, marker string, limit int) string {
			t.Helper()
			servers, err := s.UsedBetween(ctx, s.DB, epoch.Add(begin), epoch.Add(end), project, marker, limit)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, v := range servers {
				text += v.ID[7:8]
			}
			return text
		}
		for _, x := range []struct {
			begin, end      time.Duration
			project, marker string
			limit           int
			want            string
		}{
			{0, time.Hour, "", "", 100, "261357"},
			{0, time.Hour, "p1", "", 100, "1357"},
			{5 * time.Minute, time.Hour, "", "", 100, "26135"},
			{0, 4 * time.Minute, "", "", 100, "657"},
			{0, time.Hour, "", all[6].ID, 2, "13"},
		} {
			if got := ids(x.begin, x.end, x.project, x.marker, x.limit); got != x.want {
				t.Errorf("%+v: %s", x, got)
			}
		}
		onHost := func(host string, begin, end time.Duration, after int64, limit int) string {
			t.Helper()
			servers, err := s.UsedOnHost(ctx, s.DB, host, epoch.Add(begin), epoch.Add(end), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, v := range servers {
				text += v.ID[7:8]
			}
			return text
		}
		h1, h2 := "h1", "h2"
		in(t, s, func(tx *db.Tx) error {
			for i, v := range all {
				host := &h1
				if i > 4 {
					host = &h2
				}
				if _, err := s.UpdateServer(ctx, tx, v.ID, ServerPatch{Host: host}, Expect{}, time.Time{}); err != nil {
					return err
				}
			}
			return nil
		})
		third, err := s.Server(ctx, s.DB, all[3].ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			host       string
			begin, end time.Duration
			after      int64
			limit      int
			want       string
		}{
			{h1, 0, time.Hour, 0, 100, "123"},
			{h1, 0, time.Hour, 0, 2, "12"},
			{h1, 0, time.Hour, third.Seq, 100, ""},
			{h2, 0, time.Hour, 0, 100, "567"},
			{h2, 5 * time.Minute, time.Hour, 0, 100, "56"}, // 7 was gone by then
			{h2, 0, 90 * time.Second, 0, 100, "7"},
			{"h3", 0, time.Hour, 0, 100, ""},
		} {
			if got := onHost(x.host, x.begin, x.end, x.after, x.limit); got != x.want {
				t.Errorf("%+v: %s", x, got)
			}
		}
		if _, err := s.UsedBetween(ctx, s.DB, epoch, gone, "", "nobody", 1); err == nil {
			t.Error("a marker that is no server's is taken")
		}
		devices := []compute.BlockDevice{{VolumeID: "v", AttachmentID: "a"}, {VolumeID: "noted"}}
		in(t, s, func(tx *db.Tx) error {
			_, err := s.UpdateServer(ctx, tx, all[2].ID, ServerPatch{Devices: &devices}, Expect{}, time.Time{})
			return err
		})
		if got, err := s.ServerWithVolume(ctx, s.DB, "v"); err != nil || got.ID != all[2].ID || !reflect.DeepEqual(got.Devices, devices) {
			t.Error(got, err)
		}
		for _, none := range []string{"noted", "other"} {
			if _, err := s.ServerWithVolume(ctx, s.DB, none); !fault.Is(err, fault.NotFound) {
				t.Error(none, err)
			}
		}
		a := Audit{Host: "h", Servers: 3, Message: "m"}
		in(t, s, func(tx *db.Tx) error { return s.InsertAudit(ctx, tx, epoch, gone, a) })
		if got, err := s.Audits(ctx, s.DB, epoch, gone); err != nil || len(got) != 1 || got[0] != a {
			t.Error(got, err)
		}
		if got, err := s.UsedOn(ctx, s.DB, epoch, epoch.Add(4*time.Minute)); err != nil || len(got) != 1 || got[h2] != 3 {
			t.Error(got, err)
		}
	})
}
