package control

import (
	"context"
	"errors"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/object"
	"kilonova/service/object/device"
	"kilonova/service/object/pool"
)

const (
	sweepEvery  = 5 * time.Second
	repairEvery = time.Hour
	auditHours  = 719 // in which every copy is read once: 30 days, about what upstream's auditor takes
	askAgain    = 10 * time.Minute
	strayAge    = 2 * uploadLimit
	batch       = 200
)

// Run does the work in the background until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	if c.node != "" {
		if err := c.store.Inherit(ctx, c.node, c.process, c.now()); err != nil {
			return err
		}
	}
	var work errgroup.Group
	work.Go(func() error { c.sweeps(ctx); return nil })
	work.Go(func() error { c.repairs(ctx); return nil })
	return work.Wait()
}

// sweeps removes what is nobody's: when something becomes so, and regularly.
func (c *Control) sweeps(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := errors.Join(c.expire(ctx), c.sweep(ctx)); err != nil && ctx.Err() == nil {
			c.log.Warn("object: what is nobody's cannot be removed now", "error", err)
			select { // not again for each object that is deleted meanwhile
			case <-tick.C:
			case <-ctx.Done():
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.dropped:
		}
	}
}

// sweep removes the payloads that are nobody's. Where a device cannot be asked, the
// others let go of them, and it is asked again later.
func (c *Control) sweep(ctx context.Context) error {
	var failed error
	for {
		due, err := c.store.DuePayloads(ctx, c.now(), batch)
		if err != nil || len(due) == 0 {
			return errors.Join(failed, err)
		}
		for _, id := range due {
			if err := c.pool.Delete(ctx, id); err != nil {
				if failed = err; ctx.Err() != nil {
					return err
				}
				if err := c.store.PostponePayload(ctx, id, c.now().Add(askAgain)); err != nil {
					return err
				}
				continue
			}
			if err := c.store.ForgetPayload(ctx, id); err != nil {
				return err
			}
		}
	}
}

// expire deletes objects whose time is over.
func (c *Control) expire(ctx context.Context) error {
	for {
		over, err := c.store.Ended(ctx, c.now(), batch)
		if err != nil || len(over) == 0 {
			return err
		}
		for _, p := range over {
			if err := c.expireOne(ctx, p); err != nil {
				return err
			}
		}
	}
}

func (c *Control) expireOne(ctx context.Context, p object.Path) error {
	err := c.tx(ctx, func(tx *db.Tx) error {
		box, err := c.store.LockContainer(ctx, tx, p.Account, p.Container)
		if err != nil {
			return err
		}
		o, err := c.store.LockObject(ctx, tx, box.ID, p.Object)
		if err != nil || !o.Expired(c.now()) {
			return err
		}
		return c.store.DeleteObject(ctx, tx, box.ID, o, c.now())
	})
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	return err
}

// repairs looks regularly whether all copies are where they shall be: when an hour
// begins, so that a process that is started anew again and again does so too.
func (c *Control) repairs(ctx context.Context) {
	for {
		now := c.now()
		select {
		case <-ctx.Done():
			return
		case <-time.After(now.Truncate(repairEvery).Add(repairEvery).Sub(now)):
		}
		if err := c.Repair(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("object: not all copies are where they shall be", "error", err)
		}
	}
}

// audited reports whether the copies of a payload are read in the pass that began
// then. Its key gives each the pass of one hour, whoever was running in the others;
// the hours are prime, so that passes which take several come to all keys as well.
func audited(key string, began time.Time) bool {
	n, err := strconv.ParseInt(key[:8], 16, 64)
	return err == nil && n%auditHours == began.Unix()/int64(repairEvery/time.Second)%auditHours
}

// Repair brings each payload to the devices that shall have it, and reads the copies
// of those that are audited in this hour. What was begun on a device and nobody knows
// of is removed when it is old; what is whole stays: it may be the database that is
// wrong.
func (c *Control) Repair(ctx context.Context) error {
	began := c.now()
	// Two objects that let go of one payload at once may each have seen the other's hand.
	lost, failed := c.store.Unreferred(ctx, batch)
	for _, id := range lost {
		failed = errors.Join(failed, c.store.DropUnreferred(ctx, id, c.now()))
	}
	for after := ""; ; {
		list, err := c.store.Payloads(ctx, after, batch)
		if err != nil || len(list) == 0 {
			return errors.Join(failed, err, c.removeStrays(ctx))
		}
		for _, p := range list {
			done, err := c.pool.Repair(ctx, p.ID, pool.Sum{Size: p.Size, MD5: p.MD5}, audited(p.ID, began))
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if known, e := c.store.PayloadKept(ctx, p.ID); err != nil && e == nil && known {
				c.log.Error("object: a payload cannot be repaired", "payload", p.ID, "error", err)
				failed = err
			}
			if done != (pool.Repaired{}) {
				c.log.Info("object: repaired", "payload", p.ID, "made", done.Made, "broken", done.Broken, "removed", done.Removed)
			}
		}
		after = list[len(list)-1].ID
	}
}

// removeStrays removes what was begun on devices and no row speaks of.
func (c *Control) removeStrays(ctx context.Context) error {
	return c.pool.Each(ctx, func(e device.Entry) error {
		if e.Whole || c.now().Sub(e.Modified) < strayAge {
			return nil
		}
		known, err := c.store.PayloadKnown(ctx, e.Key)
		if err != nil || known {
			return err
		}
		c.log.Warn("object: removing data that nobody knows of", "payload", e.Key)
		return c.pool.Delete(ctx, e.Key)
	})
}
