package image

import (
	"context"
	"io"
)

// OtherImages are the image services of other regions, which are asked with the
// token of whoever wants an image from there: they decide what may be had.
type OtherImages interface {
	// Show returns an image as that service shows it. fault.NotFound: there is no
	// such image, or no such region.
	Show(ctx context.Context, at OtherRegion, id string) (map[string]any, error)
	// Open reads an image's data.
	Open(ctx context.Context, at OtherRegion, id string) (io.ReadCloser, error)
}

// Limits are the limits that the identity service has for images.
type Limits interface {
	// Limits returns a project's, by the names of their resources: its own ones, or
	// the registered ones; -1 is no limit. What has neither is not in it, and is a
	// limit of 0, as oslo.limit has it.
	Limits(ctx context.Context, project string) (map[string]int64, error)
}

// The resources that have such limits, by upstream's names.
const (
	SizeTotal      = "image_size_total"  // MiB in stores
	StageTotal     = "image_stage_total" // MiB that wait for their import
	CountTotal     = "image_count_total"
	CountUploading = "image_count_uploading" // images whose data is on its way
)

// OtherRegion says which image service, and as whom.
type OtherRegion struct {
	Region    string
	Interface string // of the catalog: public, internal, admin
	Token     string
}

// Certificates has the certificates that images are signed with.
type Certificates interface {
	// Certificate returns one, PEM or DER, for who has the token. fault.NotFound
	// and fault.Forbidden: not for them.
	Certificate(ctx context.Context, token, id string) ([]byte, error)
}
