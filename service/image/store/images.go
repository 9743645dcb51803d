package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

type row struct {
	ID              string           `db:"id"`
	Name            *string          `db:"name"`
	Owner           string           `db:"owner"`
	Status          image.Status     `db:"status"`
	Visibility      image.Visibility `db:"visibility"`
	Protected       bool             `db:"protected"`
	Hidden          bool             `db:"os_hidden"`
	DiskFormat      string           `db:"disk_format"`
	ContainerFormat string           `db:"container_format"`
	Size            *int64           `db:"size"`
	VirtualSize     *int64           `db:"virtual_size"`
	MinDisk         int64            `db:"min_disk"`
	MinRAM          int64            `db:"min_ram"`
	Checksum        string           `db:"checksum"`
	HashAlgo        string           `db:"os_hash_algo"`
	HashValue       string           `db:"os_hash_value"`
	CreatedAt       db.Time          `db:"created_at"`
	UpdatedAt       db.Time          `db:"updated_at"`
}

func (r *row) image() image.Image {
	return image.Image{ID: r.ID, Name: r.Name, Owner: r.Owner, Status: r.Status, Visibility: r.Visibility, Protected: r.Protected,
		Hidden: r.Hidden, DiskFormat: r.DiskFormat, ContainerFormat: r.ContainerFormat, Size: r.Size, VirtualSize: r.VirtualSize,
		MinDisk: r.MinDisk, MinRAM: r.MinRAM, Checksum: r.Checksum, HashAlgo: r.HashAlgo, HashValue: r.HashValue,
		CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time}
}

func rowOf(i *image.Image) row {
	return row{ID: i.ID, Name: i.Name, Owner: i.Owner, Status: i.Status, Visibility: i.Visibility, Protected: i.Protected,
		Hidden: i.Hidden, DiskFormat: i.DiskFormat, ContainerFormat: i.ContainerFormat, Size: i.Size, VirtualSize: i.VirtualSize,
		MinDisk: i.MinDisk, MinRAM: i.MinRAM, Checksum: i.Checksum, HashAlgo: i.HashAlgo, HashValue: i.HashValue,
		CreatedAt: db.At(i.CreatedAt), UpdatedAt: db.At(i.UpdatedAt)}
}

type property struct {
	ImageID string `db:"image_id"`
	Name    string `db:"name"`
	Value   string `db:"value"`
}

type tag struct {
	ImageID string `db:"image_id"`
	Value   string `db:"value"`
}

// NotFound is the fault for an image that is not there, or not for the caller.
func NotFound(id string) error { return fault.NotFoundf("No image found with ID %.64s", id) }

// Insert writes a new image; fault.Conflict if its id was ever used.
func (s *Store) Insert(ctx context.Context, tx *db.Tx, i *image.Image) error {
	_, err := tx.Exec(ctx, `INSERT INTO image_ids (id, created_at) VALUES (?, ?)`, i.ID, db.At(i.CreatedAt))
	if db.IsUnique(err) {
		return fault.Conflictf("Image ID %s already exists!", i.ID)
	}
	if err != nil {
		return err
	}
	if err := db.Insert(ctx, tx, "images", rowOf(i)); err != nil {
		return err
	}
	return errors.Join(insertProperties(ctx, tx, i.ID, i.Properties), insertTags(ctx, tx, i.ID, i.Tags))
}

func insertProperties(ctx context.Context, tx *db.Tx, id string, all map[string]string) error {
	var rows []property
	for _, name := range slices.Sorted(maps.Keys(all)) {
		rows = append(rows, property{id, name, all[name]})
	}
	return db.Insert(ctx, tx, "image_properties", rows...)
}

func insertTags(ctx context.Context, tx *db.Tx, id string, all []string) error {
	var rows []tag
	for _, value := range all {
		rows = append(rows, tag{id, value})
	}
	return db.Insert(ctx, tx, "image_tags", rows...)
}

// Get reads an image, whole; fault.NotFound if there is none.
func (s *Store) Get(ctx context.Context, q db.Querier, id string) (*image.Image, error) {
	r, err := db.Get[row](ctx, q, `SELECT * FROM images WHERE id = ?`, id)
	if errors.Is(err, db.ErrNoRow) {
		return nil, NotFound(id)
	}
	if err != nil {
		return nil, err
	}
	list := []image.Image{r.image()}
	if err := s.details(ctx, q, list); err != nil {
		return nil, err
	}
	return &list[0], nil
}

// Lock reads an image in tx and keeps everybody else from writing it until tx
// ends.
func (s *Store) Lock(ctx context.Context, tx *db.Tx, id string) (*image.Image, error) {
	n, err := tx.Exec(ctx, `UPDATE images SET id = id WHERE id = ?`, id)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, NotFound(id)
	}
	return s.Get(ctx, tx, id)
}

// Save writes what differs between an image as Lock gave it and as it is to be.
// Locations have functions of their own.
func (s *Store) Save(ctx context.Context, tx *db.Tx, was, i *image.Image) error {
	r := rowOf(i)
	_, err := tx.Exec(ctx, `UPDATE images SET name = ?, owner = ?, status = ?, visibility = ?, protected = ?, os_hidden = ?,
		disk_format = ?, container_format = ?, size = ?, virtual_size = ?, min_disk = ?, min_ram = ?, checksum = ?,
		os_hash_algo = ?, os_hash_value = ?, updated_at = ? WHERE id = ?`,
		r.Name, r.Owner, string(r.Status), string(r.Visibility), r.Protected, r.Hidden,
		r.DiskFormat, r.ContainerFormat, r.Size, r.VirtualSize, r.MinDisk, r.MinRAM, r.Checksum,
		r.HashAlgo, r.HashValue, r.UpdatedAt, r.ID)
	if err != nil {
		return err
	}
	if !maps.Equal(was.Properties, i.Properties) {
		if _, err := tx.Exec(ctx, `DELETE FROM image_properties WHERE image_id = ?`, i.ID); err != nil {
			return err
		}
		if err := insertProperties(ctx, tx, i.ID, i.Properties); err != nil {
			return err
		}
	}
	if slices.Equal(was.Tags, i.Tags) {
		return nil
	}
	if _, err := tx.Exec(ctx, `DELETE FROM image_tags WHERE image_id = ?`, i.ID); err != nil {
		return err
	}
	return insertTags(ctx, tx, i.ID, i.Tags)
}

// Delete removes an image and all that belongs to it; its id stays taken.
func (s *Store) Delete(ctx context.Context, tx *db.Tx, id string) error {
	for _, statement := range []string{
		`DELETE FROM image_properties WHERE image_id = ?`, `DELETE FROM image_tags WHERE image_id = ?`,
		`DELETE FROM image_members WHERE image_id = ?`, `DELETE FROM image_locations WHERE image_id = ?`,
		`DELETE FROM uploads WHERE image_id = ?`, `DELETE FROM images WHERE id = ?`,
	} {
		if _, err := tx.Exec(ctx, statement, id); err != nil {
			return err
		}
	}
	return nil
}

// Usage is what a project's images take.
type Usage struct {
	Count     int64 `db:"images"`
	Bytes     int64 `db:"bytes"`
	Uploading int64 `db:"uploading"` // images whose data is on its way
	Staged    int64 `db:"staged"`    // bytes
}

// QuotaTurn has those who are about to use more of a project's quota come one
// after the other: until tx ends, nobody else gets past this line.
func (s *Store) QuotaTurn(ctx context.Context, tx *db.Tx, owner string) error {
	n, err := tx.Exec(ctx, `UPDATE quota_turns SET turn = turn + 1 WHERE owner = ?`, owner)
	if err != nil || n == 1 {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO quota_turns (owner, turn) VALUES (?, 1)`, owner)
	return db.Raced(err)
}

// Usage adds up a project's images. One that lies in several stores takes as many
// times its size, and one that is being copied into more is on its way, as
// upstream counts.
func (s *Store) Usage(ctx context.Context, q db.Querier, owner string) (Usage, error) {
	return db.Get[Usage](ctx, q, `SELECT COUNT(*) AS images,
		CAST(COALESCE(SUM(CASE WHEN status IN ('active', 'deactivated') THEN CASE WHEN places > 1 THEN size * places ELSE size END ELSE 0 END), 0) AS DECIMAL(20)) AS bytes,
		CAST(COALESCE(SUM(CASE WHEN copying > 0 OR status IN ('saving', 'uploading', 'importing') THEN 1 ELSE 0 END), 0) AS DECIMAL(20)) AS uploading,
		CAST(COALESCE(SUM(CASE WHEN copying > 0 OR status IN ('uploading', 'importing') THEN size ELSE 0 END), 0) AS DECIMAL(20)) AS staged
		FROM (SELECT status, size, (SELECT COUNT(*) FROM image_locations l WHERE l.image_id = i.id) AS places,
			(SELECT COUNT(*) FROM image_properties p WHERE p.image_id = i.id AND p.name = 'os_glance_importing_to_stores' AND p.value <> '') AS copying
			FROM images i WHERE owner = ?) AS mine`, owner)
}

// details fills in what lies in other tables, with one query for each of them.
func (s *Store) details(ctx context.Context, q db.Querier, list []image.Image) error {
	if len(list) == 0 {
		return nil
	}
	at := make(map[string]*image.Image, len(list))
	ids := make([]string, len(list))
	for i := range list {
		list[i].Properties = map[string]string{}
		at[list[i].ID], ids[i] = &list[i], list[i].ID
	}
	in, args := db.In(ids)
	for p, err := range db.Each[property](ctx, q, `SELECT * FROM image_properties WHERE image_id IN `+in, args...) {
		if err != nil {
			return err
		}
		at[p.ImageID].Properties[p.Name] = p.Value
	}
	for t, err := range db.Each[tag](ctx, q, `SELECT * FROM image_tags WHERE image_id IN `+in+` ORDER BY value`, args...) {
		if err != nil {
			return err
		}
		at[t.ImageID].Tags = append(at[t.ImageID].Tags, t.Value)
	}
	for l, err := range db.Each[location](ctx, q, `SELECT * FROM image_locations WHERE image_id IN `+in+` ORDER BY seq`, args...) {
		if err != nil {
			return err
		}
		at[l.ImageID].Locations = append(at[l.ImageID].Locations, l.location())
	}
	return nil
}

// Touch notes that something about an image changed that is not in its row.
func (s *Store) Touch(ctx context.Context, tx *db.Tx, id string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE images SET updated_at = ? WHERE id = ?`, db.At(now), id)
	return err
}
