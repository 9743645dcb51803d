// Package agent is what runs on a hypervisor host: it owns the driver, does the
// work that control asks for (build.go, power.go), keeps the images that its
// guests stand on (images.go), and says regularly what the host has and what its
// guests do (report.go).
//
// It has no database and decides nothing that outlives it: all it needs to know
// of a server comes with each request, all that is real is read from the driver.
// Work under way is lost with the process and asked for again by control.
package agent
