package control

import (
	"context"
	"time"
)

// countsEvery is how often the counts are held against the servers, which are all
// read for it.
const countsEvery = time.Hour

// recount has wrong counts mended: programs of before, which do not count, may run
// beside this one.
func (c *Control) recount(ctx context.Context) error {
	now := c.Now()
	last := c.counted.Load()
	if now.Sub(c.born) < countsEvery || last != 0 && now.Sub(time.Unix(0, last)) < countsEvery {
		return nil
	}
	wrong, err := c.Store.Recount(ctx)
	if err == nil {
		c.counted.Store(now.UnixNano())
	}
	if wrong > 0 {
		c.Log.Warn("what servers amount to was counted wrong, and is right again", "rows", wrong)
	}
	return err
}
