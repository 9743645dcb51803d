package store

import (
	"context"

	"kilonova/internal/db"
)

// DomainOption is one option of a domain's configuration.
type DomainOption struct {
	DomainID string       `db:"domain_id"`
	Section  string       `db:"section"`
	Name     string       `db:"name"`
	Value    db.JSON[any] `db:"value"`
}

// DomainConfig lists the options of a domain.
func DomainConfig(ctx context.Context, q db.Querier, domainID string) ([]DomainOption, error) {
	return db.Select[DomainOption](ctx, q, `SELECT `+columns[DomainOption]()+` FROM domain_configs WHERE domain_id = ? ORDER BY section, name`, domainID)
}

// SetDomainConfig replaces the options of a domain.
func SetDomainConfig(ctx context.Context, tx *db.Tx, domainID string, options []DomainOption) error {
	if _, err := tx.Exec(ctx, `DELETE FROM domain_configs WHERE domain_id = ?`, domainID); err != nil {
		return err
	}
	return db.Raced(db.Insert(ctx, tx, "domain_configs", options...))
}
