package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxReasons bounds the reasons that a line of text gives for one filter.
const maxReasons = 5

// Summary is the decision in one line. It names no host, so that it may be told
// to users.
func (e *Explanation) Summary() string {
	var b strings.Builder
	if e.Left == 0 {
		b.WriteString("No valid host was found. ")
	}
	if e.Hosts == 0 {
		b.WriteString("There was no candidate.")
		return b.String()
	}
	b.WriteString(count(e.Hosts, "host"))
	separator := ": "
	for i := range e.Filters {
		if s := &e.Filters[i]; s.Out < s.In {
			b.WriteString(separator)
			s.write(&b)
			separator = ", "
		}
	}
	if e.Left > 0 {
		fmt.Fprintf(&b, "; %d left", e.Left)
	}
	b.WriteByte('.')
	return b.String()
}

// String is the whole record as text for operators, with names of hosts.
func (e *Explanation) String() string {
	var b strings.Builder
	b.WriteString(e.Summary())
	for i := range e.Filters {
		s := &e.Filters[i]
		fmt.Fprintf(&b, "\n%s: %d of %d left", s.Filter, s.Out, s.In)
		for _, r := range s.Refused {
			fmt.Fprintf(&b, "\n  %s: %s", Place{r.Host, r.Node}, r.Why)
		}
		switch {
		case s.More > 0 && len(s.Refused) > 0:
			fmt.Fprintf(&b, "\n  and %d more", s.More)
		case s.More > 0: // they are not named
			for _, r := range s.Reasons {
				fmt.Fprintf(&b, "\n  %s: %s", count(r.Hosts, "host"), r.Why)
			}
		}
	}
	for _, w := range e.Weighed {
		fmt.Fprintf(&b, "\n%s weighs %.4g", Place{w.Host, w.Node}, w.Weight)
	}
	return b.String()
}

func (s *Step) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s refused %d", s.Filter, s.In-s.Out)
	separator, others := " (", 0
	for i, r := range s.Reasons {
		if i >= maxReasons {
			others += r.Hosts
			continue
		}
		fmt.Fprintf(b, "%s%d %s", separator, r.Hosts, r.Why)
		separator = ", "
	}
	if others > 0 {
		fmt.Fprintf(b, ", %d for other reasons", others)
	}
	if len(s.Reasons) > 0 {
		b.WriteByte(')')
	}
}

// String is the host's name, with the node's where it has another one.
func (p Place) String() string {
	if p.Node == "" || p.Node == p.Host {
		return p.Host
	}
	return p.Host + " (node " + p.Node + ")"
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// record collects what one filter refuses.
type record struct {
	reasons []Reason
	first   []*Host // the MaxRefused first by name, sorted
	why     []string
	total   int
}

func (rec *record) refuse(h *Host, why string) {
	rec.total++
	i := 0
	for ; i < len(rec.reasons); i++ {
		if rec.reasons[i].Why == why {
			break
		}
	}
	if i == len(rec.reasons) {
		rec.reasons = append(rec.reasons, Reason{Why: why})
	}
	rec.reasons[i].Hosts++
	if len(rec.first) == MaxRefused && byName(h, rec.first[MaxRefused-1]) >= 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(rec.first, h, byName)
	if len(rec.first) == MaxRefused {
		rec.first, rec.why = rec.first[:MaxRefused-1], rec.why[:MaxRefused-1]
	}
	rec.first, rec.why = slices.Insert(rec.first, at, h), slices.Insert(rec.why, at, why)
}

// step turns the record into its public form; detail may be nil.
func (rec *record) step(name string, in int, detail func(*Host) string) Step {
	slices.SortFunc(rec.reasons, func(a, b Reason) int {
		return cmp.Or(b.Hosts-a.Hosts, strings.Compare(a.Why, b.Why))
	})
	s := Step{Filter: name, In: in, Out: in - rec.total, Reasons: rec.reasons, More: rec.total - len(rec.first)}
	for i, h := range rec.first {
		why := rec.why[i]
		if detail != nil {
			if d := detail(h); d != "" {
				why = d
			}
		}
		r := Refusal{Host: h.Name, Why: why}
		if h.Node != h.Name {
			r.Node = h.Node
		}
		s.Refused = append(s.Refused, r)
	}
	return s
}

func byName(a, b *Host) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	return strings.Compare(a.Node, b.Node)
}
