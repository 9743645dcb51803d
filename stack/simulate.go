package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"kilonova/service/compute/simulate"
)

// Simulation is a trial of a scheduling policy on an imagined fleet.
type Simulation struct {
	Hosts, Zones             int // of the fleet, unless Fleet names one
	VCPUs, MemoryMB, DiskGB  int // of each of its hosts
	Fleet, Trace, Plot, JSON string
	Servers                  int    // of the trace that is imagined where Trace names none
	Seed                     uint64 // of that, and of the scheduler's lots
}

// Simulate plays a trace on a fleet with the policy of c, and writes a report.
func Simulate(ctx context.Context, c Config, s Simulation, out io.Writer) error {
	if ext := filepath.Ext(s.Plot); ext != "" && ext != ".svg" {
		return fmt.Errorf("%s: plots are drawn as SVG, so that the file's name ends in .svg", s.Plot)
	}
	o := c.computeOptions()
	ratios := simulate.Ratios{CPU: o.CPURatio, RAM: o.RAMRatio, Disk: o.DiskRatio, ReservedMB: o.ReservedMemory}
	shapes := []simulate.Shape{{Hosts: s.Hosts, Prefix: "host-", VCPUs: s.VCPUs, MemoryMB: s.MemoryMB, DiskGB: s.DiskGB, Zones: s.Zones}}
	var err error
	if s.Fleet != "" {
		if shapes, err = reading(s.Fleet, simulate.ReadShapes); err != nil {
			return err
		}
	}
	fleet, err := simulate.NewFleet(ratios, shapes...)
	if err != nil {
		return err
	}
	trace, err := s.trace()
	if err != nil {
		return err
	}
	lots := rand.New(rand.NewPCG(s.Seed, 1))
	report, err := simulate.Run(ctx, simulate.Config{Options: o.Scheduler, Pick: lots.IntN, Now: time.Now}, fleet, trace)
	if err != nil {
		return err
	}
	report.Write(out)
	return errors.Join(writing(s.Plot, report.Plot), writing(s.JSON, report.JSON))
}

func (s *Simulation) trace() ([]simulate.Arrival, error) {
	if s.Trace != "" {
		return reading(s.Trace, simulate.ReadTrace)
	}
	if s.Servers < 1 || s.Servers > simulate.MaxServers {
		return nil, fmt.Errorf("the number of servers is from 1 to %d, not %d", simulate.MaxServers, s.Servers)
	}
	return simulate.Generate(s.Seed, s.Servers), nil
}

func reading[T any](path string, read func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		var none T
		return none, err
	}
	defer f.Close()
	got, err := read(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return got, err
}

// writing makes a file; "" none.
func writing(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
