package object

import (
	"context"
	"time"
)

// Headers are what is remembered of the headers that somebody has sent with an
// account, a container or an object, by their canonical names
// (X-Object-Meta-Colour). Those that begin with a Sys prefix are this service's own
// and never shown.
type Headers map[string]string

// Sys begins the names of headers that are this service's own.
const Sys = "Sys-"

// Names of remembered headers that have a meaning here.
const (
	ReadACL          = "X-Container-Read"
	WriteACL         = "X-Container-Write"
	VersionsLocation = "X-Versions-Location" // a deleted object's last version comes back
	HistoryLocation  = "X-History-Location"  // it does not
	Manifest         = "X-Object-Manifest"   // "container/prefix": a dynamic large object
	ContentEncoding  = "Content-Encoding"
	// S3ETag is the entity tag that S3 shows where it is another than Swift's.
	S3ETag = Sys + "S3-Etag"
)

// Account is all that a project has here.
type Account struct {
	Name      string // AUTH_ and the project's id
	Headers   Headers
	CreatedAt time.Time // zero: nobody has written to it yet
	Usage
	Containers int64
}

// Usage counts objects and their bytes.
type Usage struct{ Objects, Bytes int64 }

// Container holds objects of one account.
type Container struct {
	ID            string // never given twice
	Account, Name string
	Headers       Headers
	CreatedAt     time.Time
	UpdatedAt     time.Time
	Usage
}

// Object is a name in a container and what it stands for.
type Object struct {
	Name        string
	Payload     string // key of its bytes; "" it has none
	Size        int64  // bytes of the payload
	ETag        string // MD5 of the payload, hexadecimal
	ContentType string
	Headers     Headers
	// Large is set for a static large object, whose payload is the list of its
	// segments.
	Large     *Large
	CreatedAt time.Time // of this content or, later, of its metadata
	DeleteAt  time.Time // zero: it stays
}

// Large is what a static large object's segments are together.
type Large struct {
	Size int64
	ETag string // MD5 of the segments' entity tags, hexadecimal
}

// Length is how many bytes a reader gets, where it is no dynamic large object.
func (o *Object) Length() int64 {
	if o.Large != nil {
		return o.Large.Size
	}
	return o.Size
}

// Tag is the entity tag that Swift shows.
func (o *Object) Tag() string {
	if o.Large != nil {
		return o.Large.ETag
	}
	return o.ETag
}

// Expired reports whether an object is no longer to be seen.
func (o *Object) Expired(now time.Time) bool { return !o.DeleteAt.IsZero() && !now.Before(o.DeleteAt) }

// Segment is a part of a static large object, as its manifest has it.
type Segment struct {
	Path  string `json:"name"` // "/container/object", of the same account
	Bytes int64  `json:"bytes"`
	Hash  string `json:"hash"`
	Range string `json:"range,omitempty"` // "first-last"
	Type  string `json:"content_type,omitempty"`
	When  string `json:"last_modified,omitempty"`
	Sub   bool   `json:"sub_slo,omitempty"` // it is a static large object itself
}

// Path names an object, or a container where Object is "", or an account.
type Path struct{ Account, Container, Object string }

// String implements fmt.Stringer.
func (p Path) String() string {
	s := "/" + p.Account
	if p.Container != "" {
		s += "/" + p.Container
	}
	if p.Object != "" {
		s += "/" + p.Object
	}
	return s
}

// Signer is who signed a request in S3's manner.
type Signer struct {
	UserID, UserName, ProjectID, ProjectName string
	UserDomainID, ProjectDomainID            string
	Roles                                    []string
	Secret                                   string // what the key signs with; "" it is not known here
}

// Signers know whose access keys are whose: the identity service.
type Signers interface {
	// Verify returns who made signature under text with an access key;
	// fault.Unauthenticated if nobody has, fault.NotFound if there is no such key.
	Verify(ctx context.Context, access, text, signature string) (*Signer, error)
}
