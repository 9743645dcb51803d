package store

import (
	"context"
	"errors"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type actionRow struct {
	Seq       int64                      `db:"seq"`
	RequestID string                     `db:"request_id"`
	ServerID  string                     `db:"server_id"`
	Action    string                     `db:"action"`
	UserID    string                     `db:"user_id"`
	ProjectID string                     `db:"project_id"`
	StartedAt db.Time                    `db:"started_at"`
	UpdatedAt db.Time                    `db:"updated_at"`
	Message   *string                    `db:"message"`
	About     db.JSON[map[string]string] `db:"about"`
}

func (r *actionRow) action() compute.Action {
	return compute.Action{Seq: r.Seq, RequestID: r.RequestID, ServerID: r.ServerID, Action: r.Action, UserID: r.UserID, ProjectID: r.ProjectID,
		StartedAt: r.StartedAt.Time, UpdatedAt: r.UpdatedAt.Time, Message: r.Message, About: r.About.V}
}

type eventRow struct {
	Seq        int64   `db:"seq"`
	ActionSeq  int64   `db:"action_seq"`
	Name       string  `db:"name"`
	Host       string  `db:"host"`
	StartedAt  db.Time `db:"started_at"`
	FinishedAt db.Time `db:"finished_at"`
	Result     *string `db:"result"`
	Traceback  *string `db:"traceback"`
	Details    *string `db:"details"`
}

// InsertAction notes that something has been asked of a server.
func (s *Store) InsertAction(ctx context.Context, tx *db.Tx, a compute.Action) error {
	_, err := tx.Exec(ctx, `INSERT INTO actions (request_id, server_id, action, user_id, project_id, started_at, updated_at, about) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		a.RequestID, a.ServerID, a.Action, a.UserID, a.ProjectID, db.At(a.StartedAt), db.At(a.StartedAt), db.AsJSON(a.About))
	if err == nil && s.Watcher != nil {
		err = s.Watcher.Acted(ctx, tx, a)
	}
	return err
}

// AddEvent notes a step of the action that a request began; an action that is
// not known is passed over. A failed step makes the action's message "Error".
func (s *Store) AddEvent(ctx context.Context, tx *db.Tx, requestID, serverID string, e compute.ActionEvent, now time.Time) error {
	row, err := db.Get[actionRow](ctx, tx, `SELECT * FROM actions WHERE server_id = ? AND request_id = ? ORDER BY seq DESC LIMIT 1`, serverID, requestID)
	if errors.Is(err, db.ErrNoRow) {
		return nil
	}
	if err != nil {
		return err
	}
	seq := row.Seq
	_, err = tx.Exec(ctx, `INSERT INTO action_events (action_seq, name, host, started_at, finished_at, result, traceback, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		seq, e.Name, e.Host, db.At(e.StartedAt), db.At(e.FinishedAt), e.Result, e.Traceback, e.Details)
	if err != nil {
		return err
	}
	if e.Result != nil && *e.Result == "Error" {
		_, err = tx.Exec(ctx, `UPDATE actions SET updated_at = ?, message = 'Error' WHERE seq = ?`, db.At(now), seq)
	} else {
		_, err = tx.Exec(ctx, `UPDATE actions SET updated_at = ? WHERE seq = ?`, db.At(now), seq)
	}
	if err == nil && s.Watcher != nil {
		err = s.Watcher.Stepped(ctx, tx, row.action(), e)
	}
	return err
}

// Actions returns what was done with a server, newest first, without events.
func (s *Store) Actions(ctx context.Context, q db.Querier, serverID string) ([]compute.Action, error) {
	var all []compute.Action
	for row, err := range db.Each[actionRow](ctx, q, `SELECT * FROM actions WHERE server_id = ? ORDER BY seq DESC`, serverID) {
		if err != nil {
			return nil, err
		}
		all = append(all, row.action())
	}
	return all, nil
}

// Action returns one action with its events, newest first.
func (s *Store) Action(ctx context.Context, q db.Querier, serverID, requestID string) (compute.Action, error) {
	row, err := db.Get[actionRow](ctx, q, `SELECT * FROM actions WHERE server_id = ? AND request_id = ? ORDER BY seq DESC`, serverID, requestID)
	if errors.Is(err, db.ErrNoRow) {
		return compute.Action{}, fault.NotFoundf("Action for request_id %s on instance %s not found", requestID, serverID)
	}
	if err != nil {
		return compute.Action{}, err
	}
	a := row.action()
	for e, err := range db.Each[eventRow](ctx, q, `SELECT * FROM action_events WHERE action_seq = ? ORDER BY seq DESC`, a.Seq) {
		if err != nil {
			return compute.Action{}, err
		}
		a.Events = append(a.Events, compute.ActionEvent{Name: e.Name, Host: e.Host, StartedAt: e.StartedAt.Time, FinishedAt: e.FinishedAt.Time,
			Result: e.Result, Traceback: e.Traceback, Details: e.Details})
	}
	return a, nil
}
