package hypervisortest

import "testing"

// Test holds a driver against the law. It takes as long as the driver's guests
// take to start some forty times.
func Test(t *testing.T, h Harness) {
	for _, article := range []struct {
		name string
		test func(*bench)
	}{
		// lifecycle.go
		{"CreateStarts", (*bench).createStarts},
		{"CreateWithoutPower", (*bench).createWithoutPower},
		{"CreateAgain", (*bench).createAgain},
		{"CreateAfterPowerOff", (*bench).createAfterPowerOff},
		{"CreateRefusesNonsense", (*bench).createRefusesNonsense},
		{"CreateRefusesNameTwice", (*bench).createRefusesNameTwice},
		{"Destroy", (*bench).destroy},
		{"Power", (*bench).power},
		{"UnknownGuest", (*bench).unknownGuest},
		{"Crowd", (*bench).crowd},
		{"AgentRestarts", (*bench).agentRestarts},
		// context.go
		{"CancelledContext", (*bench).cancelledContext},
		{"CreateInterrupted", (*bench).createInterrupted},
		{"ShutdownObeyed", (*bench).shutdownObeyed},
		{"ShutdownIgnored", (*bench).shutdownIgnored},
		// devices.go
		{"Volumes", (*bench).volumes},
		{"VolumesOfStoppedGuest", (*bench).volumesOfStoppedGuest},
		{"VolumeRefused", (*bench).volumeRefused},
		{"SwapVolume", (*bench).swapVolume},
		{"Interfaces", (*bench).interfaces},
		{"InterfacesOfStoppedGuest", (*bench).interfacesOfStoppedGuest},
		// host.go
		{"Resources", (*bench).resources},
		{"SwitchHost", (*bench).switchHost},
		// optional.go
		{"Reboot", (*bench).reboot},
		{"RebootIgnored", (*bench).rebootIgnored},
		{"ConsoleLog", (*bench).consoleLog},
		{"Plug", (*bench).plugTwice},
		{"Watch", (*bench).watch},
		{"WatchSeesAccident", (*bench).watchSeesAccident},
		// move.go
		{"Park", (*bench).park},
		{"Receive", (*bench).receive},
		{"MoveInterrupted", (*bench).moveInterrupted},
		{"Live", (*bench).live},
		// stays.go
		{"Pause", (*bench).pause},
		{"Suspend", (*bench).suspend},
		{"Rescue", (*bench).rescue},
		{"Quiesce", (*bench).quiesce},
		{"ExtendVolume", (*bench).extendVolume},
		{"Snapshot", (*bench).snapshot},
		{"Signals", (*bench).signals},
		{"Diagnose", (*bench).diagnose},
		{"Console", (*bench).console},
		// share.go
		{"Shares", (*bench).shares},
		{"VolumeSnapshots", (*bench).volumeSnapshots},
	} {
		t.Run(article.name, func(t *testing.T) { article.test(h.start(t)) })
	}
}
