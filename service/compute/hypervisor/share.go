package hypervisor

import (
	"context"

	"kilonova/internal/fault"
)

// Sharer is implemented by drivers that can hand shared file systems into guests
// (virtiofs). A guest gets those of Guest.Shares with its next start; they are on
// the host before that.
type Sharer interface {
	// MountShare has a share on the host for a guest; one that is there is success.
	// The guest need not be here yet.
	MountShare(ctx context.Context, id string, s Share) error
	// UnmountShare lets go of it when no other guest has it mounted; none is success.
	// The share of a guest that runs is fault.Conflict.
	UnmountShare(ctx context.Context, id, shareID string) error
	// MountedShares lists the shares that are on the host for a guest.
	MountedShares(ctx context.Context, id string) ([]string, error)
}

// Share is a shared file system.
type Share struct {
	ID       string
	Tag      string // by which the guest mounts it
	Protocol string // "NFS" or "CEPHFS"
	Location string // as the share service exports it: 192.0.2.1:/path
	User     string // who opens a CEPHFS share, with Secret
	Secret   string
}

// Check says what is wrong with a share's description: fault.Invalid, or nil.
func (s Share) Check() error {
	switch {
	case !IsUUID(s.ID):
		return fault.Invalidf("The share's id %q is not a UUID in lower case.", clip(s.ID))
	case !isText(s.Tag) || s.Tag == "":
		return fault.Invalidf("The tag of share %s is empty, too long or has control characters.", s.ID)
	case !isText(s.Location) || s.Location == "":
		return fault.Invalidf("The export location of share %s is empty, too long or has control characters.", s.ID)
	case s.Protocol != "NFS" && s.Protocol != "CEPHFS":
		return fault.New(fault.Unsupported, "Share %s has the protocol %q; NFS and CEPHFS are known.", s.ID, clip(s.Protocol))
	}
	return nil
}

// VolumeSnapshotter is implemented by drivers that can snapshot a volume that is a
// file while a guest has it, for a volume service that then keeps the files.
type VolumeSnapshotter interface {
	// SnapshotVolume has the guest write into a new file on top of what it has of the
	// volume. A snapshot that was made is success; a volume that the guest does not
	// have is fault.NotFound.
	SnapshotVolume(ctx context.Context, id, volumeID string, s VolumeSnapshot) error
	// DropVolumeSnapshot merges it into what lies below. None is success.
	DropVolumeSnapshot(ctx context.Context, id, volumeID string, s VolumeSnapshot) error
}

// VolumeSnapshot is one link of a volume's chain of files.
type VolumeSnapshot struct {
	ID   string
	File string // SnapshotVolume: the new file's name; Drop: the one that goes
	// Into is what File is merged into; "" what lies below all.
	Into string
}
