package control

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// The kinds of revocations.
const (
	revokedToken   = "audit" // one token, by its own audit id
	revokedUser    = "user"
	revokedProject = "project"
	revokedDomain  = "domain"
	revokedTrust   = "trust"
	revokedAppCred = "app_cred"
)

// revoke ends all tokens of a subject that have been issued up to now.
func (c *Control) revoke(ctx context.Context, tx *db.Tx, kind, subject string) error {
	now := c.now()
	return store.Revoke(ctx, tx, store.Revocation{Kind: kind, Subject: subject, IssuedBefore: db.At(now),
		ExpiresAt: db.At(now.Add(seconds(c.options.Token.Expiration + c.options.Token.AllowExpiredWindow)))})
}

// Revocations lists what has been revoked since an instant; a zero one means all
// that is still kept.
func (c *Control) Revocations(ctx context.Context, since time.Time) ([]identity.Revocation, error) {
	if err := c.may(ctx, "identity:list_revoke_events", nil); err != nil {
		return nil, err
	}
	if since.IsZero() {
		since = time.UnixMicro(1)
	}
	rows, err := store.Revocations(ctx, c.db, since)
	list := make([]identity.Revocation, len(rows))
	for i, r := range rows {
		list[i] = identity.Revocation{Kind: r.Kind, Subject: r.Subject, IssuedBefore: r.IssuedBefore.Time}
	}
	return list, err
}
