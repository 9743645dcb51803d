// Command kilonova is the cloud: every service, agent and tool in one binary. It
// parses flags and calls package stack; nothing else.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// garbage is how much the heap may grow between collections, in percent of what is
// live, where the environment does not say (GOGC). Little is live in a cloud at
// rest, so that Go's own 100 would collect after every few MiB of answers.
const garbage = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "kilonova", Short: "An OpenStack cloud in one binary", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(serveCommand(), devCommand(), fillCommand(), cleanCommand(), routesCommand(), simulateCommand(), whyCommand(), manageCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "kilonova:", err)
		stop()
		os.Exit(1)
	}
}
