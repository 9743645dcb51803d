// Package control is the object service's use cases: who may do what with an
// account, a container or an object, what follows from it, and the work in the
// background that removes what is nobody's and repairs what is missing.
package control

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/object"
	"kilonova/service/object/pool"
	"kilonova/service/object/store"
)

// Config is what a Control is made of.
type Config struct {
	Store   *store.Store
	Pool    *pool.Pool
	Options Options
	Log     *slog.Logger
	Now     func() time.Time
	// Place names where this process runs, if no other can at the same time: what one
	// that ran there before was writing is nobody's. May be empty.
	Place string
}

// Control is the object service without HTTP.
type Control struct {
	store   *store.Store
	pool    *pool.Pool
	o       Options
	log     *slog.Logger
	now     func() time.Time
	node    string
	process string        // unique among all that share the database
	dropped chan struct{} // there are payloads to remove
}

// New checks the options and returns a Control that is ready, but does no work in
// the background before Run.
func New(cfg Config) (*Control, error) {
	if err := cfg.Options.check(); err != nil {
		return nil, err
	}
	return &Control{store: cfg.Store, pool: cfg.Pool, o: cfg.Options, log: cfg.Log, now: cfg.Now, node: cfg.Place,
		process: cfg.Place + "/" + newID(), dropped: make(chan struct{}, 1)}, nil
}

// Options are those in force.
func (c *Control) Options() Options { return c.o }

// Now is the service's clock.
func (c *Control) Now() time.Time { return c.now() }

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// notThere is what Swift says of anything that is not there.
func notThere() error { return fault.NotFoundf("The resource could not be found.") }

// container finds a container and checks what its caller may do with it: write says
// which of its access lists counts.
func (c *Control) container(ctx context.Context, p object.Path, method string, write bool) (box *object.Container, owner bool, err error) {
	box, err = c.store.Container(ctx, c.store.DB, p.Account, p.Container)
	a := ask{Path: p, Method: method}
	if err == nil {
		if a.ACL = box.Headers[object.ReadACL]; write {
			a.ACL = box.Headers[object.WriteACL]
		}
		a.Write = write
	}
	if denied := fault.Is(err, fault.NotFound); err != nil && !denied {
		return nil, false, err
	}
	owner, refused := c.may(ctx, a)
	if refused != nil { // who may not see it does not learn whether it is there
		return nil, false, refused
	}
	return box, owner, err
}

// tx runs fn in a transaction and has what it made nobody's removed.
func (c *Control) tx(ctx context.Context, fn func(tx *db.Tx) error) error {
	err := c.store.Tx(ctx, fn)
	if err == nil {
		select {
		case c.dropped <- struct{}{}:
		default:
		}
	}
	return err
}
