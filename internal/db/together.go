package db

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Together is Tx for small transactions that hardly ever fail and of which many
// come at the same time. Where there is one writer anyway, those that wait for it
// become one transaction: they would come one after the other, and so pay once for
// what a transaction costs beside its statements. When any of them
// fails, all are rolled back and each is run alone. So fn may be run several
// times, as with Tx, and sees what those before it in the same transaction have
// written.
func (d *DB) Together(ctx context.Context, fn func(tx *Tx) error) error {
	if d.Dialect.forUpdate != "" { // others can write beside it
		return d.Tx(ctx, fn)
	}
	return d.together.do(ctx, d, fn)
}

// mostTogether bounds how many become one transaction, and togetherLimit how long
// that may take.
const (
	mostTogether  = 64
	togetherLimit = 30 * time.Second
)

type together struct {
	mu      sync.Mutex
	waiting []*joint
	turn    sync.Mutex // held by whoever writes for all
}

// joint is a transaction that waits to become a part of one.
type joint struct {
	ctx  context.Context
	fn   func(tx *Tx) error
	done bool
	err  error
}

func (g *together) do(ctx context.Context, d *DB, fn func(tx *Tx) error) error {
	j := &joint{ctx: ctx, fn: fn}
	g.mu.Lock()
	g.waiting = append(g.waiting, j)
	g.mu.Unlock()
	g.turn.Lock()
	defer g.turn.Unlock()
	for !j.done { // somebody may have written for this one meanwhile
		g.write(d)
	}
	return j.err
}

// errBeside is what is left for those whose transaction came to no end.
var errBeside = errors.New("database: a transaction beside this one has panicked")

func (g *together) take() []*joint {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), mostTogether)
	all := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return all
}

// write does what waits: in one transaction, or when that fails each in its own.
func (g *together) write(d *DB) {
	all := g.take()
	defer func() { // nobody waits for ever for one that panics
		for _, j := range all {
			if !j.done {
				j.done, j.err = true, errBeside
			}
		}
	}()
	alone := len(all) == 1
	if !alone {
		// Nobody's giving up ends what belongs to others, too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(all[0].ctx), togetherLimit)
		defer cancel()
		alone = d.once(ctx, func(tx *Tx) error {
			for _, j := range all {
				if err := j.fn(tx); err != nil {
					return err
				}
			}
			return nil
		}) != nil
	}
	for _, j := range all {
		if alone {
			j.err = d.Tx(j.ctx, j.fn)
		}
		j.done = true
	}
}
