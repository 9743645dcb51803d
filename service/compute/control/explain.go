package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
)

// Bounds of what is remembered of decisions.
const (
	recordAge    = 30 * 24 * time.Hour
	maxRecords   = 50_000    // over all servers
	maxRecord    = 8 << 10   // bytes of one explanation
	maxRefusal   = 1 << 10   // bytes of one sentence
	maxDecisions = 20        // told of one server
	recordsEvery = time.Hour // how often old ones are removed
)

// Placements are the decisions about where a server goes, the newest first. Who
// may see the details of its history may see them.
func (c *Control) Placements(ctx context.Context, id string) ([]compute.PlacementRecord, error) {
	if err := c.history(ctx, "os_compute_api:os-instance-actions:events:details", id); err != nil {
		return nil, err
	}
	return c.Store.Placements(ctx, c.Store.DB, id, maxDecisions)
}

// forgetPlacements removes records that are too old or too many.
func (c *Control) forgetPlacements(ctx context.Context) error {
	now := c.Now()
	if last := c.recordsRead.Load(); last != 0 && now.Sub(time.Unix(0, last)) < recordsEvery {
		return nil
	}
	err := c.Store.Tx(ctx, func(tx *db.Tx) error { return c.Store.ForgetPlacements(ctx, tx, now.Add(-recordAge), maxRecords) })
	if err == nil {
		c.recordsRead.Store(now.UnixNano())
	}
	return err
}

// recordOf is what is kept of a decision.
func (c *Control) recordOf(p *placing) compute.PlacementRecord {
	d := p.decision
	r := compute.PlacementRecord{ServerID: p.s.ID, RequestID: p.run.RequestID, Host: p.s.Host, Driver: c.scheduler.Driver(), DecidedAt: d.began,
		Took: d.took, Together: d.together, Record: bounded(d.explanation)}
	if p.err != nil {
		r.Host, r.Refusal = "", clip(publicMessage(p.err), maxRefusal)
	}
	return r
}

// forcedDriver stands in a record for the scheduler, where an administrator has
// named a host that it was not asked about.
const forcedDriver = "forced"

// keepDecision keeps what was decided about a server that goes elsewhere, or comes
// back: host "" is nowhere, because of why. A move does not wait for its record.
func (c *Control) keepDecision(ctx context.Context, run *task.Run, serverID, host string, began time.Time, e *schedule.Explanation, why error) {
	r := compute.PlacementRecord{ServerID: serverID, RequestID: run.RequestID, Host: host, Driver: c.scheduler.Driver(), DecidedAt: began, Took: c.Now().Sub(began), Together: 1}
	if e == nil {
		e, r.Driver = &schedule.Explanation{}, forcedDriver
	}
	if r.Record = bounded(*e); why != nil {
		if errors.Is(why, errAbandoned) || ctx.Err() != nil {
			return
		}
		r.Host, r.Refusal = "", clip(publicMessage(why), maxRefusal)
	}
	if err := c.Store.Tx(ctx, func(tx *db.Tx) error { return c.Store.InsertPlacements(ctx, tx, r) }); err != nil {
		c.Log.Warn("a decision is not kept", "server", serverID, "error", err)
	}
}

// summaryOf is what the history says of a decision; nil where there was none.
func summaryOf(e *schedule.Explanation) *string {
	if e == nil {
		return nil
	}
	return ptr(e.Summary())
}

// bounded writes an explanation in at most maxRecord bytes: where there is more,
// first the names of refused hosts are left out.
func bounded(e schedule.Explanation) json.RawMessage {
	for _, names := range []int{schedule.MaxRefused, 3, 0} {
		steps := slices.Clone(e.Filters)
		for i := range steps {
			if s := &steps[i]; len(s.Refused) > names {
				s.More += len(s.Refused) - names
				s.Refused = s.Refused[:names]
			}
			if names == 0 && len(steps[i].Reasons) > 3 {
				steps[i].Reasons = steps[i].Reasons[:3]
			}
		}
		short := e
		short.Filters = steps
		if data, err := json.Marshal(short); err == nil && len(data) <= maxRecord {
			return data
		}
	}
	data, err := json.Marshal(schedule.Explanation{Hosts: e.Hosts, Left: e.Left})
	if err != nil {
		return json.RawMessage("{}")
	}
	return data
}

func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// withoutRoom puts before the filters' steps what Placement refused, so that an
// explanation accounts for every host of the cloud.
func (d *decision) withoutRoom(f *Fleet) {
	e, candidates := &d.explanation, d.candidates
	refused := len(f.hosts) - candidates
	if e.Hosts = max(len(f.hosts), candidates); refused <= 0 {
		return
	}
	step := schedule.Step{Filter: "Placement", In: len(f.hosts), Out: candidates, More: refused}
	if d.apart != "" {
		step.Reasons = append(step.Reasons, schedule.Reason{Why: d.apart, Hosts: min(len(f.hosts)-1, refused)})
		refused -= step.Reasons[0].Hosts
	} else if f.disabled > 0 {
		step.Reasons = append(step.Reasons, schedule.Reason{Why: "disabled", Hosts: min(f.disabled, refused)})
		refused -= min(f.disabled, refused)
	}
	for _, r := range d.lacking {
		if r.Hosts = min(r.Hosts, refused); r.Hosts > 0 {
			step.Reasons = append(step.Reasons, r)
			refused -= r.Hosts
		}
	}
	if refused > 0 {
		why := asked(d.question)
		if d.question.Limit > 0 && candidates >= d.question.Limit {
			why = fmt.Sprintf("beyond the first %d with room", d.question.Limit)
		}
		step.Reasons = append(step.Reasons, schedule.Reason{Why: why, Hosts: refused})
	}
	e.Filters = slices.Insert(e.Filters, 0, step)
}

// asked says what a host lacks that is no candidate.
func asked(q question) string {
	all := grouped(q)
	for class, n := range q.Resources {
		all[class] += n
	}
	var parts []string
	for _, class := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, fmt.Sprintf("%d %s", all[class], class))
	}
	text := "without room for " + strings.Join(parts, ", ")
	if len(q.Required) > 0 || slices.ContainsFunc(q.Groups, func(g compute.RequestGroup) bool { return len(g.Required) > 0 }) {
		text += " or a required trait"
	}
	return text
}

// grouped adds up what the groups of a question ask for.
func grouped(q question) map[string]int {
	all := map[string]int{}
	for _, g := range q.Groups {
		for class, n := range g.Resources {
			all[class] += n
		}
	}
	return all
}
