package store

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// Watcher is told, within the transaction, of what happens to servers. It is the
// one place from which notifications come: whoever writes history or state by this
// package has told it. A Store without one tells nobody, and reads nothing for it.
type Watcher interface {
	// Acted: something has been asked of a server.
	Acted(ctx context.Context, tx *db.Tx, a compute.Action) error
	// Stepped: a step of an action has ended.
	Stepped(ctx context.Context, tx *db.Tx, a compute.Action, e compute.ActionEvent) error
	// Changed: a server's state or face is another one.
	Changed(ctx context.Context, tx *db.Tx, before, after *compute.Server) error
}

// watched reports whether a patch is of something that Watcher.Changed is about.
func (p *ServerPatch) watched() bool {
	return p.State != nil || p.Task != nil || p.DisplayName != nil || p.Metadata != nil || p.Tags != nil
}

// Notification is a message on its way to the bus.
type Notification struct {
	Seq      int64  `db:"seq"`
	Topic    string `db:"topic"`
	Priority string `db:"priority"`
	Message  string `db:"message"`
}

// AddNotification writes a message in the transaction of what it tells of.
func (s *Store) AddNotification(ctx context.Context, tx *db.Tx, n Notification, now time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO notifications (topic, priority, message, owner, lease_until, created_at) VALUES (?, ?, ?, '', 0, ?)`,
		n.Topic, n.Priority, n.Message, db.At(now))
	return err
}

// TakeNotifications gives the oldest messages that nobody else delivers to owner
// until lease.
func (s *Store) TakeNotifications(ctx context.Context, owner string, now, lease time.Time, limit int) ([]Notification, error) {
	var taken []Notification
	err := s.Tx(ctx, func(tx *db.Tx) error {
		free, err := db.Select[int64](ctx, tx, `SELECT seq FROM notifications WHERE lease_until < ? ORDER BY seq LIMIT ?`, now.UnixMicro(), limit)
		if err != nil || len(free) == 0 {
			taken = nil
			return err
		}
		in, args := db.In(free)
		args = append([]any{owner, lease.UnixMicro(), now.UnixMicro()}, args...)
		if _, err := tx.Exec(ctx, `UPDATE notifications SET owner = ?, lease_until = ? WHERE lease_until < ? AND seq IN `+in, args...); err != nil {
			return err
		}
		in, args = db.In(free)
		taken, err = db.Select[Notification](ctx, tx, `SELECT seq, topic, priority, message FROM notifications WHERE owner = ? AND seq IN `+in+` ORDER BY seq`,
			append([]any{owner}, args...)...)
		return err
	})
	return taken, err
}

// DropNotifications removes messages that have been delivered.
func (s *Store) DropNotifications(ctx context.Context, delivered []Notification) error {
	seqs := make([]int64, len(delivered))
	for i, n := range delivered {
		seqs[i] = n.Seq
	}
	in, args := db.In(seqs)
	_, err := s.DB.Exec(ctx, `DELETE FROM notifications WHERE seq IN `+in, args...)
	return err
}

// TrimNotifications removes the oldest messages beyond keep, and says how many.
func (s *Store) TrimNotifications(ctx context.Context, keep int) (int64, error) {
	newest, err := db.Get[int64](ctx, s.DB, `SELECT COALESCE(MAX(seq), 0) FROM notifications`)
	if err != nil || newest <= int64(keep) {
		return 0, err
	}
	return s.DB.Exec(ctx, `DELETE FROM notifications WHERE seq <= ?`, newest-int64(keep))
}
