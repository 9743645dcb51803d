package store

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

type requestTokenRow struct {
	identity.RequestToken
	Expires db.Time `db:"expires_at"`
}

type accessTokenRow struct {
	identity.AccessToken
	Expires db.Time `db:"expires_at"`
}

var consumerColumns = map[string]string{"id": "id", "description": "description"}

// Consumer returns a consumer with its secret.
func Consumer(ctx context.Context, q db.Querier, id string) (identity.Consumer, error) {
	return pick[identity.Consumer](ctx, q, "consumers", id)
}

// Consumers lists consumers.
func Consumers(ctx context.Context, q db.Querier, query identity.Query) ([]identity.Consumer, error) {
	return list[identity.Consumer](ctx, q, "consumers", consumerColumns, query, clause{})
}

// AddConsumer writes a new consumer.
func AddConsumer(ctx context.Context, tx *db.Tx, c identity.Consumer) error {
	return db.Insert(ctx, tx, "consumers", c)
}

// UpdateConsumer writes a changed consumer.
func UpdateConsumer(ctx context.Context, tx *db.Tx, c identity.Consumer) error {
	return update(ctx, tx, "consumers", c)
}

// DeleteConsumer removes a consumer with all that it was allowed.
func DeleteConsumer(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "consumers", id)
}

// RequestToken returns a request token, expired or not.
func RequestToken(ctx context.Context, q db.Querier, id string) (identity.RequestToken, error) {
	r, err := pick[requestTokenRow](ctx, q, "request_tokens", id)
	r.RequestToken.Expires = r.Expires.Time
	return r.RequestToken, err
}

// AddRequestToken writes a new request token.
func AddRequestToken(ctx context.Context, tx *db.Tx, t identity.RequestToken) error {
	return db.Insert(ctx, tx, "request_tokens", requestTokenRow{t, db.At(t.Expires)})
}

// UpdateRequestToken writes a request token that a user has agreed to.
func UpdateRequestToken(ctx context.Context, tx *db.Tx, t identity.RequestToken) error {
	return update(ctx, tx, "request_tokens", requestTokenRow{t, db.At(t.Expires)})
}

// DeleteRequestToken removes a request token, db.ErrNoRow when it has been used.
func DeleteRequestToken(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "request_tokens", id)
}

// PruneRequestTokens removes those that have expired.
func PruneRequestTokens(ctx context.Context, tx *db.Tx, now time.Time) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM request_tokens WHERE expires_at < ?`, db.At(now))
}

// AccessToken returns an access token, expired or not.
func AccessToken(ctx context.Context, q db.Querier, id string) (identity.AccessToken, error) {
	r, err := pick[accessTokenRow](ctx, q, "access_tokens", id)
	r.AccessToken.Expires = r.Expires.Time
	return r.AccessToken, err
}

// AccessTokens lists those that a user has agreed to.
func AccessTokens(ctx context.Context, q db.Querier, userID string) ([]identity.AccessToken, error) {
	rows, err := db.Select[accessTokenRow](ctx, q, `SELECT `+columns[accessTokenRow]()+` FROM access_tokens WHERE user_id = ? ORDER BY id`, userID)
	all := make([]identity.AccessToken, len(rows))
	for i, r := range rows {
		all[i] = r.AccessToken
		all[i].Expires = r.Expires.Time
	}
	return all, err
}

// AddAccessToken writes a new access token.
func AddAccessToken(ctx context.Context, tx *db.Tx, t identity.AccessToken) error {
	return db.Insert(ctx, tx, "access_tokens", accessTokenRow{t, db.At(t.Expires)})
}

// DeleteAccessToken removes an access token.
func DeleteAccessToken(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "access_tokens", id)
}
