package store

import (
	"context"
	"errors"
	"slices"
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

// newActionRow is actionRow without the number, which the database gives.
type newActionRow struct {
	actionRow
	Seq int64 `db:"-"`
}

// newEventRow is eventRow without the number, which the database gives.
type newEventRow struct {
	eventRow
	Seq int64 `db:"-"`
}

// history is what a transaction adds to the histories of servers: written when it
// ends, all at once, or where somebody watches at once. Nobody asks for it in the
// same transaction.
type history struct {
	actions []newActionRow
	events  []pendingEvent
}

// pendingEvent is an event whose action is still to be found.
type pendingEvent struct {
	request, server string
	row             newEventRow
	now             time.Time
}

// InsertAction notes that something has been asked of a server.
func (s *Store) InsertAction(ctx context.Context, tx *db.Tx, a compute.Action) error {
	row := newActionRow{actionRow: actionRow{RequestID: a.RequestID, ServerID: a.ServerID, Action: a.Action, UserID: a.UserID, ProjectID: a.ProjectID,
		StartedAt: db.At(a.StartedAt), UpdatedAt: db.At(a.StartedAt), Message: a.Message, About: db.AsJSON(a.About)}}
	if s.Watcher == nil {
		h := s.history(ctx, tx)
		h.actions = append(h.actions, row)
		return nil
	}
	if err := db.Insert(ctx, tx, "actions", row); err != nil {
		return err
	}
	return s.Watcher.Acted(ctx, tx, a)
}

// AddEvent notes a step of the action that a request began; an action that is
// not known is passed over. A failed step makes the action's message "Error".
func (s *Store) AddEvent(ctx context.Context, tx *db.Tx, requestID, serverID string, e compute.ActionEvent, now time.Time) error {
	event := pendingEvent{requestID, serverID, newEventRow{eventRow: eventRow{Name: e.Name, Host: e.Host, StartedAt: db.At(e.StartedAt), FinishedAt: db.At(e.FinishedAt),
		Result: e.Result, Traceback: e.Traceback, Details: e.Details}}, now}
	if s.Watcher == nil {
		h := s.history(ctx, tx)
		h.events = append(h.events, event)
		return nil
	}
	row, err := db.Get[actionRow](ctx, tx, `SELECT * FROM actions WHERE server_id = ? AND request_id = ? ORDER BY seq DESC LIMIT 1`, serverID, requestID)
	if errors.Is(err, db.ErrNoRow) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := (&history{events: []pendingEvent{event}}).write(ctx, tx); err != nil {
		return err
	}
	return s.Watcher.Stepped(ctx, tx, row.action(), e)
}

// history returns that of tx.
func (s *Store) history(ctx context.Context, tx *db.Tx) *history {
	return db.Keep(tx, func(h *history) error { return h.write(ctx, tx) })
}

func (h *history) write(ctx context.Context, tx *db.Tx) error {
	if err := db.Insert(ctx, tx, "actions", h.actions...); err != nil || len(h.events) == 0 {
		return err
	}
	seqs, err := h.find(ctx, tx)
	if err != nil {
		return err
	}
	var rows []newEventRow
	var well, failed []int64 // actions
	var now time.Time
	for _, e := range h.events {
		seq, known := seqs[[2]string{e.request, e.server}]
		if !known {
			continue
		}
		e.row.ActionSeq = seq
		rows = append(rows, e.row)
		if e.row.Result != nil && *e.row.Result == "Error" {
			failed = append(failed, seq)
		} else {
			well = append(well, seq)
		}
		if e.now.After(now) {
			now = e.now
		}
	}
	if err := db.Insert(ctx, tx, "action_events", rows...); err != nil {
		return err
	}
	for _, set := range []struct {
		what string
		seqs []int64
	}{{`updated_at = ?`, well}, {`updated_at = ?, message = 'Error'`, failed}} {
		if len(set.seqs) == 0 {
			continue
		}
		slices.Sort(set.seqs)
		in, args := db.In(slices.Compact(set.seqs))
		if _, err := tx.Exec(ctx, `UPDATE actions SET `+set.what+` WHERE seq IN `+in, append([]any{db.At(now)}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// find returns the actions of the events by request and server: the newest, where
// one request has begun several.
func (h *history) find(ctx context.Context, tx *db.Tx) (map[[2]string]int64, error) {
	type found struct {
		ServerID string `db:"server_id"`
		Seq      int64  `db:"seq"`
	}
	servers := map[string][]string{} // by request
	for _, e := range h.events {
		if of := servers[e.request]; !slices.Contains(of, e.server) {
			servers[e.request] = append(of, e.server)
		}
	}
	seqs := make(map[[2]string]int64, len(h.events))
	for request, of := range servers {
		in, args := db.In(of)
		for row, err := range db.Each[found](ctx, tx, `SELECT server_id, MAX(seq) AS seq FROM actions WHERE server_id IN `+in+` AND request_id = ? GROUP BY server_id`, append(args, request)...) {
			if err != nil {
				return nil, err
			}
			seqs[[2]string{request, row.ServerID}] = row.Seq
		}
	}
	return seqs, nil
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
