package compute

import (
	"context"
	"time"

	"kilonova/internal/bus"
)

// Share is a shared file system that a server has: its guest can mount it under
// the tag.
type Share struct {
	ID             string      `json:"id"` // of this attachment: uuid of the API
	ServerID       string      `json:"server_id"`
	ShareID        string      `json:"share_id"`
	Tag            string      `json:"tag"`
	Protocol       string      `json:"protocol"` // "NFS" or "CEPHFS"
	ExportLocation string      `json:"export_location"`
	Status         ShareStatus `json:"status"`
	CreatedAt      time.Time   `json:"created_at"`
	// Key is what opens a CEPHFS share. It is read where work is handed to an agent.
	Key string `json:"key,omitempty"`
}

// ShareStatus is how far a server's share has come (upstream's
// nova/objects/fields.py: ShareMappingStatus).
type ShareStatus string

// The statuses of a share.
const (
	ShareAttaching ShareStatus = "attaching"
	ShareInactive  ShareStatus = "inactive" // the host may reach it; the guest is off
	ShareActive    ShareStatus = "active"
	ShareDetaching ShareStatus = "detaching"
	ShareError     ShareStatus = "error"
)

// FileShare is all that compute knows of a share of the share service.
type FileShare struct {
	ID             string
	Status         string // "available", …
	Protocol       string
	ExportLocation string // the preferred one; "" there is none
}

// ShareAccess is who may use a share.
type ShareAccess struct {
	Type, To string // "ip" with an address, "cephx" with a name
	State    string // "active" when it holds
	Key      string // of "cephx"
}

// FileShares is what compute asks of the Shared File Systems service: about a share
// as the caller, about access as its own user.
type FileShares interface {
	Share(ctx context.Context, id string) (FileShare, error)
	// Access returns a rule of a share; fault.NotFound if there is none.
	Access(ctx context.Context, id string, who ShareAccess) (ShareAccess, error)
	// Allow lets somebody read and write a share, and locks the rule so that nobody
	// else takes it away. It takes effect when Access says "active".
	Allow(ctx context.Context, id string, who ShareAccess) error
	// Deny takes a rule away with its lock; none is success.
	Deny(ctx context.Context, id string, who ShareAccess) error
}

// UnmountShareCall has a host let go of a share that a guest does not use any more.
// Shares come to the host with whatever starts the guest.
var UnmountShareCall = bus.Call[Work[ShareRequest], Progress]{Name: "compute.unmount_share"}

// ShareRequest names the guest and the share.
type ShareRequest struct {
	ServerID string `json:"server_id"`
	ShareID  string `json:"share_id"`
}
