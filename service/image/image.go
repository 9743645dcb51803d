package image

import (
	"time"
)

// Image is what is known of an image. Its bytes are a blob, found by Locations.
type Image struct {
	ID         string
	Name       *string // nil: never given
	Owner      string  // a project's id; "" for nobody's
	Status     Status
	Visibility Visibility
	Protected  bool // may not be deleted
	Hidden     bool // does not appear in lists by default

	DiskFormat      string // "" while it is not known
	ContainerFormat string
	Size            *int64 // of the bytes, once they are there
	VirtualSize     *int64 // of the disk in them, where it could be found out
	MinDisk         int64  // GiB that a server needs
	MinRAM          int64  // MiB that a server needs

	Checksum  string // MD5 in hexadecimal, as the API has it since its first days
	HashAlgo  string // of HashValue
	HashValue string // hexadecimal

	Properties map[string]string // whatever else its owner says of it
	Tags       []string
	Locations  []Location

	CreatedAt, UpdatedAt time.Time
}

// Location is one place where an image's bytes lie.
type Location struct {
	Store    string // which of the configured stores; "" none: URL is somebody else's
	Key      string // the blob's name in Store
	URL      string // as clients see it
	Metadata map[string]any
}

// Visibility says to whom an image is shown.
type Visibility string

// The visibilities. A shared image is its owner's and its members'; a community
// image is everybody's who knows of it.
const (
	Public    Visibility = "public"
	Private   Visibility = "private"
	Shared    Visibility = "shared"
	Community Visibility = "community"
)

// Visibilities lists them all.
var Visibilities = []Visibility{Community, Public, Private, Shared}

// Member is a project that an image is shared with.
type Member struct {
	ImageID              string
	ProjectID            string
	Status               MemberStatus
	CreatedAt, UpdatedAt time.Time
}

// MemberStatus is what a member thinks of the image it was given.
type MemberStatus string

// Only accepted images appear in a member's lists by default.
const (
	Pending  MemberStatus = "pending"
	Accepted MemberStatus = "accepted"
	Rejected MemberStatus = "rejected"
)

// MemberStatuses lists them all.
var MemberStatuses = []MemberStatus{Pending, Accepted, Rejected}

// Task is work on an image that outlives the request, as the API shows it.
type Task struct {
	ID        string
	Type      string // "api_image_import"
	Status    TaskStatus
	Owner     string // a project's id
	UserID    string
	RequestID string
	ImageID   string
	Input     map[string]any
	Result    map[string]any
	Message   string

	CreatedAt, UpdatedAt time.Time
	ExpiresAt            time.Time // zero while it is not over
}

// TaskStatus is how far a task is.
type TaskStatus string

// A task goes from pending over processing to one of the ends.
const (
	TaskPending    TaskStatus = "pending"
	TaskProcessing TaskStatus = "processing"
	TaskSuccess    TaskStatus = "success"
	TaskFailure    TaskStatus = "failure"
)
