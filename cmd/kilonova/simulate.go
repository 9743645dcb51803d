package main

import (
	"github.com/spf13/cobra"

	"kilonova/stack"
)

func simulateCommand() *cobra.Command {
	var s stack.Simulation
	var config string
	cmd := &cobra.Command{Use: "simulate", Short: "Try a scheduling policy on an imagined fleet and workload", Args: cobra.NoArgs,
		Long: "Plays a trace of servers that come and go on hosts that do not exist, with the scheduler's own code and the policy of a\n" +
			"configuration file, and prints how densely and how evenly the hosts were filled, what was refused and why, and how long\n" +
			"decisions took. Nothing is started and nothing is written but the files that are asked for.",
		Example: "  kilonova simulate --hosts 10000\n  kilonova simulate --hosts 500 --trace last-week.csv --config trial.toml --plot trial.svg",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := stack.Load(config)
			if err != nil {
				return err
			}
			return stack.Simulate(cmd.Context(), c, s, cmd.OutOrStdout())
		}}
	f := cmd.Flags()
	f.StringVar(&config, "config", "", "configuration `file`; only what is about scheduling counts")
	f.IntVar(&s.Hosts, "hosts", 1000, "`number` of hosts")
	f.IntVar(&s.VCPUs, "host-vcpus", 64, "processors of each")
	f.IntVar(&s.MemoryMB, "host-ram", 256<<10, "memory of each, in MiB")
	f.IntVar(&s.DiskGB, "host-disk", 4000, "disk of each, in GiB")
	f.IntVar(&s.Zones, "zones", 1, "`number` of availability zones over which they are dealt out")
	f.StringVar(&s.Fleet, "fleet", "", "`file` that describes unlike hosts, instead of the flags above")
	f.StringVar(&s.Trace, "trace", "", "`file` of what is asked for, CSV or JSON lines; without it a day is imagined")
	f.IntVar(&s.Servers, "servers", 20_000, "`number` of servers of the imagined day")
	f.Uint64Var(&s.Seed, "seed", 1, "`number` that the imagined day and the scheduler's lots come from")
	f.StringVar(&s.Plot, "plot", "", "SVG `file` to draw the result into")
	f.StringVar(&s.JSON, "json", "", "`file` to write the result to, as JSON")
	return cmd
}
