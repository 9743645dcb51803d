package hypervisor

import "context"

// HostSwitcher is implemented by drivers that can switch the host itself, or
// whatever stands for it at a hypervisor that is elsewhere.
type HostSwitcher interface {
	// SwitchHost starts, shuts down or reboots the host. With either of the last
	// two all guests are off afterwards, and still here; a host that is already
	// what was asked for is success.
	SwitchHost(ctx context.Context, action HostAction) error
	// MaintainHost begins or ends a maintenance of the host.
	MaintainHost(ctx context.Context, on bool) error
}

// HostAction is what SwitchHost is asked to do, in the API's words.
type HostAction string

// The actions on a host.
const (
	HostStartup  HostAction = "startup"
	HostShutdown HostAction = "shutdown"
	HostReboot   HostAction = "reboot"
)
