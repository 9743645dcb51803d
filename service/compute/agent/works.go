package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// works are what the agent does or has done lately, by the id under which
// control asks for it.
type works struct {
	now func() time.Time

	mu      sync.Mutex
	all     map[string]*work
	ending  bool
	running sync.WaitGroup
}

type work struct {
	done     chan struct{}
	progress compute.Progress // stands when done is closed
	ended    time.Time
}

// remember is how long a result is kept for a control that did not hear it.
const remember = 10 * time.Minute

// join starts the work named id unless it is known, and waits for its end until
// patience or ask's end. The work runs in life, the agent's own context; none begins
// once that has ended and is waited for.
func (w *works) join(ask, life context.Context, id string, patience time.Duration, do func(context.Context) (compute.Power, error)) compute.Progress {
	w.mu.Lock()
	job := w.all[id]
	if job == nil && w.ending {
		w.mu.Unlock()
		return compute.Progress{} // the next agent is asked again
	}
	if job == nil {
		w.forget()
		job = &work{done: make(chan struct{})}
		w.all[id] = job
		w.running.Go(func() {
			power, err := do(life)
			w.end(job, id, power, err, life.Err() != nil)
		})
	}
	w.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-job.done:
		if job.progress.Refusal != "" { // told; if asked again, try again
			w.mu.Lock()
			if w.all[id] == job {
				delete(w.all, id)
			}
			w.mu.Unlock()
		}
		return job.progress
	case <-timer.C:
	case <-ask.Done():
	}
	return compute.Progress{}
}

// end keeps the result, but not that of a work that failed because the agent is
// ending: whoever asks gets no answer, and asks the next agent.
func (w *works) end(job *work, id string, power compute.Power, err error, dying bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if dying && err != nil {
		delete(w.all, id) // no answer: the next agent is asked again
		return
	}
	job.progress = compute.Progress{Done: true, Power: power}
	if err != nil {
		job.progress.Kind, job.progress.Refusal = fault.KindOf(err), err.Error()
		if f, ok := errors.AsType[*fault.Error](err); ok {
			job.progress.Refusal = f.Message
		}
	}
	job.ended = w.now()
	close(job.done)
}

// forget drops results that nobody will ask for any more.
func (w *works) forget() {
	now := w.now()
	for id, job := range w.all {
		if !job.ended.IsZero() && now.Sub(job.ended) > remember {
			delete(w.all, id)
		}
	}
}

// wait returns when all works have ended; none begins any more.
func (w *works) wait() {
	w.mu.Lock()
	w.ending = true
	w.mu.Unlock()
	w.running.Wait()
}

// locks has the works on one guest wait for one another.
type locks struct {
	mu  sync.Mutex
	all map[string]*lock
}

type lock struct {
	sync.Mutex
	users int
}

// on locks a guest and returns what unlocks it.
func (l *locks) on(id string) func() {
	l.mu.Lock()
	k := l.all[id]
	if k == nil {
		k = &lock{}
		l.all[id] = k
	}
	k.users++
	l.mu.Unlock()
	k.Lock()
	return func() {
		k.Unlock()
		l.mu.Lock()
		if k.users--; k.users == 0 {
			delete(l.all, id)
		}
		l.mu.Unlock()
	}
}

// busy lists the guests that are being worked on.
func (l *locks) busy() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for id := range l.all {
		ids = append(ids, id)
	}
	return ids
}
