package main

import "github.com/spf13/cobra"

// manageCommand holds what operators do on a host, by service.
func manageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "manage", Short: "Maintain a service's keys and records on this host"}
	cmd.AddCommand(manageIdentityCommand(), manageImageCommand())
	return cmd
}
