package store

import (
	"context"

	"kilonova/internal/db"
)

// Entry is a user or group of a domain's directory.
type Entry struct {
	ID          string  `db:"id"`
	DomainID    string  `db:"domain_id"`
	Kind        string  `db:"kind"` // "user" or "group"
	LocalID     string  `db:"local_id"`
	RefreshedAt db.Time `db:"refreshed_at"`
}

// EntryByID returns an entry by its id here.
func EntryByID(ctx context.Context, q db.Querier, id string) (Entry, error) {
	return pick[Entry](ctx, q, "directory_entries", id)
}

// Entries lists the entries of a domain's directory; "" of all.
func Entries(ctx context.Context, q db.Querier, domainID, kind string) ([]Entry, error) {
	var where clause
	if domainID != "" {
		where.add("domain_id = ?", domainID)
	}
	if kind != "" {
		where.add("kind = ?", kind)
	}
	return db.Select[Entry](ctx, q, `SELECT `+columns[Entry]()+` FROM directory_entries`+where.String()+` ORDER BY id`, where.args...)
}

// SetEntry writes an entry, or when it was last seen.
func SetEntry(ctx context.Context, tx *db.Tx, e Entry) error {
	n, err := tx.Exec(ctx, `UPDATE directory_entries SET refreshed_at = ? WHERE id = ?`, e.RefreshedAt, e.ID)
	if err != nil || n > 0 {
		return err
	}
	return db.Raced(db.Insert(ctx, tx, "directory_entries", e))
}

// DeleteEntry removes an entry.
func DeleteEntry(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "directory_entries", id)
}

// SetMemberships puts a user into groups of a domain, and out of its others.
func SetMemberships(ctx context.Context, tx *db.Tx, userID, domainID string, groups []string) error {
	_, err := tx.Exec(ctx, `DELETE FROM memberships WHERE user_id = ? AND group_id IN (SELECT id FROM user_groups WHERE domain_id = ?)`, userID, domainID)
	if err != nil {
		return err
	}
	type row struct {
		UserID  string `db:"user_id"`
		GroupID string `db:"group_id"`
	}
	var rows []row
	for _, g := range groups {
		rows = append(rows, row{userID, g})
	}
	return db.Raced(db.Insert(ctx, tx, "memberships", rows...))
}

// ConfiguredDomains lists the domains that set an option to a value.
func ConfiguredDomains(ctx context.Context, q db.Querier, section, name string) ([]DomainOption, error) {
	return db.Select[DomainOption](ctx, q, `SELECT `+columns[DomainOption]()+` FROM domain_configs WHERE section = ? AND name = ? ORDER BY domain_id`, section, name)
}
