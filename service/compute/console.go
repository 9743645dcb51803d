package compute

import "time"

// Console is what a console's token opens, until it expires.
type Console struct {
	ServerID string
	Type     string // "novnc"
	Address  ConsoleAddress
	Expires  time.Time
}

// ConsoleTypes are what consoles of a kind can be shown by, the first by a proxy
// of ours.
var ConsoleTypes = map[ConsoleKind][]string{
	VNC:    {"novnc"},
	SPICE:  {"spice-html5", "spice-direct"},
	Serial: {"serial"},
	MKS:    {"webmks"},
}
