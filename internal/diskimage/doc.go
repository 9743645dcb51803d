// Package diskimage looks at the content of a disk image and says what it is,
// how large the disk in it is, and what in it would make the host that opens it
// reach for other files. It reads headers only, never runs a tool and never
// follows a name that it finds.
//
// An Inspector is an io.Writer, so that an upload is inspected while it passes,
// in bounded memory; File inspects what lies on a disk already. Both end in an
// Info, and Info.Verify compares it with what somebody claims the image to be.
//
// Whoever hands an image to QEMU or to a hypervisor calls Verify first and names
// the format explicitly afterwards: a format that is probed again by somebody
// else is a format that the image's author chooses.
//
// The room knows formats. What becomes of a refused image is its caller's.
package diskimage
