package store

import (
	"context"
	"errors"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

type memberRow struct {
	ImageID   string             `db:"image_id"`
	ProjectID string             `db:"project_id"`
	Status    image.MemberStatus `db:"status"`
	CreatedAt db.Time            `db:"created_at"`
	UpdatedAt db.Time            `db:"updated_at"`
}

func (r *memberRow) member() image.Member {
	return image.Member{ImageID: r.ImageID, ProjectID: r.ProjectID, Status: r.Status, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time}
}

// Members lists an image's members, oldest first.
func (s *Store) Members(ctx context.Context, q db.Querier, imageID string) ([]image.Member, error) {
	list := []image.Member{}
	for r, err := range db.Each[memberRow](ctx, q, `SELECT * FROM image_members WHERE image_id = ? ORDER BY created_at, project_id`, imageID) {
		if err != nil {
			return nil, err
		}
		list = append(list, r.member())
	}
	return list, nil
}

// Member reads one member; fault.NotFound if the project is none.
func (s *Store) Member(ctx context.Context, q db.Querier, imageID, projectID string) (image.Member, error) {
	r, err := db.Get[memberRow](ctx, q, `SELECT * FROM image_members WHERE image_id = ? AND project_id = ?`, imageID, projectID)
	if errors.Is(err, db.ErrNoRow) {
		return image.Member{}, fault.NotFoundf("%.64s not found in the member list of the image %s.", projectID, imageID)
	}
	return r.member(), err
}

// InsertMember adds a member; fault.Conflict if the project is one already.
func (s *Store) InsertMember(ctx context.Context, tx *db.Tx, m image.Member) error {
	err := db.Insert(ctx, tx, "image_members", memberRow{m.ImageID, m.ProjectID, m.Status, db.At(m.CreatedAt), db.At(m.UpdatedAt)})
	if db.IsUnique(err) {
		return fault.Conflictf("Member %.64s is duplicated for image %s", m.ProjectID, m.ImageID)
	}
	return err
}

// SaveMember writes a member's status.
func (s *Store) SaveMember(ctx context.Context, tx *db.Tx, m image.Member) error {
	_, err := tx.Exec(ctx, `UPDATE image_members SET status = ?, updated_at = ? WHERE image_id = ? AND project_id = ?`,
		string(m.Status), db.At(m.UpdatedAt), m.ImageID, m.ProjectID)
	return err
}

// DeleteMember removes a member.
func (s *Store) DeleteMember(ctx context.Context, tx *db.Tx, imageID, projectID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM image_members WHERE image_id = ? AND project_id = ?`, imageID, projectID)
	return err
}
