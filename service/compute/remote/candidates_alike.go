package remote

import (
	"bytes"

	"kilonova/service/compute"
)

// Of a thousand candidates most are like the one before in nearly all of their
// text, which is compared faster than it is read.

// likeness is the text of a request for allocations of one provider that is named
// twice: before its name, between, and after.
type likeness struct {
	before, between, after []byte
	name                   int // the length of the provider's
}

// remember keeps the text of a request to compare the next one with.
func (r *plainReader) remember(text []byte, all []allocation) {
	r.entry = likeness{}
	if len(all) != 1 || r.mapped { // who gives what would have to be read of each
		return
	}
	name := []byte(`"` + all[0].provider + `"`)
	before, rest, _ := bytes.Cut(text, name)
	between, after, twice := bytes.Cut(rest, name)
	if twice && !bytes.Contains(after, name) {
		r.entry = likeness{before, between, after, len(name)}
	}
}

// again reads a request that is like the last one, for another provider.
func (r *plainReader) again() bool {
	e, rest := &r.entry, r.text[r.at:]
	length := len(e.before) + len(e.between) + len(e.after) + 2*e.name
	if e.name == 0 || len(rest) < length || !bytes.HasPrefix(rest, e.before) {
		return false
	}
	name, rest := rest[len(e.before):len(e.before)+e.name], rest[len(e.before)+e.name:]
	if !bytes.HasPrefix(rest, e.between) || !bytes.HasPrefix(rest[len(e.between):], name) || !bytes.HasPrefix(rest[len(e.between)+e.name:], e.after) {
		return false
	}
	if name[0] != '"' || name[len(name)-1] != '"' {
		return false
	}
	for _, c := range name[1 : len(name)-1] {
		if !plain[c] {
			return false
		}
	}
	from := len(r.asked)
	r.asked = append(r.asked, allocation{provider: r.provider(name[1 : len(name)-1]), amounts: r.asked[from-1].amounts})
	r.reply.requests = append(r.reply.requests, r.asked[from:from+1:from+1])
	r.at += length
	return true
}

// provider is the name of the next provider that is asked. It is most often that
// which came at this place in the answer before.
func (r *plainReader) provider(name []byte) string {
	if n := len(r.asked); n < cap(r.asked) {
		if before := r.asked[:n+1][n].provider; before == string(name) {
			return before
		}
	}
	return string(name)
}

// skipTraits is skip for a list that many providers have alike.
func (r *plainReader) skipTraits() bool {
	r.space()
	if len(r.traits) > 0 && bytes.HasPrefix(r.text[r.at:], r.traits) {
		r.at += len(r.traits)
		return true
	}
	begin := r.at
	ok := r.skip(0)
	if r.traits = r.text[begin:r.at]; !ok || len(r.traits) == 0 || r.traits[0] != '[' {
		r.traits = nil
	}
	return ok
}

// usual reads the resources of a provider as Placement writes them, with one space
// where others may be. If they are not written so, it reads nothing.
func (r *plainReader) usual(from int) bool {
	begin := r.at
	r.space()
	ok := r.literal(`{`)
	for ok {
		var u compute.Usage
		if u.Class, ok = r.usualName(len(r.usages) - from); !ok || !r.literal(`: {"capacity": `) {
			break
		}
		var capacity, used bool
		u.Capacity, capacity = r.number()
		if !capacity || !r.literal(`, "used": `) {
			break
		}
		u.Used, used = r.number()
		if !used || !r.literal(`}`) {
			break
		}
		for _, other := range r.usages[from:] {
			ok = ok && other.Class != u.Class
		}
		r.usages = append(r.usages, u)
		if ok && r.literal(`}`) {
			return true
		}
		ok = ok && r.literal(`, `)
	}
	r.at, r.usages = begin, r.usages[:from]
	return false
}

// usualName reads the name of a class, which is most often that which came at this
// place before.
func (r *plainReader) usualName(i int) (string, bool) {
	if i < len(r.names) {
		name, rest := r.names[i], r.text[r.at:]
		if len(rest) > len(name)+1 && rest[0] == '"' && string(rest[1:1+len(name)]) == name && rest[1+len(name)] == '"' {
			r.at += len(name) + 2
			return name, true
		}
	}
	name, ok := r.word()
	return r.name(name), ok
}

// literal reads a text of which each character has to be there.
func (r *plainReader) literal(text string) bool {
	if len(r.text)-r.at < len(text) || string(r.text[r.at:r.at+len(text)]) != text {
		return false
	}
	r.at += len(text)
	return true
}
