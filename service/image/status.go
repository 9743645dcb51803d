package image

import (
	"slices"
	"strings"

	"kilonova/internal/fault"
)

// Status is where an image is in its life.
type Status string

// The statuses, by the API's names.
const (
	Queued      Status = "queued"      // registered, without data
	Saving      Status = "saving"      // an upload is under way
	Uploading   Status = "uploading"   // data is being staged, or is staged
	Importing   Status = "importing"   // staged data is becoming the image's
	Active      Status = "active"      // whole and usable
	Deactivated Status = "deactivated" // whole, and kept from everybody but administrators
	Deleted     Status = "deleted"     // gone; only the id is kept, so that nobody gets it again
)

// transitions is the one table of which status may follow which. An upload or
// import that fails leads back to queued, so that it can be tried again.
var transitions = map[Status][]Status{
	Queued:      {Saving, Uploading, Importing, Active, Deleted},
	Saving:      {Active, Queued, Deleted},
	Uploading:   {Importing, Queued, Deleted},
	Importing:   {Active, Queued, Deleted},
	Active:      {Deactivated, Deleted},
	Deactivated: {Active, Deleted},
}

// Transient reports whether s is a status that must not last: somebody is at
// work, or has died.
func (s Status) Transient() bool { return s == Saving || s == Uploading || s == Importing }

// To checks that the image may go from its status to next: fault.Conflict where
// the table does not have it, fault.Invalid where data would come to an image
// whose formats are not known.
func (i *Image) To(next Status) error {
	if !slices.Contains(transitions[i.Status], next) {
		return fault.Conflictf("Image status transition from %s to %s is not allowed", i.Status, next)
	}
	if next == Saving || next == Importing || next == Active && i.Status == Queued {
		var missing []string
		if i.DiskFormat == "" {
			missing = append(missing, "disk_format")
		}
		if i.ContainerFormat == "" {
			missing = append(missing, "container_format")
		}
		switch len(missing) {
		case 1:
			return fault.Invalidf("Property %s must be set prior to saving data.", missing[0])
		case 2:
			return fault.Invalidf("Properties %s must be set prior to saving data.", strings.Join(missing, ", "))
		}
	}
	return nil
}
