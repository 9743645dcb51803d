// Command kilonova is the cloud: every service, agent and tool in one binary. It
// parses flags and calls package stack; nothing else.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"kilonova/stack"
)

func main() {
	stack.TuneCollector()
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
