package api

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"kilonova/internal/rest"
	"kilonova/service/placement"
)

func (a *api) listCandidates(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := candidatesQuery(r)
	if err != nil {
		return nil, err
	}
	lines := acceptsLines(r.Header.Get("Accept")) && r.Version.AtLeast("1.34") && allTake(q.Groups)
	if lines {
		q.Text, q.Since = baseOf(r)
	}
	found, err := a.control.Candidates(ctx, q)
	if err != nil {
		return nil, err
	}
	if lines {
		return a.candidateLines(r, q, found), nil
	}
	w := candidateWriter{
		asList:   !r.Version.AtLeast("1.12"),
		mappings: r.Version.AtLeast("1.34"),
		traits:   r.Version.AtLeast("1.17"),
		nested:   r.Version.AtLeast("1.29"),
	}
	if !r.Version.AtLeast("1.27") {
		w.only = map[string]bool{}
		for _, g := range q.Groups {
			for _, amount := range g.Resources {
				w.only[amount.Class] = true
			}
		}
	}
	return a.stream(r, found, "application/json", w.write), nil
}

// allTake reports whether each group takes something. One that does not may be given by
// a tree that is not among the summaries, whose providers lines have no numbers for.
func allTake(groups []placement.Group) bool {
	return !slices.ContainsFunc(groups, func(g placement.Group) bool { return len(g.Resources) == 0 })
}

// stream answers with candidates as write writes them.
func (a *api) stream(r *rest.Request, found *placement.Candidates, kind string, write func(io.Writer, *placement.Candidates) error) *rest.Response {
	resp := &rest.Response{Status: http.StatusOK, Stream: func(_ context.Context, out io.Writer) error {
		if found.Done != nil {
			defer found.Done()
		}
		return write(out, found)
	}}
	return a.fresh(r, resp.With("Content-Type", kind), time.Time{})
}

// candidateWriter writes candidates as JSON, by hand: answers have thousands of
// providers with dozens of traits, and this is what a scheduler waits for.
// Names of traits and classes and UUIDs need no quoting.
type candidateWriter struct {
	asList   bool            // allocations are a list: before 1.12
	mappings bool            // since 1.34
	traits   bool            // since 1.17
	nested   bool            // parents and roots, since 1.29
	only     map[string]bool // the classes shown in summaries, before 1.27; nil: all
	*page
}

func (w *candidateWriter) write(out io.Writer, c *placement.Candidates) error {
	return gathered(out, func(p *page) error {
		w.page = p
		w.text(`{"allocation_requests": [`)
		for i := range c.Requests {
			w.comma(i)
			w.request(&c.Requests[i])
			if err := w.flush(flushAt); err != nil {
				return err
			}
		}
		w.text(`], "provider_summaries": {`)
		for i, p := range c.Summaries {
			w.comma(i)
			w.summary(p)
			if err := w.flush(flushAt); err != nil {
				return err
			}
		}
		w.text(`}}`)
		return nil
	})
}

func (w *candidateWriter) quoted(s string) {
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '"')
}

func (w *candidateWriter) comma(i int) {
	if i > 0 {
		w.text(`, `)
	}
}

func (w *candidateWriter) request(c *placement.Candidate) {
	if w.asList {
		w.text(`{"allocations": [`)
		for i := range c.Allocations {
			w.comma(i)
			w.text(`{"resource_provider": {"uuid": `)
			w.quoted(c.Allocations[i].Provider.UUID)
			w.text(`}, "resources": `)
			w.amounts(c.Allocations[i].Amounts)
			w.text(`}`)
		}
		w.text(`]}`)
		return
	}
	w.text(`{"allocations": {`)
	for i := range c.Allocations {
		w.comma(i)
		w.quoted(c.Allocations[i].Provider.UUID)
		w.text(`: {"resources": `)
		w.amounts(c.Allocations[i].Amounts)
		w.text(`}`)
	}
	w.text(`}`)
	if w.mappings {
		w.text(`, "mappings": {`)
		for i, m := range c.Mappings {
			w.comma(i)
			w.quoted(m.Suffix)
			w.text(`: [`)
			for j, p := range m.Providers {
				w.comma(j)
				w.quoted(p.UUID)
			}
			w.text(`]`)
		}
		w.text(`}`)
	}
	w.text(`}`)
}

func (w *candidateWriter) amounts(list []placement.Amount) {
	w.text(`{`)
	for i, a := range list {
		w.comma(i)
		w.quoted(a.Class)
		w.text(`: `)
		w.number(a.Amount)
	}
	w.text(`}`)
}

func (w *candidateWriter) summary(p *placement.ProviderState) {
	w.quoted(p.UUID)
	w.text(`: {"resources": {`)
	first := true
	for i := range p.Inventories {
		inv := &p.Inventories[i]
		if w.only != nil && !w.only[inv.Class] {
			continue
		}
		if !first {
			w.text(`, `)
		}
		first = false
		w.quoted(inv.Class)
		w.text(`: {"capacity": `)
		w.number(inv.Capacity())
		w.text(`, "used": `)
		w.number(inv.Used)
		w.text(`}`)
	}
	w.text(`}`)
	if w.traits {
		w.text(`, "traits": [`)
		written := 0
		for _, custom := range []bool{false, true} { // standard ones first, as upstream
			for _, t := range p.Traits {
				if strings.HasPrefix(t, "CUSTOM_") == custom {
					w.comma(written)
					w.quoted(t)
					written++
				}
			}
		}
		w.text(`]`)
	}
	if w.nested {
		w.text(`, "parent_provider_uuid": `)
		if p.ParentUUID == "" {
			w.text(`null`)
		} else {
			w.quoted(p.ParentUUID)
		}
		w.text(`, "root_provider_uuid": `)
		w.quoted(p.RootUUID)
	}
	w.text(`}`)
}
