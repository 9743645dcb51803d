package store

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

type taskRow struct {
	ID        string                  `db:"id"`
	Type      string                  `db:"type"`
	Status    image.TaskStatus        `db:"status"`
	Owner     string                  `db:"owner"`
	UserID    string                  `db:"user_id"`
	RequestID string                  `db:"request_id"`
	ImageID   string                  `db:"image_id"`
	Input     db.JSON[map[string]any] `db:"input"`
	Result    db.JSON[map[string]any] `db:"result"`
	Message   string                  `db:"message"`
	CreatedAt db.Time                 `db:"created_at"`
	UpdatedAt db.Time                 `db:"updated_at"`
	ExpiresAt db.Time                 `db:"expires_at"`
}

func (r *taskRow) task() image.Task {
	return image.Task{ID: r.ID, Type: r.Type, Status: r.Status, Owner: r.Owner, UserID: r.UserID, RequestID: r.RequestID, ImageID: r.ImageID,
		Input: r.Input.V, Result: r.Result.V, Message: r.Message,
		CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time, ExpiresAt: r.ExpiresAt.Time}
}

// InsertTask writes a new task.
func (s *Store) InsertTask(ctx context.Context, tx *db.Tx, t image.Task) error {
	return db.Insert(ctx, tx, "api_tasks", taskRow{t.ID, t.Type, t.Status, t.Owner, t.UserID, t.RequestID, t.ImageID,
		db.AsJSON(t.Input), db.AsJSON(t.Result), t.Message, db.At(t.CreatedAt), db.At(t.UpdatedAt), db.At(t.ExpiresAt)})
}

// SaveTask writes how far a task is.
func (s *Store) SaveTask(ctx context.Context, tx *db.Tx, id string, status image.TaskStatus, message string, now, expires time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE api_tasks SET status = ?, message = ?, updated_at = ?, expires_at = ? WHERE id = ?`,
		string(status), message, db.At(now), db.At(expires), id)
	return err
}

// Task reads a task; fault.NotFound if there is none. owner "" stands for all.
func (s *Store) Task(ctx context.Context, id, owner string) (*image.Task, error) {
	r, err := db.Get[taskRow](ctx, s.DB, `SELECT * FROM api_tasks WHERE id = ? AND (owner = ? OR ? = '')`, id, owner, owner)
	if errors.Is(err, db.ErrNoRow) {
		return nil, fault.NotFoundf("No task found with ID %.64s", id)
	}
	if err != nil {
		return nil, err
	}
	t := r.task()
	return &t, nil
}

// TasksOf lists an image's tasks, newest first.
func (s *Store) TasksOf(ctx context.Context, imageID string) ([]image.Task, error) {
	return s.tasks(ctx, `SELECT * FROM api_tasks WHERE image_id = ? ORDER BY created_at DESC, id DESC LIMIT 1000`, imageID)
}

// Tasks lists tasks by age.
func (s *Store) Tasks(ctx context.Context, q image.TaskQuery) ([]image.Task, error) {
	text := `SELECT * FROM api_tasks WHERE (owner = ? OR ? = '') AND (type = ? OR ? = '') AND (status = ? OR ? = '')`
	args := []any{q.Owner, q.Owner, q.Type, q.Type, string(q.Status), string(q.Status)}
	direction, compare := `DESC`, `<`
	if q.Asc {
		direction, compare = `ASC`, `>`
	}
	if q.Marker != nil {
		at := db.At(q.Marker.CreatedAt)
		text += ` AND (created_at ` + compare + ` ? OR created_at = ? AND id ` + compare + ` ?)`
		args = append(args, at, at, q.Marker.ID)
	}
	return s.tasks(ctx, text+` ORDER BY created_at `+direction+`, id `+direction+` LIMIT ?`, append(args, q.Limit)...)
}

func (s *Store) tasks(ctx context.Context, text string, args ...any) ([]image.Task, error) {
	list := []image.Task{}
	for r, err := range db.Each[taskRow](ctx, s.DB, text, args...) {
		if err != nil {
			return nil, err
		}
		list = append(list, r.task())
	}
	return list, nil
}

// DeleteTasks removes tasks that were over long ago.
func (s *Store) DeleteTasks(ctx context.Context, now time.Time) error {
	_, err := s.DB.Exec(ctx, `DELETE FROM api_tasks WHERE expires_at < ?`, db.At(now))
	return err
}

// PurgeTasks removes tasks that were over before then.
func (s *Store) PurgeTasks(ctx context.Context, before time.Time) (int64, error) {
	return s.DB.Exec(ctx, `DELETE FROM api_tasks WHERE status IN ('success', 'failure') AND updated_at < ?`, db.At(before))
}

// PurgeIDs forgets ids made before then whose images are gone.
func (s *Store) PurgeIDs(ctx context.Context, before time.Time) (int64, error) {
	return s.DB.Exec(ctx, `DELETE FROM image_ids WHERE created_at < ? AND id NOT IN (SELECT id FROM images)`, db.At(before))
}
