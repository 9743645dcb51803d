package compute

import "kilonova/internal/bus"

// A live move takes a guest through these calls: its new host expects it, its
// present one carries it over, and the new one takes it up.

// ExpectGuest readies a host for a guest that will come while it runs.
var ExpectGuest = bus.Call[ExpectRequest, ExpectReply]{Name: "compute.expect"}

// ExpectRequest describes the guest.
type ExpectRequest struct {
	Server Server `json:"server"`
}

// ExpectReply has what the guest's present host needs to know.
type ExpectReply struct {
	Ticket []byte `json:"ticket"`
}

// CarryGuest has a guest's host carry it to another one while it runs. It is not
// found when it is not there any more: it has been carried.
var CarryGuest = bus.Call[Work[CarryRequest], Progress]{Name: "compute.carry"}

// CarryRequest says where to.
type CarryRequest struct {
	ServerID string `json:"server_id"`
	To       string `json:"to"`
	Ticket   []byte `json:"ticket"`
}

// HandGuest is what the old host's hypervisor has to say to the new one's.
var HandGuest = bus.Call[HandRequest, struct{}]{Name: "compute.hand"}

// HandRequest has it.
type HandRequest struct {
	ServerID string `json:"server_id"`
	Load     []byte `json:"load"`
}

// TakeUpGuest tells the new host that the guest is its own now; not found: it has
// not come.
var TakeUpGuest = bus.Call[Work[TakeUpRequest], Progress]{Name: "compute.take_up"}

// TakeUpRequest describes the guest.
type TakeUpRequest struct {
	Server Server `json:"server"`
}

// SteerCarry looks at a CarryGuest under way and has it end: without the guest
// having moved, or soon. Not found: there is none that could be ended.
var SteerCarry = bus.Call[SteerRequest, Transfer]{Name: "compute.steer_carry"}

// SteerRequest says how; NoWish only looks.
type SteerRequest struct {
	ServerID string        `json:"server_id"`
	Wish     MigrationWish `json:"wish,omitempty"`
}
