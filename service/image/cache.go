package image

import "time"

// Cached is an image in a node's cache.
type Cached struct {
	ImageID      string
	Size         int64 // bytes
	Hits         int64
	LastAccessed time.Time
	LastModified time.Time // when it was fetched
}
