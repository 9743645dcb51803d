// Package blob is where the bytes of images lie: the Store interface, its errors
// and what its drivers share. blobtest is the law that each driver obeys.
//
// A store knows keys and bytes. What a key belongs to, who may read it and when
// it is no longer wanted is control's.
package blob

import (
	"context"
	"errors"
	"io"
	"regexp"
	"time"

	"kilonova/internal/fault"
)

// Store keeps blobs under keys. Its methods are safe for concurrent use, and
// each may be called again after a crash. Keys are those that ValidKey takes;
// others give fault.Invalid. A store that cannot be reached gives
// fault.Unavailable.
type Store interface {
	// Create begins a blob. size is what will come, in bytes, or -1 where that
	// is not known; it is a hint, by which a store that is too full can say so
	// (ErrFull) before it takes the first byte.
	Create(ctx context.Context, key string, size int64) (Writer, error)
	// Open reads a blob, ErrNotFound if there is none. What is open stays
	// readable to its end, even when the blob is deleted or replaced meanwhile;
	// a store behind a network may fail then instead, but never gives other
	// bytes. ctx bounds the reading.
	Open(ctx context.Context, key string) (Reader, error)
	// Delete removes a blob, whole or begun. There being none is no error.
	Delete(ctx context.Context, key string) error
	// Each calls f for each blob, whole or begun, until f returns an error,
	// which it returns. Blobs that come or go meanwhile may be missed.
	Each(ctx context.Context, f func(Entry) error) error
	// URL is the blob's address as clients see it. It has no secret in it.
	URL(key string) string
}

// Foreign is implemented by stores that also read what somebody else has put
// somewhere, and which locations may therefore name.
type Foreign interface {
	// CheckURL refuses, with fault.Invalid, addresses that are not of this
	// store's kind or that it must not be led to. It asks nobody.
	CheckURL(address string) error
	// OpenURL reads what is at an address that passes CheckURL; ErrNotFound if
	// nothing is there.
	OpenURL(ctx context.Context, address string) (Reader, error)
}

// ReadOnly is implemented by stores that take no blobs: Create refuses.
type ReadOnly interface{ ReadOnly() }

// Writer takes in one blob. Nothing of it can be seen until Commit, which makes
// it last, whole, in place of any blob that had its key, or fails and leaves
// nothing. Abort throws it away; after Commit it does nothing. One of the two
// must be called.
type Writer interface {
	io.Writer
	Commit(ctx context.Context) error
	Abort() error
}

// Reader reads one blob, from any place in it.
type Reader interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64 // bytes
}

// Entry is one blob of a store.
type Entry struct {
	Key      string
	Modified time.Time // of its last byte
	Whole    bool      // it has been committed
}

// ErrNotFound says that there is no blob under a key.
var ErrNotFound = errors.New("there is no such blob")

// ErrFull says that a store has no room left; compare with errors.Is.
var ErrFull = errors.New("there is no space left")

var keyPattern = regexp.MustCompile(`^[0-9a-z][0-9a-z.-]{3,199}$`)

// ValidKey returns fault.Invalid for keys that no store takes: they are lower
// case letters, digits, dots and hyphens, 4 to 200 of them, and so can be a file's name
// and part of a URL anywhere.
func ValidKey(key string) error {
	if !keyPattern.MatchString(key) {
		return fault.Invalidf("%.64q is no key of an image's data.", key)
	}
	return nil
}
