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
