package api

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/rest"
	"kilonova/service/placement"
)

// linesType is the media type of candidates in lines. It is ours, for schedulers that
// ask for it; whoever does not gets JSON. Names are said once and numbered:
//
//	C CLASS CLASS ...                               resource classes, from 0
//	P UUID ROOT CLASS=CAPACITY/USED ...             a provider, from 0, and its root's number
//	R PROVIDER:CLASS=AMOUNT,CLASS=AMOUNT ...        a request for allocations
//	M SUFFIX PROVIDER ...                           who gives a group of the request before
//	D KEEP DROP NEW                                 an edit, in trees; before all providers
//	E                                               the end: without it the answer was cut off
//
// Mappings are of groups with a suffix. Traits are not said. A question with a group
// that takes nothing is answered in JSON.
//
// Who asks the same again may say so as RFC 3229 has it: with linesDelta in A-IM, and
// the entity tag of the answer that it has in If-None-Match. If that is remembered the
// answer has status 226 and edits, and what is new; otherwise it is whole.
const linesType = "application/vnd.kilonova.candidates"

// linesDelta is the instance manipulation by which answers in lines say what has
// changed.
const linesDelta = "kilonova-candidates"

// acceptsLines reports whether a client names the type; "*/*" does not.
func acceptsLines(accept string) bool { return strings.Contains(accept, linesType) }

// baseOf returns what a question is known by, "" if nothing of its answer is to be
// remembered, and the picture of the answer that the asker has.
func baseOf(r *rest.Request) (text string, picture uint64) {
	if r.Header.Get("A-IM") != linesDelta {
		return "", 0
	}
	if tag := r.Header.Get("If-None-Match"); len(tag) > 2 {
		picture, _ = strconv.ParseUint(strings.Trim(tag, `"`), 16, 64) // of another's tag nothing is remembered
	}
	return r.Version.String() + "?" + r.URL.RawQuery, picture
}

func (a *api) candidateLines(r *rest.Request, q *placement.Query, found *placement.Candidates) *rest.Response {
	w := lineWriter{}
	for _, g := range q.Groups {
		w.mappings = w.mappings || g.Suffix != ""
	}
	resp := a.stream(r, found, linesType, w.write)
	if found.Picture != 0 {
		resp.With("ETag", tagOf(found.Picture))
	}
	if found.Edits != nil {
		resp.Status = http.StatusIMUsed
		resp.With("IM", linesDelta).With("Delta-Base", tagOf(q.Since))
	}
	return resp
}

func tagOf(picture uint64) string { return `"` + strconv.FormatUint(picture, 16) + `"` }

// lineWriter writes candidates in lines.
type lineWriter struct {
	*page
	mappings  bool
	classes   []string
	providers []*placement.ProviderState
	next      int              // the provider that is probably asked for
	numbers   map[string]int64 // of providers, by UUID; made when it was not
	lost      string           // a name that was not said; "": all were
}

func (w *lineWriter) write(out io.Writer, c *placement.Candidates) error {
	return gathered(out, func(p *page) error {
		w.page, w.providers = p, c.Summaries
		w.text("C")
		for _, s := range c.Summaries {
			for i := range s.Inventories {
				if class := s.Inventories[i].Class; w.indexOf(class, i) < 0 {
					w.classes = append(w.classes, class)
					w.text(" ")
					w.text(class)
				}
			}
		}
		w.text("\n")
		for _, e := range c.Edits {
			w.edit(e)
		}
		for i, s := range c.Summaries {
			w.provider(i, s)
			if err := w.flush(flushAt); err != nil {
				return err
			}
		}
		w.next = 0
		for i := range c.Requests {
			w.request(&c.Requests[i])
			if err := w.flush(flushAt); err != nil {
				return err
			}
		}
		if w.lost != "" { // then the answer has no end
			return fmt.Errorf("candidates take from %s, of which nothing is told", w.lost)
		}
		w.text("E\n")
		return nil
	})
}

func (w *lineWriter) edit(e placement.Edit) {
	w.text("D")
	for _, n := range [...]int{e.Keep, e.Drop, e.New} {
		w.text(" ")
		w.number(int64(n))
	}
	w.text("\n")
}

func (w *lineWriter) provider(i int, s *placement.ProviderState) {
	w.text("P ")
	w.text(s.UUID)
	w.text(" ")
	if s.RootUUID == s.UUID {
		w.number(int64(i))
	} else {
		w.numberOf(s.RootUUID)
	}
	for k := range s.Inventories {
		inv := &s.Inventories[k]
		w.text(" ")
		w.classOf(inv.Class, k)
		w.text("=")
		w.number(max(0, inv.Capacity()))
		w.text("/")
		w.number(inv.Used)
	}
	w.text("\n")
}

func (w *lineWriter) request(c *placement.Candidate) {
	w.text("R")
	for _, a := range c.Allocations {
		w.text(" ")
		w.numberOf(a.Provider.UUID)
		for i, amount := range a.Amounts {
			if i == 0 {
				w.text(":")
			} else {
				w.text(",")
			}
			w.classOf(amount.Class, i)
			w.text("=")
			w.number(amount.Amount)
		}
	}
	w.text("\n")
	if !w.mappings {
		return
	}
	for _, m := range c.Mappings {
		if m.Suffix == "" {
			continue
		}
		w.text("M ")
		w.text(m.Suffix)
		for _, p := range m.Providers {
			w.text(" ")
			w.numberOf(p.UUID)
		}
		w.text("\n")
	}
}

// indexOf returns a class's number, -1 of one that was not said. Those of most
// providers are in the same order, so that it is the i-th.
func (w *lineWriter) indexOf(class string, i int) int {
	if i < len(w.classes) && w.classes[i] == class {
		return i
	}
	return slices.Index(w.classes, class)
}

// classOf writes a class's number.
func (w *lineWriter) classOf(class string, i int) {
	n := w.indexOf(class, i)
	if n < 0 {
		w.lost = class
	}
	w.number(int64(n))
}

// numberOf writes a provider's number. Requests are most often in the order of their
// providers, each of one.
func (w *lineWriter) numberOf(uuid string) {
	for i := w.next; i < min(w.next+2, len(w.providers)); i++ {
		if w.providers[i].UUID == uuid {
			w.next = i
			w.number(int64(i))
			return
		}
	}
	if w.numbers == nil {
		w.numbers = make(map[string]int64, len(w.providers))
		for i, p := range w.providers {
			w.numbers[p.UUID] = int64(i)
		}
	}
	n, told := w.numbers[uuid]
	if !told {
		w.lost = uuid
	}
	w.number(n)
}
