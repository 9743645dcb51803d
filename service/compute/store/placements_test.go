package store

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

func TestPlacements(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for i := range 10 {
			record := compute.PlacementRecord{ServerID: fmt.Sprint("s", i%2), RequestID: "req-1", Host: fmt.Sprint("h", i), Driver: "filter",
				DecidedAt: epoch.Add(time.Duration(i) * time.Hour), Took: 1500 * time.Microsecond, Together: 3, Record: json.RawMessage(`{"hosts":2}`)}
			if i == 9 {
				record.Host, record.Refusal = "", "No valid host was found."
			}
			in(t, s, func(tx *db.Tx) error { return s.InsertPlacements(ctx, tx, record) })
		}
		got, err := s.Placements(ctx, s.DB, "s1", 3)
		if err != nil || len(got) != 3 || got[0].Refusal != "No valid host was found." || got[1].Host != "h7" || got[2].Host != "h5" ||
			got[1].Took != 1500*time.Microsecond || string(got[1].Record) != `{"hosts":2}` || !got[1].DecidedAt.Equal(epoch.Add(7*time.Hour)) {
			t.Errorf("%+v, %v", got, err)
		}
		in(t, s, func(tx *db.Tx) error { return s.ForgetPlacements(ctx, tx, epoch.Add(2*time.Hour), 100) })
		if got, err := s.Placements(ctx, s.DB, "s1", 100); err != nil || len(got) != 4 {
			t.Errorf("after those of the first two hours are forgotten: %d, %v", len(got), err)
		}
		in(t, s, func(tx *db.Tx) error { return s.ForgetPlacements(ctx, tx, epoch, 3) })
		left := 0
		for _, id := range []string{"s0", "s1"} {
			all, err := s.Placements(ctx, s.DB, id, 100)
			if err != nil {
				t.Fatal(err)
			}
			left += len(all)
		}
		if left != 3 {
			t.Errorf("%d of 3 left", left)
		}
	})
}
