package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/db"
)

// Handler does the work of one kind. nil ends the task. An error has it tried
// again later, from the step saved last; a handler that does not want that says
// so by ending the task itself and returning nil.
type Handler func(ctx context.Context, run *Run) error

// Runner takes tasks and runs them. Fill the fields, then call Run; Add may be
// called before and without it, also by processes that run nothing.
type Runner struct {
	DB       *db.DB
	Handlers map[string]Handler
	// Place names where this process runs, if no other process can at the same
	// time, e.g. a locked folder; at most 24 characters. Leases that an earlier
	// process has left there are void: Run goes on with its tasks at once. With ""
	// the leases of a process that died have to run out.
	Place   string
	Now     func() time.Time
	Log     *slog.Logger
	Workers int           // tasks at a time; 0: 16
	Lease   time.Duration // 0: 30 s; renewed while a handler runs
	Poll    time.Duration // how often to look without being told; 0: 1 s

	once  sync.Once
	wake  chan struct{}
	owner string // of this runner's leases, unique among all that share the database
}

func (r *Runner) setUp() {
	r.once.Do(func() {
		r.wake = make(chan struct{}, 1)
		r.owner = r.Place + "/" + uuid.NewString()
		if r.Workers == 0 {
			r.Workers = 16
		}
		if r.Lease == 0 {
			r.Lease = 30 * time.Second
		}
		if r.Poll == 0 {
			r.Poll = time.Second
		}
	})
}

// Wake has the runner look for tasks now.
func (r *Runner) Wake() {
	r.setUp()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run takes tasks until ctx ends, then waits for the handlers, whose context
// ends with it: what they leave is taken up again by whoever comes next.
func (r *Runner) Run(ctx context.Context) error {
	r.setUp()
	if err := r.inherit(ctx); err != nil && ctx.Err() == nil {
		r.Log.Error("task: what an earlier process has left waits until its leases end", "error", err)
	}
	slots := make(chan struct{}, r.Workers)
	var running sync.WaitGroup
	defer running.Wait()
	poll := time.NewTicker(r.Poll)
	defer poll.Stop()
	for {
		for ctx.Err() == nil {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			n := 1 + more(slots)
			taken, err := r.take(ctx, n)
			if err != nil && ctx.Err() == nil {
				r.Log.Error("task: cannot take any", "error", err)
			}
			for range n - len(taken) {
				<-slots
			}
			for _, run := range taken {
				running.Go(func() {
					r.do(ctx, run)
					<-slots
					r.Wake() // the next one on this subject may go now
				})
			}
			if len(taken) < n { // there were no more
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-poll.C:
		}
	}
}

// inherit lets go what an earlier process at this place had when it died.
func (r *Runner) inherit(ctx context.Context) error {
	if r.Place == "" {
		return nil
	}
	n, err := r.DB.Exec(ctx, `UPDATE tasks SET lease_owner = NULL, lease_until = NULL WHERE lease_owner > ? AND lease_owner < ? AND lease_owner <> ?`,
		r.Place+"/", r.Place+"0", r.owner) // 0 comes after /
	if n > 0 {
		r.Log.Info("task: going on with what an earlier process has left", "tasks", n)
	}
	return err
}

// atOnce bounds how many tasks are taken in one transaction.
const atOnce = 32

// more takes further slots, as many as are free and can be of use.
func more(slots chan struct{}) (n int) {
	for n < atOnce-1 {
		select {
		case slots <- struct{}{}:
			n++
		default:
			return n
		}
	}
	return n
}

// take leases the oldest tasks that may run, at most n: each is due, nobody has
// it, and nobody has another one of its subject, nor is there an older one.
func (r *Runner) take(ctx context.Context, n int) ([]*Run, error) {
	now := db.At(r.Now())
	kinds, args := db.In(slices.Sorted(maps.Keys(r.Handlers)))
	may := ` AND t.run_at <= ? AND t.kind IN ` + kinds + ` AND (t.subject = '' OR NOT EXISTS (SELECT 1 FROM tasks AS o
		WHERE o.subject = t.subject AND (o.seq < t.seq OR o.seq > t.seq AND o.lease_until >= ?)))`
	args = append(append([]any{now}, args...), now)
	due, err := r.due(ctx, may, args, now, n)
	if err != nil || len(due) == 0 {
		return nil, err
	}
	in, seqs := db.In(due)
	var taken []row
	err = r.DB.Together(ctx, func(tx *db.Tx) error {
		rows, err := db.Select[row](ctx, tx, `SELECT t.* FROM tasks AS t WHERE t.seq IN `+in+` AND (t.lease_until IS NULL OR t.lease_until < ?)`+may+` ORDER BY t.seq`,
			slices.Concat(seqs, []any{now}, args)...)
		if err != nil {
			return err
		}
		taken, err = r.lease(ctx, tx, rows, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	runs := make([]*Run, len(taken))
	for i, t := range taken {
		t.Attempts++
		runs[i] = &Run{row: t, runner: r, Subject: t.Subject, Step: t.Step, Attempt: t.Attempts, RequestID: t.RequestID, Created: t.CreatedAt.Time}
	}
	return runs, nil
}

// due finds tasks that may run: those that somebody has left, the longest ago
// first, then those that nobody has, in their order. The two are looked for apart,
// since no index has both.
func (r *Runner) due(ctx context.Context, may string, args []any, now db.Time, n int) ([]int64, error) {
	all, err := db.Select[int64](ctx, r.DB, `SELECT seq FROM (SELECT t.seq FROM tasks AS t WHERE t.lease_until < ?`+may+` ORDER BY t.lease_until, t.seq LIMIT ?) AS abandoned
		UNION ALL SELECT seq FROM (SELECT t.seq FROM tasks AS t WHERE t.lease_until IS NULL`+may+` ORDER BY t.seq LIMIT ?) AS free`,
		slices.Concat([]any{now}, args, []any{n}, args, []any{n})...)
	return all[:min(n, len(all))], err
}

// lease leases tasks that may run, and returns those that it got.
func (r *Runner) lease(ctx context.Context, tx *db.Tx, due []row, now db.Time) ([]row, error) {
	if len(due) == 0 {
		return nil, nil
	}
	if tx.ForUpdate() == "" { // nobody else can take any meanwhile
		seqs := make([]int64, len(due))
		for i := range due {
			seqs[i] = due[i].Seq
		}
		in, args := db.In(seqs)
		_, err := tx.Exec(ctx, `UPDATE tasks SET lease_owner = ?, lease_until = ?, attempts = attempts + 1 WHERE seq IN `+in,
			append([]any{r.owner, db.At(now.Add(r.Lease))}, args...)...)
		return due, err
	}
	var taken []row
	for _, t := range due {
		won, err := r.claim(ctx, tx, t, now)
		if err != nil {
			return nil, err
		}
		if won {
			taken = append(taken, t)
		}
	}
	return taken, nil
}

// claim leases a task, unless somebody else does. Those who want tasks of one
// subject wait for one another at its rows: with several writers, numbers become
// visible in another order than they were given, so that an older task may appear
// while a younger one is taken.
func (r *Runner) claim(ctx context.Context, tx *db.Tx, t row, now db.Time) (won bool, err error) {
	if t.Subject != "" {
		rivals, err := db.Select[row](ctx, tx, `SELECT seq, lease_until FROM tasks WHERE subject = ? ORDER BY seq`+tx.ForUpdate(), t.Subject)
		if err != nil {
			return false, err
		}
		for _, o := range rivals {
			if o.Seq < t.Seq || o.Seq > t.Seq && !o.LeaseUntil.Before(now.Time) {
				return false, nil
			}
		}
	}
	n, err := tx.Exec(ctx, `UPDATE tasks SET lease_owner = ?, lease_until = ?, attempts = attempts + 1
		WHERE seq = ? AND attempts = ? AND (lease_until IS NULL OR lease_until < ?)`,
		r.owner, db.At(now.Add(r.Lease)), t.Seq, t.Attempts, now)
	return n == 1, err
}

func (r *Runner) do(ctx context.Context, run *Run) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go r.renew(ctx, cancel, run)
	log := r.Log.With("task", run.row.Kind, "subject", run.Subject, "request_id", run.RequestID, "attempt", run.Attempt)
	started := r.Now()
	err := protect(ctx, r.Handlers[run.row.Kind], run)
	end := context.WithoutCancel(ctx)
	switch {
	case errors.Is(context.Cause(ctx), ErrLost):
		log.Warn("task: lease lost, another process goes on", "error", err)
	case ctx.Err() != nil: // this process is ending: let go at once
		if err := run.letGo(end); err != nil {
			log.Error("task: cannot let go", "error", err)
		}
	case err != nil:
		log.Error("task failed, will be tried again", "step", run.Step, "error", err)
		_, noteErr := r.DB.Exec(end, `UPDATE tasks SET lease_owner = NULL, lease_until = NULL, run_at = ?, last_error = ?`+held,
			append([]any{db.At(r.Now().Add(backoff(run.Attempt))), err.Error()}, run.lease()...)...)
		if noteErr != nil {
			log.Error("task: cannot note its failure", "error", noteErr)
		}
	default:
		if err := run.end(end); err != nil {
			log.Error("task: cannot end it", "error", err)
			return
		}
		log.Debug("task done", "took", r.Now().Sub(started))
	}
}

// protect turns a panic of a handler into an error: one bad task must not end
// the process and all its other work.
func protect(ctx context.Context, h Handler, run *Run) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return h(ctx, run)
}

// backoff grows from a quarter of a second to a minute, give or take a fifth.
func backoff(attempt int) time.Duration {
	d := min(250*time.Millisecond<<min(attempt-1, 10), time.Minute)
	return d - d/5 + rand.N(2*d/5+1)
}

// ErrLost is what Save and EndIn say when the task has become another's: its
// lease ran out. The handler must leave all as it is and return.
var ErrLost = errors.New("lease lost")

func (r *Runner) renew(ctx context.Context, cancel context.CancelCauseFunc, run *Run) {
	tick := time.NewTicker(r.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			n, err := r.DB.Exec(ctx, `UPDATE tasks SET lease_until = ?`+held, append([]any{db.At(r.Now().Add(r.Lease))}, run.lease()...)...)
			if err == nil && n == 0 {
				cancel(ErrLost)
				return
			}
		}
	}
}

// Run is a task under way.
type Run struct {
	Subject   string
	Step      string // where to go on; "" at the first attempt
	Attempt   int    // counts from 1
	RequestID string
	Created   time.Time

	row    row
	runner *Runner
	ended  bool
}

// held is the condition that a run has its task still, with the arguments that
// lease gives. The attempt is part of it: a process that stood still for longer
// than its lease may have taken the task a second time itself.
const held = ` WHERE seq = ? AND lease_owner = ? AND attempts = ?`

func (r *Run) lease() []any { return []any{r.row.Seq, r.runner.owner, r.row.Attempts} }

// ID names the task among all.
func (r *Run) ID() string { return r.row.ID }

// Payload decodes what Add or the last Save kept.
func (r *Run) Payload(into any) error { return json.Unmarshal([]byte(r.row.Payload), into) }

// Save notes that step is next, with a new payload (nil keeps the old one).
func (r *Run) Save(ctx context.Context, step string, payload any) error {
	return r.runner.DB.Tx(ctx, func(tx *db.Tx) error { return r.SaveIn(ctx, tx, step, payload) })
}

// SaveIn is Save within the transaction that does the step's work, so that both
// happen or neither.
func (r *Run) SaveIn(ctx context.Context, tx *db.Tx, step string, payload any) error {
	text := r.row.Payload
	if payload != nil {
		data, err := json.Marshal(payload)
		if err != nil {
			return err
		}
		text = string(data)
	}
	n, err := tx.Exec(ctx, `UPDATE tasks SET step = ?, payload = ?`+held, append([]any{step, text}, r.lease()...)...)
	if err == nil && n == 0 {
		err = ErrLost
	}
	if err == nil {
		tx.OnCommit(func() { r.Step, r.row.Payload = step, text })
	}
	return err
}

// Check returns ErrLost when the task has become another's. It is for what cannot be
// part of a transaction and would harm whoever has the task now.
func (r *Run) Check(ctx context.Context) error {
	n, err := db.Get[int](ctx, r.runner.DB, `SELECT COUNT(*) FROM tasks`+held, r.lease()...)
	if err == nil && n == 0 {
		err = ErrLost
	}
	return err
}

// EndIn ends the task within the transaction that does its last work. The
// handler then returns nil.
func (r *Run) EndIn(ctx context.Context, tx *db.Tx) error {
	n, err := tx.Exec(ctx, `DELETE FROM tasks`+held, r.lease()...)
	if err == nil && n == 0 {
		err = ErrLost
	}
	if err == nil {
		tx.OnCommit(func() { r.ended = true })
	}
	return err
}

func (r *Run) end(ctx context.Context) error {
	if r.ended {
		return nil
	}
	_, err := r.runner.DB.Exec(ctx, `DELETE FROM tasks`+held, r.lease()...)
	return err
}
