// Package simulate tries a scheduling policy on an imagined fleet: the scheduler
// is the real one (package schedule), Placement's part, who has room, is counted
// here, and time is the trace's.
//
//	fleet, err := simulate.NewFleet(simulate.Shape{Hosts: 10_000, ...})
//	trace := simulate.Generate(seed, 20_000, fleet)
//	report, err := simulate.Run(ctx, config, fleet, trace)
//
// The package reads what it is handed and writes reports; it has no clock of its
// own, no database and no neighbours. `kilonova simulate` is its command.
package simulate
