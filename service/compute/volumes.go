package compute

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"kilonova/internal/bus"
)

// BlockDevice is a disk that a server has of the volume service, or shall have.
type BlockDevice struct {
	ID string `json:"id"` // bdm_uuid of the API
	// Source is what the volume was made from for this server: "image",
	// "snapshot", "blank"; "volume" for one that was there before.
	Source       string `json:"source"`
	VolumeID     string `json:"volume_id"`
	AttachmentID string `json:"attachment_id,omitempty"` // the volume service's; "" while it is only noted
	Device       string `json:"device,omitempty"`        // as promised: /dev/vdb
	Boot         bool   `json:"boot,omitempty"`          // the root disk
	Tag          string `json:"tag,omitempty"`
	DeleteOnEnd  bool   `json:"delete_on_end,omitempty"` // the volume goes with the server
	// Host is the one that the volume service has let in; Connection is what it
	// said of how the volume is reached from there.
	Host       string          `json:"host,omitempty"`
	Connection json.RawMessage `json:"connection,omitempty"`
}

// DevicePath is a device's name with its folder, which users may leave out; "" stays "".
func DevicePath(name string) string {
	if name == "" || strings.HasPrefix(name, "/dev/") {
		return name
	}
	return "/dev/" + name
}

// TraitRescueVolumes says of a host that it can rescue servers which boot from
// volumes, by upstream's name.
const TraitRescueVolumes = "COMPUTE_RESCUE_BFV"

// BootsFromVolume reports whether the server's root disk is a volume.
func (s *Server) BootsFromVolume() bool {
	for _, d := range s.Devices {
		if d.Boot {
			return true
		}
	}
	return false
}

// Claims is what a server takes of a host: its flavor, without the root disk if
// that is a volume.
func (s *Server) Claims() Flavor {
	f := s.Flavor
	if s.BootsFromVolume() {
		f.RootGB = 0
	}
	return f
}

// Volume is all that compute knows of a volume.
type Volume struct {
	ID, Name, Description string
	Status                string // "available", "in-use", …
	Zone, Type            string
	SizeGB                int
	Bootable, Multiattach bool
	SnapshotID            string
	Metadata              map[string]string
	ImageID               string    // that it was made from; "" none
	ImageMeta             ImageMeta // of that image
	Attachments           []VolumeUse
	CreatedAt             time.Time
}

// VolumeUse is a server that has a volume.
type VolumeUse struct{ ServerID, Device, AttachmentID string }

// VolumeSnapshot is a volume as it was.
type VolumeSnapshot struct {
	ID, Name, Description string
	VolumeID, Status      string
	SizeGB                int
	CreatedAt             time.Time
}

// NewVolumeSnapshot describes a snapshot to be made, of a volume that may be in use,
// for an image.
type NewVolumeSnapshot struct {
	VolumeID, Name, Description string
	ImageID                     string
}

// NewVolume describes a volume to be made.
type NewVolume struct {
	Name, Description   string
	SizeGB              int
	ImageID, SnapshotID string
	Type, Zone          string
	Metadata            map[string]string
	ServerID            string // a new server's that it is made for; "" nobody's
}

// Volumes is what compute asks of the volume service: as the caller if there is
// one, else as its own user.
type Volumes interface {
	Volume(ctx context.Context, id string) (Volume, error)
	Create(ctx context.Context, v NewVolume) (Volume, error)
	Delete(ctx context.Context, id string) error
	Snapshot(ctx context.Context, id string) (VolumeSnapshot, error)
	TakeSnapshot(ctx context.Context, n NewVolumeSnapshot) (VolumeSnapshot, error)
	// MadeFor lists the volumes that were made for a server, of whatever project.
	MadeFor(ctx context.Context, serverID string) ([]Volume, error)
	// SnapshotsFor lists the snapshots of a volume that were made for an image.
	SnapshotsFor(ctx context.Context, volumeID, imageID string) ([]string, error)
	// DropSnapshot removes a snapshot; one that is gone is success.
	DropSnapshot(ctx context.Context, id string) error

	// Reimage begins to write an image over a volume that is reserved; it is
	// "downloading" until that is done.
	Reimage(ctx context.Context, id, imageID string) error

	// Reserve gives a volume to a server, which is on no host yet.
	Reserve(ctx context.Context, volumeID, serverID string) (attachmentID string, err error)
	// Connect lets a host in; it may be called again, with another host as well.
	Connect(ctx context.Context, attachmentID string, connector map[string]any) (json.RawMessage, error)
	// Complete says that the guest has it: the volume is then "in-use".
	Complete(ctx context.Context, attachmentID string) error
	// Release takes the volume from its server; one that is gone is success.
	Release(ctx context.Context, attachmentID string) error
	// ReadOnly reports whether an attachment does not let its guest write.
	ReadOnly(ctx context.Context, attachmentID string) (bool, error)
	// Held lists what the volume service has attachments for of a server.
	Held(ctx context.Context, serverID string) ([]Held, error)
	// Snapshotted says how far the snapshot of a volume has come that was asked of
	// compute: its status and "90%".
	Snapshotted(ctx context.Context, snapshotID, status, progress string) error
	// Detaching says that a volume is about to be taken from its server, or with
	// false that it will not be after all.
	Detaching(ctx context.Context, volumeID string, begin bool) error
}

// Held is an attachment as the volume service knows it.
type Held struct{ AttachmentID, VolumeID string }

// OldVolumes is what clients from before 2.36 ask compute to ask of the volume
// service, as the caller.
type OldVolumes interface {
	List(ctx context.Context) ([]Volume, error)
	Snapshots(ctx context.Context) ([]VolumeSnapshot, error)
	CreateSnapshot(ctx context.Context, volumeID, name, description string, force bool) (VolumeSnapshot, error)
	DeleteSnapshot(ctx context.Context, id string) error
}

// AttachVolumeCall and DetachVolumeCall change a guest's volumes.
var (
	AttachVolumeCall = bus.Call[Work[VolumeRequest], Progress]{Name: "compute.attach_volume"}
	DetachVolumeCall = bus.Call[Work[VolumeRequest], Progress]{Name: "compute.detach_volume"}
)

// SnapshotVolumeCall is for volumes that are files which only the hypervisor may
// snapshot while a guest has them.
var SnapshotVolumeCall = bus.Call[Work[VolumeSnapshotRequest], Progress]{Name: "compute.snapshot_volume"}

// VolumeSnapshotRequest makes a snapshot of a guest's volume, or takes it away.
type VolumeSnapshotRequest struct {
	ServerID   string `json:"server_id"`
	VolumeID   string `json:"volume_id"`
	SnapshotID string `json:"snapshot_id"`
	File       string `json:"file"`           // the new file, or the one that is merged
	Into       string `json:"into,omitempty"` // into this one; "" what lies below all
	Undo       bool   `json:"undo,omitempty"`
}

// ExtendVolumeCall tells a guest that a volume of its has grown.
var ExtendVolumeCall = bus.Call[Work[VolumeSize], Progress]{Name: "compute.extend_volume"}

// VolumeSize is how large a guest's volume is.
type VolumeSize struct {
	ServerID string `json:"server_id"`
	VolumeID string `json:"volume_id"`
	SizeGB   int    `json:"size_gb"`
}

// VolumeRequest names the guest and the volume.
type VolumeRequest struct {
	ServerID string      `json:"server_id"`
	Device   BlockDevice `json:"device"`
	// Replaces is the volume whose content is copied and whose place is taken.
	Replaces string `json:"replaces,omitempty"`
}
