package main

import (
	"fmt"
	"sort"
	"time"

	"github.com/spf13/cobra"

	"kilonova/stack"
)

func cleanCommand() *cobra.Command {
	var s settings
	var disks bool
	cmd := &cobra.Command{Use: "clean", Short: "Remove from this host what a stopped cloud has left running: guests, bridges, rules", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			log, err := c.Logger()
			if err != nil {
				return err
			}
			return stack.Clean(cmd.Context(), c, disks, log, time.Now)
		}}
	s.flags(cmd)
	cmd.Flags().BoolVar(&disks, "disks", false, "also the guests' disks")
	return cmd
}

func routesCommand() *cobra.Command {
	return &cobra.Command{Use: "routes", Short: "Print the operations of every API as a Markdown table", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			apis, err := stack.APIs(cmd.Context())
			if err != nil {
				return err
			}
			for _, api := range apis {
				fmt.Printf("\n## %s\n\n| method | path | action | versions | operation |\n|---|---|---|---|---|\n", api.Name)
				rows := api.Routes
				sort.SliceStable(rows, func(i, j int) bool { return rows[i].Path < rows[j].Path })
				for _, r := range rows {
					fmt.Printf("| %s | `%s` | %s | %s | %s |\n", r.Method, r.Path, r.Action, r.Versions, r.Doc)
				}
			}
			return nil
		}}
}
