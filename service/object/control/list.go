package control

import (
	"context"
	"strings"
	"unicode/utf8"

	"kilonova/internal/fault"
	"kilonova/service/object"
	"kilonova/service/object/store"
)

// Listing says which part of a list somebody wants.
type Listing struct {
	Limit             int // negative: as many as there may be
	Marker, EndMarker string
	Prefix, Delimiter string
	Reverse           bool
}

// Entry is a line of a list: a container, an object, or a folder that Delimiter makes
// of several.
type Entry struct {
	Folder    string
	Container *object.Container
	Object    *object.Object
}

// Name is what is listed.
func (e *Entry) Name() string {
	switch {
	case e.Container != nil:
		return e.Container.Name
	case e.Object != nil:
		return e.Object.Name
	}
	return e.Folder
}

// ListContainers lists an account's containers, and returns the account.
func (c *Control) ListContainers(ctx context.Context, account string, l Listing) (*object.Account, []Entry, error) {
	a, err := c.Account(ctx, account, "GET")
	if err != nil {
		return nil, nil, err
	}
	entries, err := list(l, c.o.Constraints.AccountListingLimit, func(r store.Range) ([]Entry, error) {
		found, err := c.store.Containers(ctx, account, r)
		all := make([]Entry, len(found))
		for i := range found {
			all[i].Container = &found[i]
		}
		return all, err
	})
	return a, entries, err
}

// ListObjects lists a container's objects, and returns the container.
func (c *Control) ListObjects(ctx context.Context, p object.Path, l Listing) (*object.Container, []Entry, error) {
	box, err := c.Container(ctx, object.Path{Account: p.Account, Container: p.Container}, "GET")
	if err != nil {
		return nil, nil, err
	}
	entries, err := list(l, c.o.Constraints.ContainerListingLimit, c.objectsOf(ctx, box.ID))
	return box, entries, err
}

func (c *Control) objectsOf(ctx context.Context, containerID string) func(store.Range) ([]Entry, error) {
	return func(r store.Range) ([]Entry, error) {
		found, err := c.store.Objects(ctx, containerID, r)
		all := make([]Entry, len(found))
		for i := range found {
			all[i].Object = &found[i]
		}
		return all, err
	}
}

// page is how many rows are read at once where folders are made of them.
const page = 1000

// list gathers a listing from parts of the list of all names. Of a folder one row is
// read, and what else is in it is passed over.
func list(l Listing, most int, read func(store.Range) ([]Entry, error)) ([]Entry, error) {
	if l.Limit > most {
		return nil, fault.New(fault.PreconditionFailed, "Maximum limit is %d", most)
	}
	for _, text := range []string{l.Marker, l.EndMarker, l.Prefix, l.Delimiter} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return nil, fault.New(fault.PreconditionFailed, "Invalid UTF8 or contains NULL")
		}
	}
	limit := l.Limit
	if limit < 0 {
		limit = most
	}
	r := store.Range{From: l.Prefix, After: l.Marker, Until: l.EndMarker, Reverse: l.Reverse}
	if l.Reverse {
		r.After, r.Until = l.EndMarker, l.Marker
	}
	if end := after(l.Prefix); end != "" && (r.Until == "" || end < r.Until) {
		r.Until = end
	}
	var all []Entry
	for len(all) < limit {
		r.Limit = limit - len(all)
		if l.Delimiter != "" {
			r.Limit = min(r.Limit, page)
		}
		rows, err := read(r)
		if err != nil {
			return nil, err
		}
		skipped := false
		for i := range rows {
			name := rows[i].Name()
			folder, ok := folderOf(name, l)
			if !ok {
				all = append(all, rows[i])
				r = r.Beyond(name)
				continue
			}
			// A marker within the folder means that it was listed before.
			if !(l.Marker != "" && strings.HasPrefix(l.Marker, folder)) {
				all = append(all, Entry{Folder: folder})
			}
			if l.Reverse {
				r.Until = folder
			} else {
				r.From, r.After = after(folder), ""
			}
			skipped = true
			break
		}
		if !skipped && len(rows) < r.Limit || skipped && !l.Reverse && r.From == "" {
			break
		}
	}
	return all, nil
}

// folderOf is the folder that a delimiter puts a name into.
func folderOf(name string, l Listing) (string, bool) {
	if l.Delimiter == "" {
		return "", false
	}
	i := strings.Index(name[len(l.Prefix):], l.Delimiter)
	if i < 0 {
		return "", false
	}
	return name[:len(l.Prefix)+i+len(l.Delimiter)], true
}

// after is the first text that comes after all that begin with prefix; "" if none
// does.
func after(prefix string) string {
	for prefix != "" {
		last, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch {
		case last == utf8.MaxRune:
			continue
		case last == 0xD7FF: // what follows is no character
			last = 0xDFFF
		}
		return prefix + string(last+1)
	}
	return ""
}
