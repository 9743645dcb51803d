package stack

import (
	"os"
	"runtime/debug"
)

// garbage is how much the heap may grow between collections, in percent of what is
// live. Little is live in a cloud at rest, so that Go's own 100 would collect after
// every few MiB of answers.
const garbage = 200

// TuneCollector sets the process's garbage collector to what suits a cloud, where the
// environment does not say (GOGC).
func TuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
}
