package remote

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"kilonova/service/compute"
)

// readCandidates reads Placement's answer. It is the largest that a decision has
// to read, with a thousand hosts in it, so the form in which Placement writes it is
// read by hand, and any other, as wrong ones are, by encoding/json. mapped is whether
// it matters who gives what.
func readCandidates(text []byte, mapped bool) (*candidatesReply, error) {
	if reply := readPlain(text, mapped); reply != nil {
		return reply, nil
	}
	return readAny(text)
}

// readAny reads an answer in any form.
func readAny(text []byte) (*candidatesReply, error) {
	var in struct {
		Requests []struct {
			Allocations map[string]struct {
				Resources map[string]int `json:"resources"`
			} `json:"allocations"`
			Mappings map[string][]string `json:"mappings"`
		} `json:"allocation_requests"`
		Summaries map[string]struct {
			Root      string                                  `json:"root_provider_uuid"`
			Resources map[string]struct{ Capacity, Used int } `json:"resources"`
		} `json:"provider_summaries"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, err
	}
	out := &candidatesReply{providers: make(map[string]*summary, len(in.Summaries))}
	for _, r := range in.Requests {
		var all []allocation
		for _, id := range slices.Sorted(maps.Keys(r.Allocations)) {
			a := allocation{provider: id}
			for _, class := range slices.Sorted(maps.Keys(r.Allocations[id].Resources)) {
				a.amounts = append(a.amounts, amount{class, r.Allocations[id].Resources[class]})
			}
			all = append(all, a)
		}
		out.requests, out.mappings = append(out.requests, all), append(out.mappings, r.Mappings)
	}
	for id, in := range in.Summaries {
		s := &summary{root: in.Root}
		for _, class := range slices.Sorted(maps.Keys(in.Resources)) {
			u := in.Resources[class]
			s.capacity = append(s.capacity, compute.Usage{Class: class, Capacity: u.Capacity, Used: u.Used})
		}
		out.providers[id] = s
	}
	return out, nil
}

// plainReader reads the answer in the form in which it is usually written. Its
// methods report whether they have found what they read; if not, the answer has
// another form, and all that was read is thrown away.
type plainReader struct {
	text  []byte
	at    int
	names []string // of resource classes
	// mapped: mappings are read, too.
	mapped bool
	next   int // of asked, whose provider probably is the next that is summed up

	// What is alike in many entries is compared, and not read again.
	entry  likeness // the last request for allocations
	traits []byte   // the last list of traits

	// What the reply is made of, each in one piece of memory, which is used again for
	// another answer.
	reply     candidatesReply
	summaries []summary
	usages    []compute.Usage
	amounts   []amount
	asked     []allocation
}

// readers are those that are not in use: an answer of a thousand hosts takes
// hundreds of kilobytes, and there is one for each decision.
var readers = sync.Pool{New: func() any { return &plainReader{reply: candidatesReply{providers: map[string]*summary{}}} }}

// mostKept is how many providers a reader has room for that is kept.
const mostKept = 10_000

// release gives a reply's memory back. Its candidates stay.
func (r *candidatesReply) release() {
	if r.reader != nil && cap(r.reader.summaries) <= mostKept {
		readers.Put(r.reader)
	}
}

// begin makes a reader ready for an answer of about so many hosts.
func (r *plainReader) begin(text []byte, mapped bool, hosts int) {
	clear(r.reply.providers)
	*r = plainReader{text: text, mapped: mapped, names: r.names[:0], summaries: slices.Grow(r.summaries[:0], hosts), amounts: r.amounts[:0], asked: slices.Grow(r.asked[:0], hosts),
		usages: slices.Grow(r.usages[:0], 3*hosts),
		reply:  candidatesReply{requests: slices.Grow(r.reply.requests[:0], hosts), providers: r.reply.providers, reader: r}}
}

// readPlain returns nil for an answer in another form.
func readPlain(text []byte, mapped bool) *candidatesReply {
	const each = 10 // objects: what a host with processors, memory and disk needs in both parts of the answer
	hosts := bytes.Count(text, []byte("{"))/each + 1
	r := readers.Get().(*plainReader)
	r.begin(text, mapped, hosts)
	out := &r.reply
	known := 0
	ok := r.members(func(key []byte) bool {
		switch string(key) {
		case "allocation_requests":
			known++
			return known == 1 && r.elements(r.request)
		case "provider_summaries":
			known++
			return known == 2 && r.members(r.summary)
		}
		return false
	})
	if r.space(); !ok || known != 2 || r.at != len(text) {
		out.release()
		return nil
	}
	r.text, r.entry, r.traits = nil, likeness{}, nil // the text is the caller's
	return out
}

// request reads one way to place a server.
func (r *plainReader) request() bool {
	r.space()
	if r.again() {
		return true
	}
	begin, from := r.at, len(r.asked)
	found := false
	var mappings map[string][]string
	ok := r.members(func(key []byte) bool {
		switch string(key) {
		case "allocations":
			again := found
			found = true
			return !again && r.members(r.allocation)
		case "mappings":
			if !r.mapped {
				return r.skip(0)
			}
			again := mappings != nil
			mappings = map[string][]string{}
			return !again && r.members(func(suffix []byte) bool { return r.mapping(mappings, string(suffix)) })
		}
		return false
	})
	if r.mapped {
		r.reply.mappings = append(r.reply.mappings, mappings)
	}
	all := r.asked[from:len(r.asked):len(r.asked)]
	slices.SortFunc(all, func(a, b allocation) int { return strings.Compare(a.provider, b.provider) })
	for i := range all {
		ok = ok && (i == 0 || all[i].provider != all[i-1].provider)
	}
	r.reply.requests = append(r.reply.requests, all)
	r.remember(r.text[begin:r.at], all)
	return ok
}

// mapping reads who gives a group.
func (r *plainReader) mapping(all map[string][]string, suffix string) bool {
	if _, again := all[suffix]; again {
		return false
	}
	all[suffix] = nil
	return r.elements(func() bool {
		id, ok := r.word()
		all[suffix] = append(all[suffix], string(id))
		return ok
	})
}

// allocation reads what would be claimed of a provider.
func (r *plainReader) allocation(id []byte) bool {
	a := allocation{provider: r.provider(id)}
	from := len(r.amounts)
	ok := r.only("resources", func(class []byte) bool {
		n, ok := r.number()
		for _, other := range r.amounts[from:] {
			ok = ok && other.class != string(class)
		}
		r.amounts = append(r.amounts, amount{r.name(class), n})
		return ok
	})
	a.amounts = r.amounts[from:len(r.amounts):len(r.amounts)]
	r.asked = append(r.asked, a)
	return ok
}

// only reads an object with one member, which is an object with members that f
// reads.
func (r *plainReader) only(member string, f func(key []byte) bool) bool {
	found := false
	return r.members(func(key []byte) bool {
		again := found
		found = true
		return !again && string(key) == member && r.members(f)
	})
}

// summary reads what there is to know of a provider.
func (r *plainReader) summary(id []byte) bool {
	if r.reply.providers[string(id)] != nil {
		return false
	}
	var name string
	if r.next < len(r.asked) && r.asked[r.next].provider == string(id) {
		name = r.asked[r.next].provider
		r.next++
	} else {
		name = string(id)
	}
	r.summaries = append(r.summaries, summary{})
	s := &r.summaries[len(r.summaries)-1]
	r.reply.providers[name] = s
	return r.members(func(key []byte) bool {
		switch string(key) {
		case "resources":
			from := len(r.usages)
			again := s.capacity != nil
			ok := r.usual(from) || r.members(func(class []byte) bool { return r.usage(class, from) })
			s.capacity = r.usages[from:len(r.usages):len(r.usages)]
			return ok && !again
		case "root_provider_uuid":
			root, ok := r.word()
			if again := s.root != ""; again {
				return false
			}
			if s.root = name; string(root) != name {
				s.root = string(root)
			}
			return ok
		case "traits":
			return r.skipTraits()
		case "parent_provider_uuid":
			return r.skip(0)
		}
		return false
	})
}

// usage reads how much there is of a class; from is where the provider's begin.
func (r *plainReader) usage(class []byte, from int) bool {
	u := compute.Usage{Class: r.name(class)}
	for _, other := range r.usages[from:] {
		if other.Class == u.Class {
			return false
		}
	}
	ok := r.members(func(key []byte) (ok bool) {
		switch string(key) {
		case "capacity":
			u.Capacity, ok = r.number()
		case "used":
			u.Used, ok = r.number()
		}
		return ok
	})
	r.usages = append(r.usages, u)
	return ok
}

// name is a class's name, one text for all who have it.
func (r *plainReader) name(text []byte) string {
	for _, n := range r.names {
		if n == string(text) {
			return n
		}
	}
	r.names = append(r.names, string(text))
	return r.names[len(r.names)-1]
}

// members reads an object and calls f with each key, before its value.
func (r *plainReader) members(f func(key []byte) bool) bool {
	if !r.take('{') {
		return false
	}
	if r.take('}') {
		return true
	}
	for {
		key, ok := r.word()
		if !ok || !r.take(':') || !f(key) {
			return false
		}
		if !r.take(',') {
			return r.take('}')
		}
	}
}

// elements reads an array and calls f before each of its values.
func (r *plainReader) elements(f func() bool) bool {
	if !r.take('[') {
		return false
	}
	if r.take(']') {
		return true
	}
	for {
		if !f() {
			return false
		}
		if !r.take(',') {
			return r.take(']')
		}
	}
}

// skip reads what nobody asks for: texts, null, and lists and objects of these.
func (r *plainReader) skip(depth int) bool {
	const deepest = 3
	r.space()
	if r.at == len(r.text) || depth > deepest {
		return false
	}
	switch r.text[r.at] {
	case '[':
		return r.elements(func() bool { return r.skip(depth + 1) })
	case '{':
		return r.members(func([]byte) bool { return r.skip(depth + 1) })
	case 'n':
		return r.literal("null")
	}
	_, ok := r.word()
	return ok
}

func (r *plainReader) space() {
	for r.at < len(r.text) && (r.text[r.at] == ' ' || r.text[r.at] == '\n' || r.text[r.at] == '\r' || r.text[r.at] == '\t') {
		r.at++
	}
}

// take reads one character, if it is the next after space.
func (r *plainReader) take(c byte) bool {
	r.space()
	if r.at == len(r.text) || r.text[r.at] != c {
		return false
	}
	r.at++
	return true
}

// word reads a text of plain characters.
func (r *plainReader) word() ([]byte, bool) {
	if !r.take('"') {
		return nil, false
	}
	from := r.at
	for r.at < len(r.text) && plain[r.text[r.at]] {
		r.at++
	}
	if r.at == len(r.text) || r.text[r.at] != '"' {
		return nil, false
	}
	r.at++
	return r.text[from : r.at-1], true
}

// plain are the characters of ASCII that stand for themselves in a text.
var plain = func() (set [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		set[c] = c != '"' && c != '\\'
	}
	return set
}()

// number reads one without a fraction, of up to 18 digits.
func (r *plainReader) number() (n int, ok bool) {
	r.space()
	from := r.at
	for r.at < len(r.text) && '0' <= r.text[r.at] && r.text[r.at] <= '9' {
		n = 10*n + int(r.text[r.at]-'0')
		r.at++
	}
	digits := r.at - from
	return n, digits > 0 && digits <= 18 && (digits == 1 || r.text[from] != '0')
}
