package remote

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"kilonova/service/compute"
)

// candidateLines is the media type of candidates in lines, which our own Placement
// answers to those that accept it: a decision reads a thousand hosts, of which the
// usual form takes half a megabyte, most of it names that come again and again.
// service/placement/api says what is in the lines. Any other Placement answers in
// JSON.
const candidateLines = "application/vnd.kilonova.candidates"

// lineReader reads candidates in lines.
type lineReader struct {
	text    []byte
	at      int
	classes []string

	// What the reply is made of, each in one piece of memory, which is used again for
	// another answer.
	reply     candidatesReply
	summaries []summary
	roots     []int  // beside summaries
	ends      []int  // of their names
	names     []byte // one after the other
	usages    []compute.Usage
	amounts   []amount
	asked     []allocation
}

// readers are those that are not in use: an answer of a thousand hosts takes
// hundreds of kilobytes, and there is one for each decision.
var readers = sync.Pool{New: func() any { return new(lineReader) }}

// mostKept is how many providers a reader has room for that is kept.
const mostKept = 10_000

// release gives a reply's memory back. Its candidates stay.
func (r *candidatesReply) release() {
	if r.reader != nil && cap(r.reader.summaries) <= mostKept {
		readers.Put(r.reader)
	}
}

func readLines(text []byte) (*candidatesReply, error) {
	r := readers.Get().(*lineReader)
	lines := bytes.Count(text, []byte("\n"))
	*r = lineReader{text: text, classes: r.classes[:0], summaries: slices.Grow(r.summaries[:0], lines), roots: r.roots[:0], ends: r.ends[:0], names: r.names[:0], // summaries must not move
		usages: r.usages[:0], amounts: r.amounts[:0], asked: r.asked[:0],
		reply: candidatesReply{requests: r.reply.requests[:0], providers: r.reply.providers[:0], edits: r.reply.edits[:0], reader: r}}
	n, ok := 1, true
	for ; ok && !r.take("E\n"); n++ {
		ok = r.line() && r.take("\n")
	}
	ok = ok && r.at == len(text) && r.settle()
	r.text = nil // it is the caller's
	if !ok {
		defer r.reply.release()
		return nil, fmt.Errorf("line %d of the candidates, byte %d, is not as it should be", n, r.at)
	}
	return &r.reply, nil
}

// line reads one; its methods report whether they have found what they read.
func (r *lineReader) line() bool {
	switch {
	case r.take("P "):
		return r.provider()
	case r.take("R "):
		return r.request()
	case r.take("M "):
		return r.mapping()
	case r.take("D "):
		return r.edit()
	case r.take("C"):
		for r.take(" ") {
			r.classes = append(r.classes, string(r.word()))
		}
		return true
	}
	return false
}

// edit reads a step from the answer that the asker has to this one.
func (r *lineReader) edit() bool {
	var e edit
	ok := r.count(&e.keep) && r.take(" ") && r.count(&e.drop) && r.take(" ") && r.count(&e.new)
	r.reply.edits = append(r.reply.edits, e)
	return ok
}

// provider reads a name, the number of the root, and what there is of each class.
func (r *lineReader) provider() bool {
	n, from := len(r.summaries), len(r.usages)
	id := r.word()
	if n == cap(r.summaries) || len(id) == 0 || !r.take(" ") {
		return false
	}
	r.summaries = r.summaries[:n+1]
	s := &r.summaries[n]
	root, ok := r.number()
	r.roots, r.names = append(r.roots, root), append(r.names, id...)
	r.ends = append(r.ends, len(r.names))
	for ok && r.take(" ") {
		var u compute.Usage
		ok = r.class(&u.Class) && r.take("=") && r.count(&u.Capacity) && r.take("/") && r.count(&u.Used)
		r.usages = append(r.usages, u)
	}
	s.capacity, s.chosen = r.usages[from:len(r.usages):len(r.usages)], false
	r.reply.providers = append(r.reply.providers, s)
	return ok
}

// request reads what would be claimed of some providers.
func (r *lineReader) request() bool {
	from := len(r.asked)
	for {
		var a allocation
		first := len(r.amounts)
		if !r.known(&a.of) || !r.take(":") {
			return false
		}
		for {
			var x amount
			if !r.class(&x.class) || !r.take("=") || !r.count(&x.n) {
				return false
			}
			r.amounts = append(r.amounts, x)
			if !r.take(",") {
				break
			}
		}
		a.amounts = r.amounts[first:len(r.amounts):len(r.amounts)]
		r.asked = append(r.asked, a)
		if !r.take(" ") {
			break
		}
	}
	r.reply.requests = append(r.reply.requests, r.asked[from:len(r.asked):len(r.asked)])
	return true
}

// mapping reads who gives a group of the last request.
func (r *lineReader) mapping() bool {
	last := len(r.reply.requests) - 1
	if last < 0 {
		return false
	}
	for len(r.reply.mappings) <= last {
		r.reply.mappings = append(r.reply.mappings, map[string][]*summary{})
	}
	suffix := string(r.word())
	for r.take(" ") {
		var of *summary
		if !r.known(&of) {
			return false
		}
		r.reply.mappings[last][suffix] = append(r.reply.mappings[last][suffix], of)
	}
	return true
}

// settle gives all providers their names, in one piece, and their roots, puts what
// requests ask of them in the order of these names, and gives requests without mappings
// none.
func (r *lineReader) settle() bool {
	names, from := string(r.names), 0
	for i, root := range r.roots {
		if root >= len(r.summaries) {
			return false
		}
		s := &r.summaries[i]
		s.id, s.root = names[from:r.ends[i]], &r.summaries[root]
		from = r.ends[i]
	}
	for _, asked := range r.reply.requests {
		if len(asked) > 1 {
			slices.SortFunc(asked, func(a, b allocation) int { return strings.Compare(a.of.id, b.of.id) })
		}
	}
	for len(r.reply.mappings) < len(r.reply.requests) {
		r.reply.mappings = append(r.reply.mappings, nil)
	}
	return true
}

// take reads a text that has to be there.
func (r *lineReader) take(text string) bool {
	if len(r.text)-r.at < len(text) || string(r.text[r.at:r.at+len(text)]) != text {
		return false
	}
	r.at += len(text)
	return true
}

// word reads up to a space or the end of the line.
func (r *lineReader) word() []byte {
	from := r.at
	for r.at < len(r.text) && r.text[r.at] > ' ' {
		r.at++
	}
	return r.text[from:r.at]
}

// number reads one of up to 18 digits.
func (r *lineReader) number() (n int, ok bool) {
	from := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' && r.at-from < 18 {
		n = 10*n + int(r.text[r.at]-'0')
		r.at++
	}
	return n, r.at > from
}

func (r *lineReader) count(n *int) (ok bool) {
	*n, ok = r.number()
	return ok
}

// class reads the number of a class.
func (r *lineReader) class(name *string) bool {
	n, ok := r.number()
	if !ok || n >= len(r.classes) {
		return false
	}
	*name = r.classes[n]
	return true
}

// known reads the number of a provider that was told of.
func (r *lineReader) known(s **summary) bool {
	n, ok := r.number()
	if !ok || n >= len(r.summaries) {
		return false
	}
	*s = &r.summaries[n]
	return true
}
