package control

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
	"kilonova/service/compute/notify"
)

// These tell of what is no server: flavors, keypairs, aggregates, groups and
// services. Their beginning and their end are one transaction here, and told
// together.

func (c *Control) tellFlavor(ctx context.Context, tx *db.Tx, action string, f compute.Flavor) error {
	if c.notifier == nil {
		return nil
	}
	projects, err := c.Store.FlavorProjects(ctx, tx, f.ID)
	if err != nil {
		return err
	}
	f.Projects = projects
	return c.tell(ctx, tx, func(cause notify.Cause) []notify.Message { return []notify.Message{notify.Flavor(cause, action, f)} })
}

func (c *Control) tellKeypair(ctx context.Context, tx *db.Tx, action string, before, after compute.Keypair) error {
	return c.tell(ctx, tx, func(cause notify.Cause) []notify.Message {
		return []notify.Message{notify.Keypair(cause, action, "start", before), notify.Keypair(cause, action, "end", after)}
	})
}

// aggregateActions are notifications' names of what policy calls otherwise.
var aggregateActions = map[string]string{"update": "update_prop", "set_metadata": "update_metadata"}

func (c *Control) tellAggregate(ctx context.Context, tx *db.Tx, rule string, before, after compute.Aggregate) error {
	action := rule
	if name, ok := aggregateActions[rule]; ok {
		action = name
	}
	return c.tell(ctx, tx, func(cause notify.Cause) []notify.Message {
		return []notify.Message{notify.Aggregate(cause, action, "start", before), notify.Aggregate(cause, action, "end", after)}
	})
}

func (c *Control) tellGroup(ctx context.Context, tx *db.Tx, action string, g compute.ServerGroup) error {
	return c.tell(ctx, tx, func(cause notify.Cause) []notify.Message {
		return []notify.Message{notify.ServerGroup(cause, action, g)}
	})
}

func (c *Control) tellService(ctx context.Context, tx *db.Tx, action string, h *compute.Host) error {
	return c.tell(ctx, tx, func(cause notify.Cause) []notify.Message { return []notify.Message{notify.Service(cause, action, h)} })
}

// tellDecision tells that hosts were looked for, and with found that there are some.
func (c *Control) tellDecision(ctx context.Context, tx *db.Tx, found bool, servers ...*compute.Server) error {
	return c.tell(ctx, tx, func(cause notify.Cause) (all []notify.Message) {
		for _, s := range servers {
			all = append(all, notify.Decided(cause, s, found)...)
		}
		return all
	})
}

// tellExisting tells of the servers that were on a host in a period.
func (c *Control) tellExisting(ctx context.Context, tx *db.Tx, host string, begin, end time.Time) error {
	if c.notifier == nil {
		return nil
	}
	const page = 1000
	for after := int64(0); ; {
		servers, err := c.Store.UsedOnHost(ctx, tx, host, begin, end, after, page)
		if err != nil {
			return err
		}
		var all []notify.Message
		for _, s := range servers {
			all = append(all, notify.Exists(c.notifier.cause(ctx), c.notifier.formats, s, begin, end)...)
		}
		if err := c.notifier.write(ctx, tx, all); err != nil || len(servers) < page {
			return err
		}
		after = servers[len(servers)-1].Seq
	}
}

// tellMeasured tells what a host's monitors have measured.
func (c *Control) tellMeasured(ctx context.Context, tx *db.Tx, h *compute.Host) error {
	if len(h.Resources.Metrics) == 0 {
		return nil
	}
	return c.tell(ctx, tx, func(cause notify.Cause) []notify.Message { return []notify.Message{notify.Measured(cause, h)} })
}
