package store

import (
	"context"
	"errors"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/object"
)

type accountRow struct {
	Name      string                  `db:"name"`
	Headers   db.JSON[object.Headers] `db:"headers"`
	CreatedAt db.Time                 `db:"created_at"`
}

// Account returns an account with its usage. One that nobody has written to has no
// CreatedAt.
func (s *Store) Account(ctx context.Context, q db.Querier, name string) (*object.Account, error) {
	a, err := s.AccountHead(ctx, q, name)
	if err != nil || a.CreatedAt.IsZero() {
		return a, err
	}
	used, err := db.Get[struct {
		Containers int64 `db:"containers"`
		Objects    int64 `db:"objects"`
		Bytes      int64 `db:"bytes"`
	}](ctx, q, `SELECT COUNT(*) AS containers, CAST(COALESCE(SUM(objects), 0) AS DECIMAL(20)) AS objects, CAST(COALESCE(SUM(bytes), 0) AS DECIMAL(20)) AS bytes
		FROM containers WHERE account = ?`, name)
	a.Containers, a.Objects, a.Bytes = used.Containers, used.Objects, used.Bytes
	return a, err
}

// AccountHead is Account without the usage, for which all containers have to be looked
// at.
func (s *Store) AccountHead(ctx context.Context, q db.Querier, name string) (*object.Account, error) {
	a := &object.Account{Name: name}
	r, err := db.Get[accountRow](ctx, q, `SELECT name, headers, created_at FROM accounts WHERE name = ?`, name)
	if errors.Is(err, db.ErrNoRow) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	a.Headers, a.CreatedAt = r.Headers.V, r.CreatedAt.Time
	return a, nil
}

// SaveAccount writes an account's row, which may be there or not.
func (s *Store) SaveAccount(ctx context.Context, tx *db.Tx, a *object.Account) error {
	n, err := tx.Exec(ctx, `UPDATE accounts SET headers = ? WHERE name = ?`, db.AsJSON(a.Headers), a.Name)
	if err != nil || n > 0 {
		return err
	}
	return db.Raced(db.Insert(ctx, tx, "accounts", accountRow{a.Name, db.AsJSON(a.Headers), db.At(a.CreatedAt)}))
}

// DeleteAccount removes an account's row.
func (s *Store) DeleteAccount(ctx context.Context, tx *db.Tx, name string) error {
	_, err := tx.Exec(ctx, `DELETE FROM accounts WHERE name = ?`, name)
	return err
}

type containerRow struct {
	ID        string                  `db:"id"`
	Account   string                  `db:"account"`
	Name      string                  `db:"name"`
	Headers   db.JSON[object.Headers] `db:"headers"`
	Objects   int64                   `db:"objects"`
	Bytes     int64                   `db:"bytes"`
	CreatedAt db.Time                 `db:"created_at"`
	UpdatedAt db.Time                 `db:"updated_at"`
}

const containerColumns = `id, account, name, headers, objects, bytes, created_at, updated_at`

func (r *containerRow) container() *object.Container {
	return &object.Container{ID: r.ID, Account: r.Account, Name: r.Name, Headers: r.Headers.V, Usage: object.Usage{Objects: r.Objects, Bytes: r.Bytes},
		CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time}
}

// Container returns a container; fault.NotFound.
func (s *Store) Container(ctx context.Context, q db.Querier, account, name string) (*object.Container, error) {
	return containerOf(db.Get[containerRow](ctx, q, `SELECT `+containerColumns+` FROM containers WHERE account = ? AND name = ?`, account, name))
}

// LockContainer is Container for one that shall stay as it is until tx ends.
func (s *Store) LockContainer(ctx context.Context, tx *db.Tx, account, name string) (*object.Container, error) {
	return containerOf(db.Get[containerRow](ctx, tx, `SELECT `+containerColumns+` FROM containers WHERE account = ? AND name = ?`+tx.ForUpdate(), account, name))
}

func containerOf(r containerRow, err error) (*object.Container, error) {
	if errors.Is(err, db.ErrNoRow) {
		return nil, fault.NotFoundf("The resource could not be found.")
	}
	return r.container(), err
}

// InsertContainer adds a container.
func (s *Store) InsertContainer(ctx context.Context, tx *db.Tx, c *object.Container) error {
	return db.Raced(db.Insert(ctx, tx, "containers", containerRow{c.ID, c.Account, c.Name, db.AsJSON(c.Headers), c.Objects, c.Bytes, db.At(c.CreatedAt), db.At(c.UpdatedAt)}))
}

// SaveContainer writes a container's headers.
func (s *Store) SaveContainer(ctx context.Context, tx *db.Tx, c *object.Container) error {
	_, err := tx.Exec(ctx, `UPDATE containers SET headers = ?, updated_at = ? WHERE id = ?`, db.AsJSON(c.Headers), db.At(c.UpdatedAt), c.ID)
	return err
}

// DeleteContainer removes a container's row.
func (s *Store) DeleteContainer(ctx context.Context, tx *db.Tx, id string) error {
	_, err := tx.Exec(ctx, `DELETE FROM containers WHERE id = ?`, id)
	return err
}

// Range is a part of a list of names, in the order of their bytes.
type Range struct {
	From, After string // first name: at or after From, after After; "" from the start
	Until       string // names before it; "" to the end
	Reverse     bool   // from the last on
	Limit       int
}

func (r Range) clause() (text string, args []any) {
	for _, c := range []struct{ op, value string }{{">=", r.From}, {">", r.After}, {"<", r.Until}} {
		if c.value != "" {
			text += ` AND name ` + c.op + ` ?`
			args = append(args, c.value)
		}
	}
	text += ` ORDER BY name`
	if r.Reverse {
		text += ` DESC`
	}
	return text + ` LIMIT ?`, append(args, r.Limit)
}

// Containers lists containers of an account.
func (s *Store) Containers(ctx context.Context, account string, r Range) ([]object.Container, error) {
	clause, args := r.clause()
	var all []object.Container
	for row, err := range db.Each[containerRow](ctx, s.DB, `SELECT `+containerColumns+` FROM containers WHERE account = ?`+clause, append([]any{account}, args...)...) {
		if err != nil {
			return nil, err
		}
		all = append(all, *row.container())
	}
	return all, nil
}

// Beyond is what follows a name.
func (r Range) Beyond(name string) Range {
	if r.Reverse {
		r.Until = name
	} else {
		r.From, r.After = "", name
	}
	return r
}
