package hypervisor

import (
	"context"
	"io"

	"kilonova/service/compute"
)

// ColdMigrator is implemented by drivers that can carry a guest which is
// switched off to another host, or to another size on its own. The guest is
// parked where it is, its files are read as a parcel and received at its new
// place, where Create then makes it. Later the parked one is dropped, or taken
// back. Every method may be called again after a crash.
type ColdMigrator interface {
	// Park switches the guest off at once and puts it aside with its disks: it is
	// no longer in State and List, and another guest of its id may be made here.
	// A guest that is parked is success; fault.NotFound: there is none.
	Park(ctx context.Context, id string) error
	// Parked lists the guests that are parked here.
	Parked(ctx context.Context) ([]string, error)
	// Parcel lists the files of a parked guest.
	Parcel(ctx context.Context, id string) ([]ParcelFile, error)
	// OpenParcel opens one of them.
	OpenParcel(ctx context.Context, id, name string) (ParcelReader, error)
	// Receive makes the disks of a guest from a parcel, as large as g says. A
	// guest whose disks are here is success. fault.Invalid: the disks are larger
	// than g allows.
	Receive(ctx context.Context, g Guest, parcel []ParcelFile, open func(ctx context.Context, name string) (io.ReadCloser, error)) error
	// Unpark takes the parked guest back, switched off, as Create can start it.
	// Without a parked one it is success if the guest is here; fault.Conflict:
	// both are.
	Unpark(ctx context.Context, id string) error
	// Drop removes what is parked; nothing is success.
	Drop(ctx context.Context, id string) error
}

// ParcelFile is one file of a parked guest.
type ParcelFile = compute.ParcelFile

// ParcelReader reads a file of a parcel.
type ParcelReader interface {
	io.ReaderAt
	io.Closer
}

// LiveMigrator is implemented by drivers that can carry a guest to another host
// of the same kind while it runs.
type LiveMigrator interface {
	// Expect gets this host ready for a guest and returns what its present host
	// needs to know to reach it here.
	Expect(ctx context.Context, g Guest) (ticket []byte, err error)
	// MigrateLive carries the guest to the host that gave the ticket. It returns
	// when the guest runs there and is gone here; called again then, it is
	// fault.NotFound. After any other error the guest is here as it was. hand brings what the driver has to say
	// to Arrive on the other host; tell may be called with how far it has come.
	MigrateLive(ctx context.Context, id string, ticket []byte, hand func(ctx context.Context, load []byte) error, tell func(Transfer)) error
	// Arrive takes over, on the new host, what MigrateLive handed.
	Arrive(ctx context.Context, id string, load []byte) error
	// AbortLive ends a MigrateLive under way, which then returns fault.Conflict;
	// fault.NotFound: there is none, or it can no longer be ended.
	AbortLive(ctx context.Context, id string) error
	// CompleteLive has a MigrateLive under way end soon, at the guest's cost.
	CompleteLive(ctx context.Context, id string) error
}
