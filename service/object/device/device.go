// Package device is where the bytes of objects lie: the Device interface, its
// errors, and nothing else. devicetest is the law that each driver obeys.
//
// A device knows keys and bytes. Which devices keep what is the ring's, how many of
// them have to answer is the pool's, and what a key belongs to is control's.
package device

import (
	"context"
	"errors"
	"io"
	"regexp"
	"time"

	"kilonova/internal/fault"
)

// Device keeps payloads under keys. Its methods are safe for concurrent use, and
// each may be called again after a crash. Keys are those that ValidKey takes; others
// give fault.Invalid. A device that cannot be used now gives fault.Unavailable.
type Device interface {
	// Create begins a payload. A key is written once: where there is one under it
	// already, whole or begun, that is fault.Conflict. Size is what will come, in
	// bytes, -1 where that is not known; it is a hint, by which a device that is too
	// full can say so (ErrFull).
	Create(ctx context.Context, key string, size int64) (Writer, error)
	// Open reads a payload, ErrNotFound if there is none. What is open stays readable
	// to its end, also when the payload is deleted meanwhile.
	Open(ctx context.Context, key string) (Reader, error)
	// Delete removes a payload, whole or begun. There being none is no error.
	Delete(ctx context.Context, key string) error
	// Each calls f for each payload, whole or begun, until f returns an error, which
	// it returns. What comes or goes meanwhile may be missed.
	Each(ctx context.Context, f func(Entry) error) error
}

// Writer takes in one payload. Nothing of it can be seen until Commit, which makes
// it last, whole, or fails and leaves nothing. Abort throws it away; after Commit it
// does nothing. One of the two must be called.
type Writer interface {
	io.Writer
	Commit() error
	Abort() error
}

// Reader reads one payload, from any place in it.
type Reader interface {
	io.ReadSeekCloser
	Size() int64 // bytes
}

// Entry is one payload of a device.
type Entry struct {
	Key      string
	Size     int64
	Modified time.Time
	Whole    bool // it has been committed
}

// ErrNotFound says that there is no payload under a key.
var ErrNotFound = errors.New("there is no such payload")

// ErrFull says that a device has no room left; compare with errors.Is.
var ErrFull = errors.New("there is no space left")

var keyPattern = regexp.MustCompile(`^[0-9a-f]{16,64}$`)

// ValidKey returns fault.Invalid for keys that no device takes: they are 16 to 64
// lower case hexadecimal digits.
func ValidKey(key string) error {
	if !keyPattern.MatchString(key) {
		return fault.Invalidf("%.64q is no key of a payload.", key)
	}
	return nil
}
