package compute

import "kilonova/internal/bus"

// A cold move takes a guest through these calls: it is parked where it is, then
// arrives at its new place, which fetches what it is made of piece by piece from
// the old one; in the end the parked one is dropped, or taken back.

// ParkGuest, ArriveGuest, UnparkGuest and DropParked are the steps of a cold move.
var (
	ParkGuest   = bus.Call[Work[ParkRequest], Progress]{Name: "compute.park"}
	ArriveGuest = bus.Call[Work[ArriveRequest], Progress]{Name: "compute.arrive"}
	UnparkGuest = bus.Call[Work[UnparkRequest], Progress]{Name: "compute.unpark"}
	DropParked  = bus.Call[Work[DropRequest], Progress]{Name: "compute.drop_parked"}
)

// ParkRequest asks a host to shut a guest down and put it aside.
type ParkRequest struct {
	Server Server `json:"server"`
	Grace  int    `json:"grace,omitempty"` // seconds that it gets to stop by itself
	// Leaving: the guest goes to another host, so that its devices are taken away.
	Leaving bool `json:"leaving,omitempty"`
}

// ArriveRequest asks a host to make a guest from what is parked on From.
type ArriveRequest struct {
	Server Server `json:"server"` // as it shall be
	From   string `json:"from"`
	On     bool   `json:"on"` // whether it shall run
}

// UnparkRequest asks a host to take a parked guest back.
type UnparkRequest struct {
	Server Server `json:"server"` // as it was
	On     bool   `json:"on"`
}

// DropRequest names the parked guest that is not needed any more.
type DropRequest struct {
	ServerID string `json:"server_id"`
}

// RebuildGuest makes a guest anew from an image: nothing of its disks is kept.
var RebuildGuest = bus.Call[Work[RebuildRequest], Progress]{Name: "compute.rebuild"}

// RebuildRequest describes the guest as it shall be.
type RebuildRequest struct {
	Server Server `json:"server"`
	On     bool   `json:"on"`
}

// Parcel asks an agent for the files of a parked guest, ReadParcel for a piece
// of one of them.
var (
	Parcel     = bus.Call[ParcelRequest, ParcelReply]{Name: "compute.parcel"}
	ReadParcel = bus.Call[ReadParcelRequest, ReadParcelReply]{Name: "compute.read_parcel"}
)

// ParcelRequest names the guest.
type ParcelRequest struct {
	ServerID string `json:"server_id"`
}

// ParcelReply lists its files.
type ParcelReply struct {
	Files []ParcelFile `json:"files"`
}

// ParcelFile is a file of a parked guest.
type ParcelFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// ReadParcelRequest asks for at most MaxPiece bytes from Offset on.
type ReadParcelRequest struct {
	ServerID string `json:"server_id"`
	Name     string `json:"name"`
	Offset   int64  `json:"offset"`
}

// ReadParcelReply has a piece; Zeros instead of Data is that many bytes of zero.
type ReadParcelReply struct {
	Data  []byte `json:"data,omitempty"`
	Zeros int    `json:"zeros,omitempty"`
}

// MaxPiece bounds a piece of a parcel, in bytes: well below what a message may
// have, also as text.
const MaxPiece = 2 << 20
