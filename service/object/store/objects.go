package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/object"
)

type objectRow struct {
	ContainerID string                  `db:"container_id"`
	NameKey     string                  `db:"name_key"`
	Name        string                  `db:"name"`
	Payload     string                  `db:"payload"`
	Size        int64                   `db:"size"`
	ETag        string                  `db:"etag"`
	ContentType string                  `db:"content_type"`
	Headers     db.JSON[object.Headers] `db:"headers"`
	LargeSize   *int64                  `db:"large_size"`
	LargeETag   string                  `db:"large_etag"`
	CreatedAt   db.Time                 `db:"created_at"`
	DeleteAt    db.Time                 `db:"delete_at"`
}

const objectColumns = `container_id, name, payload, size, etag, content_type, headers, large_size, large_etag, created_at, delete_at`

func nameKey(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (r *objectRow) object() *object.Object {
	o := &object.Object{Name: r.Name, Payload: r.Payload, Size: r.Size, ETag: r.ETag, ContentType: r.ContentType, Headers: r.Headers.V,
		CreatedAt: r.CreatedAt.Time, DeleteAt: r.DeleteAt.Time}
	if r.LargeSize != nil {
		o.Large = &object.Large{Size: *r.LargeSize, ETag: r.LargeETag}
	}
	return o
}

// Object returns an object; fault.NotFound.
func (s *Store) Object(ctx context.Context, q db.Querier, containerID, name string) (*object.Object, error) {
	return objectOf(db.Get[objectRow](ctx, q, `SELECT `+objectColumns+` FROM objects WHERE container_id = ? AND name_key = ?`, containerID, nameKey(name)))
}

// LockObject is Object for one that shall stay as it is until tx ends.
func (s *Store) LockObject(ctx context.Context, tx *db.Tx, containerID, name string) (*object.Object, error) {
	return objectOf(db.Get[objectRow](ctx, tx, `SELECT `+objectColumns+` FROM objects WHERE container_id = ? AND name_key = ?`+tx.ForUpdate(), containerID, nameKey(name)))
}

func objectOf(r objectRow, err error) (*object.Object, error) {
	if errors.Is(err, db.ErrNoRow) {
		return nil, fault.NotFoundf("The resource could not be found.")
	}
	return r.object(), err
}

// InsertObject adds an object and counts it. The container must be locked.
func (s *Store) InsertObject(ctx context.Context, tx *db.Tx, containerID string, o *object.Object) error {
	row := objectRow{ContainerID: containerID, NameKey: nameKey(o.Name), Name: o.Name, Payload: o.Payload, Size: o.Size, ETag: o.ETag, ContentType: o.ContentType,
		Headers: db.AsJSON(o.Headers), CreatedAt: db.At(o.CreatedAt), DeleteAt: db.At(o.DeleteAt)}
	if o.Large != nil {
		row.LargeSize, row.LargeETag = &o.Large.Size, o.Large.ETag
	}
	if err := db.Insert(ctx, tx, "objects", row); err != nil {
		return db.Raced(err)
	}
	return s.count(ctx, tx, containerID, 1, o.Size)
}

// SaveObject writes what may change of an object while its bytes stay.
func (s *Store) SaveObject(ctx context.Context, tx *db.Tx, containerID string, o *object.Object) error {
	_, err := tx.Exec(ctx, `UPDATE objects SET content_type = ?, headers = ?, created_at = ?, delete_at = ? WHERE container_id = ? AND name_key = ?`,
		o.ContentType, db.AsJSON(o.Headers), db.At(o.CreatedAt), db.At(o.DeleteAt), containerID, nameKey(o.Name))
	return err
}

// DeleteObject removes an object. Its payload is nobody's from then on, unless
// another object refers to it.
func (s *Store) DeleteObject(ctx context.Context, tx *db.Tx, containerID string, o *object.Object, now time.Time) error {
	n, err := tx.Exec(ctx, `DELETE FROM objects WHERE container_id = ? AND name_key = ?`, containerID, nameKey(o.Name))
	if err != nil || n == 0 {
		return err
	}
	if err := s.count(ctx, tx, containerID, -1, -o.Size); err != nil || o.Payload == "" {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE payloads SET due = ? WHERE id = ? AND NOT EXISTS (SELECT 1 FROM objects WHERE payload = ?)`, db.At(now), o.Payload, o.Payload)
	return err
}

func (s *Store) count(ctx context.Context, tx *db.Tx, containerID string, objects, bytes int64) error {
	_, err := tx.Exec(ctx, `UPDATE containers SET objects = objects + ?, bytes = bytes + ? WHERE id = ?`, objects, bytes, containerID)
	return err
}

// Objects lists objects of a container.
func (s *Store) Objects(ctx context.Context, containerID string, r Range) ([]object.Object, error) {
	return s.ObjectsIn(ctx, s.DB, containerID, r)
}

// ObjectsIn is Objects within a transaction.
func (s *Store) ObjectsIn(ctx context.Context, q db.Querier, containerID string, r Range) ([]object.Object, error) {
	clause, args := r.clause()
	var all []object.Object
	for row, err := range db.Each[objectRow](ctx, q, `SELECT `+objectColumns+` FROM objects WHERE container_id = ?`+clause, append([]any{containerID}, args...)...) {
		if err != nil {
			return nil, err
		}
		all = append(all, *row.object())
	}
	return all, nil
}

// Ended lists objects whose time is over, with the ids of their containers.
func (s *Store) Ended(ctx context.Context, now time.Time, limit int) (paths []object.Path, err error) {
	rows, err := db.Select[struct {
		Account   string `db:"account"`
		Container string `db:"container"`
		Name      string `db:"name"`
	}](ctx, s.DB, `SELECT c.account AS account, c.name AS container, o.name AS name FROM objects AS o JOIN containers AS c ON c.id = o.container_id
		WHERE o.delete_at <= ? ORDER BY o.delete_at LIMIT ?`, db.At(now), limit)
	for _, r := range rows {
		paths = append(paths, object.Path{Account: r.Account, Container: r.Container, Object: r.Name})
	}
	return paths, err
}
