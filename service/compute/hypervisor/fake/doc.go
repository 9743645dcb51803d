// Package fake is a hypervisor without guests: a full driver that keeps what it
// is told, in memory and if wanted in one file, answers as a real one does, and
// fails when a test says so. It is what the cloud is tried with at a scale that
// no machine has, and what a cloud without virtualization runs on.
//
// It makes no process, no device and no disk, and an idle driver costs a few
// hundred bytes and no goroutine, so that ten thousand hosts fit in one process.
// It ends at the Driver interface and its optional neighbours; whatever a test
// wants to do to a guest from inside or to the host from outside is in outside.go.
package fake
