package api

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/rest"
	"kilonova/service/identity/control"
)

func newLog(k *cloud) *slog.Logger { return slog.New(slog.NewTextHandler(&k.log, nil)) }

// handleNothing is a handler that notes who called.
func handleNothing(seen **auth.Caller) rest.Handler {
	return func(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
		*seen = auth.From(ctx)
		return rest.NoContent(), nil
	}
}

// newLogin is a token of alice's, also where another service has taken the place
// of identity.
func newLogin(k *cloud) string {
	k.t.Helper()
	far := k.beside()
	return far.login("alice", "alice's secret", project("alice")).token
}

// count is how many rows there are in all tables.
func (k *cloud) count() int {
	k.t.Helper()
	n := 0
	for _, table := range tables {
		rows, err := db.Get[int](k.t.Context(), k.db, `SELECT COUNT(*) FROM `+table)
		if err != nil {
			k.t.Fatal(err)
		}
		n += rows
	}
	return n
}

func slowHash(o *control.Options) { o.Identity.PasswordHashRounds = 8 }

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
