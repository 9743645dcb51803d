package store

import (
	"context"
	"errors"

	"kilonova/internal/db"
	"kilonova/service/placement"
)

type allocationView struct {
	ConsumerUUID       string  `db:"consumer_uuid"`
	ConsumerGeneration int64   `db:"consumer_generation"`
	ProviderUUID       string  `db:"provider_uuid"`
	ProviderGeneration int64   `db:"provider_generation"`
	Class              string  `db:"resource_class"`
	Used               int64   `db:"used"`
	CreatedAt          db.Time `db:"created_at"`
}

const selectAllocations = `SELECT a.consumer_uuid, c.generation AS consumer_generation, p.uuid AS provider_uuid,
	p.generation AS provider_generation, a.resource_class, a.used, a.created_at
	FROM allocations a
	JOIN consumers c ON c.uuid = a.consumer_uuid
	JOIN providers p ON p.id = a.provider_id `

func allocations(ctx context.Context, q db.Querier, where string, args ...any) ([]placement.Allocation, error) {
	rows, err := db.Select[allocationView](ctx, q, selectAllocations+where+` ORDER BY a.consumer_uuid, a.provider_id, a.resource_class`, args...)
	list := make([]placement.Allocation, 0, len(rows))
	for _, r := range rows {
		list = append(list, placement.Allocation{ConsumerUUID: r.ConsumerUUID, ConsumerGeneration: r.ConsumerGeneration,
			ProviderUUID: r.ProviderUUID, ProviderGeneration: r.ProviderGeneration, Class: r.Class, Used: r.Used, CreatedAt: r.CreatedAt.Time})
	}
	return list, err
}

// ConsumerAllocations returns a consumer and what it uses; no allocations and an
// empty consumer when there is none.
func (s *Store) ConsumerAllocations(ctx context.Context, uuid string) (placement.Consumer, []placement.Allocation, error) {
	c, err := db.Get[consumerRow](ctx, s.db, `SELECT uuid, generation, project_id, user_id, consumer_type, updated_at FROM consumers WHERE uuid = ?`, uuid)
	if errors.Is(err, db.ErrNoRow) {
		return placement.Consumer{}, nil, nil
	}
	if err != nil {
		return placement.Consumer{}, nil, err
	}
	consumer := placement.Consumer{UUID: c.UUID, Generation: c.Generation, ProjectID: c.ProjectID, UserID: c.UserID}
	if c.Type != nil {
		consumer.Type = *c.Type
	}
	list, err := allocations(ctx, s.db, `WHERE a.consumer_uuid = ?`, uuid)
	return consumer, list, err
}

// ProviderAllocations returns a provider and what all consumers use of it.
func (s *Store) ProviderAllocations(ctx context.Context, uuid string) (placement.Provider, []placement.Allocation, error) {
	p, err := row(ctx, s.db, uuid)
	if err != nil {
		return placement.Provider{}, nil, err
	}
	list, err := allocations(ctx, s.db, `WHERE a.provider_id = ?`, p.ID)
	return p.provider(), list, err
}

type usageRow struct {
	Type      string `db:"consumer_type"`
	Consumers int64  `db:"consumers"`
	Class     string `db:"resource_class"`
	Used      int64  `db:"used"`
}

// usagesOf is a filter as a condition on the consumers c.
func usagesOf(f placement.UsageFilter) (string, []any) {
	where, args := ` WHERE c.project_id = ?`, []any{f.ProjectID}
	if f.UserID != "" {
		where, args = where+` AND c.user_id = ?`, append(args, f.UserID)
	}
	switch f.Type {
	case "":
	case placement.UnknownConsumer:
		where += ` AND c.consumer_type IS NULL`
	default:
		where, args = where+` AND c.consumer_type = ?`, append(args, f.Type)
	}
	return where, args
}

// Usages sums what the consumers use, by resource class and, when byType, by
// type of consumer. Consumers is how many consumers there are in all, or of the
// type.
func (s *Store) Usages(ctx context.Context, f placement.UsageFilter, byType bool) ([]placement.Usage, error) {
	where, args := usagesOf(f)
	kind := `'' `
	if byType {
		kind = `COALESCE(c.consumer_type, '` + placement.UnknownConsumer + `') `
	}
	counts, err := db.Select[usageRow](ctx, s.db, `SELECT t.consumer_type, COUNT(*) AS consumers FROM
		(SELECT `+kind+` AS consumer_type FROM consumers c`+where+`) t GROUP BY t.consumer_type`, args...)
	if err != nil {
		return nil, err
	}
	consumers := map[string]int64{}
	for _, c := range counts {
		consumers[c.Type] = c.Consumers
	}
	rows, err := db.Select[usageRow](ctx, s.db, `SELECT t.consumer_type, t.resource_class, CAST(SUM(t.used) AS DECIMAL(30)) AS used FROM
		(SELECT `+kind+` AS consumer_type, a.resource_class, a.used FROM consumers c
			JOIN allocations a ON a.consumer_uuid = c.uuid`+where+`) t
		GROUP BY t.consumer_type, t.resource_class ORDER BY t.consumer_type, t.resource_class`, args...)
	list := make([]placement.Usage, 0, len(rows))
	for _, r := range rows {
		list = append(list, placement.Usage{ConsumerType: r.Type, Consumers: consumers[r.Type], Class: r.Class, Used: r.Used})
	}
	return list, err
}
