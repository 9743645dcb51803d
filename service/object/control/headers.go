package control

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/object"
)

// kept are the headers that are remembered beside those that begin with prefix.
type kept struct {
	prefix string   // X-Container-Meta-
	named  []string // with a meaning here or for clients
	empty  bool     // metadata may be empty
}

var (
	ofAccounts   = kept{"X-Account-Meta-", nil, false}
	ofContainers = kept{"X-Container-Meta-", []string{object.ReadACL, object.WriteACL, object.VersionsLocation, object.HistoryLocation, "X-Container-Sync-To", "X-Container-Sync-Key"}, false}
	ofObjects    = kept{"X-Object-Meta-", []string{object.ContentEncoding, "Content-Disposition", "Cache-Control", "Content-Language", "Expires", "X-Robots-Tag", object.Manifest, object.S3ETag}, true}
)

// secret are headers that only owners see and change.
var secret = []string{object.ReadACL, object.WriteACL, "X-Container-Sync-To", "X-Container-Sync-Key",
	"X-Container-Meta-Temp-Url-Key", "X-Container-Meta-Temp-Url-Key-2", "X-Account-Meta-Temp-Url-Key", "X-Account-Meta-Temp-Url-Key-2"}

// shown returns headers without those that are not for this caller.
func shown(h object.Headers, owner bool) object.Headers {
	out := maps.Clone(h)
	if !owner {
		for _, name := range secret {
			delete(out, name)
		}
	}
	return out
}

// has reports whether a header is one that k remembers.
func (k kept) has(name string) bool {
	if len(name) > len(k.prefix) && strings.HasPrefix(name, k.prefix) {
		return true
	}
	for _, n := range k.named {
		if n == name {
			return true
		}
	}
	return false
}

// remember returns old with what was sent: an empty value removes, and so does
// X-Remove-NAME. Only owners change what is theirs. Of an object all metadata are sent
// anew each time, and may be empty.
func (c *Control) remember(k kept, old, sent object.Headers, owner bool) (object.Headers, error) {
	next := object.Headers{}
	maps.Copy(next, old)
	var removed []string
	change := func(name, value string) {
		if slices.Contains(secret, name) && !owner {
			return
		}
		if value == "" && !(k.empty && strings.HasPrefix(name, k.prefix)) {
			delete(next, name)
		} else {
			next[name] = value
		}
	}
	for name, value := range sent {
		if rest, ok := strings.CutPrefix(name, "X-Remove-"); ok {
			if name = "X-" + rest; k.has(name) && sent[name] == "" {
				removed = append(removed, name)
			}
		} else if k.has(name) {
			change(name, value)
		}
	}
	for _, name := range removed {
		if !slices.Contains(secret, name) || owner {
			delete(next, name)
		}
	}
	return next, c.checkMeta(k, next)
}

// checkMeta holds the limits of metadata.
func (c *Control) checkMeta(k kept, h object.Headers) error {
	o, count, size := c.o.Constraints, 0, 0
	for name, value := range h {
		if !utf8.ValidString(name) || !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return fault.Invalidf("Metadata must be valid UTF-8.")
		}
		if len(value) > o.MaxHeaderSize {
			return fault.Invalidf("Header value too long: %.64s", name)
		}
		short, ok := strings.CutPrefix(name, k.prefix)
		if !ok {
			continue
		}
		count++
		size += len(short) + len(value)
		switch {
		case len(short) > o.MaxMetaNameLength:
			return fault.Invalidf("Metadata name too long: %s%s", k.prefix, short[:64])
		case len(value) > o.MaxMetaValueLength:
			return fault.Invalidf("Metadata value longer than %d: %s", o.MaxMetaValueLength, name)
		}
	}
	if count > o.MaxMetaCount {
		return fault.Invalidf("Too many metadata items; max %d", o.MaxMetaCount)
	}
	if size > o.MaxMetaOverallSize {
		return fault.Invalidf("Total metadata too large; max %d", o.MaxMetaOverallSize)
	}
	return nil
}

// checkContainer refuses values of headers that mean nothing.
func checkContainer(h object.Headers) error {
	if _, err := object.ParseACL(h[object.ReadACL], false); err != nil {
		return fault.Invalidf("%s: %v", object.ReadACL, err)
	}
	if _, err := object.ParseACL(h[object.WriteACL], true); err != nil {
		return fault.Invalidf("%s: %v", object.WriteACL, err)
	}
	for header, what := range map[string]string{quotaBytes: "bytes", quotaCount: "count"} {
		if text := h[header]; text != "" {
			if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < 0 {
				return fault.Invalidf("Invalid %s quota.", what)
			}
		}
	}
	for _, header := range []string{object.VersionsLocation, object.HistoryLocation} {
		if strings.Contains(h[header], "/") {
			return fault.New(fault.PreconditionFailed, "Container name cannot contain slashes")
		}
	}
	if h[object.VersionsLocation] != "" && h[object.HistoryLocation] != "" {
		return fault.Invalidf("Only one of %s or %s may be specified", object.VersionsLocation, object.HistoryLocation)
	}
	return nil
}

// The headers of quotas.
const (
	quotaBytes        = "X-Container-Meta-Quota-Bytes"
	quotaCount        = "X-Container-Meta-Quota-Count"
	accountQuotaBytes = "X-Account-Meta-Quota-Bytes"
)

// payer is the account that an upload counts in, with its usage if that is bounded.
func (c *Control) payer(ctx context.Context, q db.Querier, name string) (*object.Account, error) {
	a, err := c.store.AccountHead(ctx, q, name)
	if err == nil && a.Headers[accountQuotaBytes] != "" {
		return c.store.Account(ctx, q, name)
	}
	return a, err
}

// room says whether a container and its account may have so many bytes more, in so
// many objects more. bytes may be -1 where that is not known yet.
func room(a *object.Account, box *object.Container, objects, bytes int64) error {
	full := fault.New(fault.TooLarge, "Upload exceeds quota.")
	over := func(quota string, used, more int64) bool {
		n, err := strconv.ParseInt(quota, 10, 64)
		return err == nil && used+max(more, 0) > n
	}
	if over(box.Headers[quotaBytes], box.Bytes, bytes) || over(box.Headers[quotaCount], box.Objects, objects) || over(a.Headers[accountQuotaBytes], a.Bytes, bytes) {
		return full
	}
	return nil
}

// deleteAt reads X-Delete-At and X-Delete-After, seconds; zero where neither is sent.
func deleteAt(sent object.Headers, now time.Time) (time.Time, error) {
	if text := sent["X-Delete-After"]; text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return time.Time{}, fault.Invalidf("Non-integer X-Delete-After")
		}
		if n <= 0 || n > 1<<40 {
			return time.Time{}, fault.Invalidf("X-Delete-After in past")
		}
		return time.Unix(now.Unix()+n, 0), nil
	}
	text := sent["X-Delete-At"]
	if text == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > 1<<40 {
		return time.Time{}, fault.Invalidf("Non-integer X-Delete-At")
	}
	if n <= now.Unix() {
		return time.Time{}, fault.Invalidf("X-Delete-At in past")
	}
	return time.Unix(n, 0), nil
}
