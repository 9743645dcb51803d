package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
)

// buildState is what a build remembers between its steps.
type buildState struct {
	// Requested is where an administrator wants the server.
	Requested schedule.Place `json:"requested"`
	// Ignored are hosts that are not considered: where a server moves away from.
	Ignored []string `json:"ignored,omitempty"`

	Attempt int      `json:"attempt"`
	Host    string   `json:"host,omitempty"` // chosen and claimed
	Tried   []string `json:"tried,omitempty"`
	// Explanation is why the host was chosen, for those who ask.
	Explanation *schedule.Explanation `json:"explanation,omitempty"`
	LastError   string                `json:"last_error,omitempty"`
	// Refused is what the host tried last has said: once no host is left, that is
	// what the user has to know.
	Refused string `json:"refused,omitempty"`
	// Failure is why the try on Host ended, while what it has left is cleared.
	Failure *buildFailure `json:"failure,omitempty"`
}

type buildFailure struct {
	Message string `json:"message"` // for the user
	Again   bool   `json:"again"`   // on another host
}

// The steps of a build; "" is choosing a host.
const (
	stepPlaced = "placed" // a host is chosen and claimed
	stepClear  = "clear"  // the try has failed: clear what it has left
)

// errAbandoned: the server shall no longer exist; the delete that waits behind
// this task cleans up.
var errAbandoned = errors.New("the server is being deleted")

// build brings a new server from BUILD to ACTIVE, or to ERROR with a reason:
// choose a host and claim on it, make the ports, have the agent make the guest.
// It may be taken up again after any of these.
func (c *Control) build(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state buildState
	if err := run.Payload(&state); err != nil {
		return err
	}
	if s.State != compute.Building {
		return nil
	}
	deadline := run.Created.Add(c.Options.BuildTimeout.D())
	for {
		if run.Step != stepClear {
			progress, err := c.buildOnce(ctx, run, s, &state, deadline)
			switch {
			case err == nil:
				return c.built(ctx, run, s, state, progress)
			case errors.Is(err, errAbandoned):
				return nil
			case ctx.Err() != nil || errors.Is(err, task.ErrLost) || errors.Is(err, errBeside):
				return err // taken up again by whoever comes next
			}
			c.Log.Warn("build failed", "server", s.ID, "host", state.Host, "error", err)
			state.Tried, state.LastError = append(state.Tried, state.Host), err.Error()
			if state.Host != "" {
				state.Refused = fmt.Sprintf("host %s: %s", state.Host, publicMessage(err))
			}
			state.Failure = &buildFailure{Message: publicMessage(err),
				Again: state.Host != "" && len(state.Tried) < c.Options.MaxAttempts && c.Now().Before(deadline) && !fault.Is(err, fault.Invalid)}
			// noted before it is done: a claim that is given back must not be built on
			if err := c.noteFailure(ctx, run, state); err != nil {
				return err
			}
		}
		if err := c.clearAttempt(ctx, s, state.Host); err != nil {
			return fmt.Errorf("clear after %s: %w", state.LastError, err) // the task is tried again, and so is this
		}
		if !state.Failure.Again {
			return c.failBuild(ctx, run, s, state)
		}
		state.Host, state.Failure = "", nil
		if err := run.Save(ctx, "", state); err != nil {
			return err
		}
	}
}

// noteFailure writes that a try has failed, and counts it against the host.
func (c *Control) noteFailure(ctx context.Context, run *task.Run, state buildState) error {
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if state.Host != "" {
			if err := c.Store.AddBuildFailure(ctx, tx, state.Host); err != nil {
				return err
			}
			tx.OnCommit(c.fleet.outdate)
		}
		return run.SaveIn(ctx, tx, stepClear, state)
	})
}

// forgive forgets a host's failures once a build has succeeded there.
func (c *Control) forgive(ctx context.Context, host string) {
	f, err := c.fleetWithin(ctx, fleetPatience)
	if err == nil && f.failures[host] > 0 {
		err = c.Store.Tx(ctx, func(tx *db.Tx) error { return c.Store.ForgetBuildFailures(ctx, tx, host) })
	}
	if err != nil {
		c.Log.Warn("a host's failed builds are not forgotten", "host", host, "error", err)
	}
}

// built writes that the server is there. Should the database not take it, the
// task is taken up again and finds the guest made.
func (c *Control) built(ctx context.Context, run *task.Run, s *compute.Server, state buildState, progress compute.Progress) error {
	if err := c.completeVolumes(ctx, s); err != nil {
		return err
	}
	c.forgive(ctx, state.Host)
	now := c.Now()
	return c.finish(ctx, run, s, store.ServerPatch{State: ptr(compute.Active), Task: ptr(compute.NoTask), Power: &progress.Power, LaunchedAt: &now,
		AdminPass: ptr(""), Files: &[]compute.InjectedFile{}}, "compute__do_build_and_run_instance", state.Host, nil)
}

// buildOnce tries one host.
func (c *Control) buildOnce(ctx context.Context, run *task.Run, s *compute.Server, state *buildState, deadline time.Time) (progress compute.Progress, err error) {
	if run.Step == "" {
		if err := c.place(ctx, run, s, state); err != nil {
			return progress, err
		}
	}
	if err := c.countDevices(ctx, s, s.Hold); err != nil {
		return progress, err
	}
	if err := c.ensurePorts(ctx, s, state.Host, run.Attempt > 1); err != nil {
		return progress, err
	}
	if err := c.ensureVolumes(ctx, s, state.Host, deadline); err != nil {
		return progress, err
	}
	if firstTask(s) != compute.Spawning { // else that was noted with the host
		if err := c.advance(ctx, s, store.ServerPatch{Task: ptr(compute.Spawning), Networks: &s.Networks}); err != nil {
			return progress, err
		}
	}
	check := func() error { return c.stillWanted(ctx, s) }
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c.building.Store(s.ID, stop)
	defer c.building.Delete(s.ID)
	if err := check(); err != nil { // somebody may have come before the line above
		return progress, err
	}
	return work(ctx, c, compute.Build, state.Host, run.Subject+"/"+fmt.Sprint(len(state.Tried)), compute.BuildRequest{Server: *s}, deadline, check)
}

// firstTask is what comes first for a server that has got a host.
func firstTask(s *compute.Server) compute.Task {
	if len(s.Wanted)+len(s.Devices) == 0 { // nothing to prepare beside the host
		return compute.Spawning
	}
	return compute.Networking
}

// advance writes progress of a build; errAbandoned when it shall not go on.
func (c *Control) advance(ctx context.Context, s *compute.Server, p store.ServerPatch) error {
	return c.Store.Together(ctx, func(tx *db.Tx) error {
		ok, err := c.Store.UpdateServer(ctx, tx, s.ID, p, store.Expect{States: []compute.State{compute.Building},
			Tasks: []compute.Task{compute.Scheduling, compute.Networking, compute.BlockMapping, compute.Spawning}, Existing: true}, c.Now())
		if err == nil && !ok {
			err = errAbandoned
		}
		return err
	})
}

func (c *Control) stillWanted(ctx context.Context, s *compute.Server) error {
	state, task, err := c.Store.StateOf(ctx, c.Store.DB, s.ID)
	if err == nil && (task == compute.Deleting || state != compute.Building) {
		err = errAbandoned
	}
	return err
}

// ensurePorts makes or binds what the server wants of networks on a host. When
// the task is taken up again, ports that it made before are found by the
// server's id and used.
func (c *Control) ensurePorts(ctx context.Context, s *compute.Server, host string, again bool) error {
	if len(s.Wanted) == 0 {
		s.Networks = nil
		return nil
	}
	var have []compute.Interface
	if again {
		var err error
		if have, err = c.Networks.Ports(ctx, s.ID); err != nil {
			return err
		}
	}
	zone, err := c.zoneOf(ctx, host)
	if err != nil {
		return err
	}
	if err := c.assignPorts(ctx, s, s.ID); err != nil {
		return err
	}
	var owned []string
	for _, w := range s.Wanted {
		if w.PortID != "" {
			if err := c.Networks.Bind(ctx, w.PortID, s.ID, host, zone); err != nil {
				return err
			}
			continue
		}
		if i := slices.IndexFunc(have, func(p compute.Interface) bool { return p.NetworkID == w.NetworkID && !slices.Contains(owned, p.PortID) }); i >= 0 {
			owned = append(owned, have[i].PortID)
			continue
		}
		port, err := c.Networks.Create(ctx, compute.PortSpec{ServerID: s.ID, ProjectID: s.ProjectID, NetworkID: w.NetworkID, FixedIP: w.FixedIP,
			SecurityGroups: s.SecurityGroups, Host: host, Zone: zone, Hostname: s.Hostname})
		if err != nil {
			return err
		}
		if err := noRequest(port, s.ID); err != nil {
			return err
		}
		owned = append(owned, port.ID)
	}
	ports, err := c.Networks.Ports(ctx, s.ID)
	if err != nil {
		return err
	}
	s.Networks = orderPorts(ports, s.Wanted, owned)
	return nil
}

// orderPorts puts a server's ports in the order in which they were asked for,
// and notes which of them compute has made.
func orderPorts(ports []compute.Interface, wanted []compute.NetworkRequest, owned []string) []compute.Interface {
	ordered := make([]compute.Interface, 0, len(ports))
	next := 0
	for _, w := range wanted {
		id := w.PortID
		if id == "" && next < len(owned) {
			id = owned[next]
			next++
		}
		if i := slices.IndexFunc(ports, func(p compute.Interface) bool { return p.PortID == id }); i >= 0 {
			p := ports[i]
			p.Tag, p.Owned = w.Tag, w.PortID == ""
			ordered = append(ordered, p)
		}
	}
	return ordered
}

// clearAttempt takes back what a try on a host has left: the guest, the ports,
// that the host is let in to volumes, the claim.
func (c *Control) clearAttempt(ctx context.Context, s *compute.Server, host string) error {
	if host != "" {
		if err := c.destroyGuest(ctx, s, host, "clear/"+newID()); err != nil {
			return err
		}
	}
	if err := c.dropPorts(ctx, s); err != nil {
		return err
	}
	if err := c.moveVolumes(ctx, s, ""); refused(err) {
		c.Log.Error("volumes of a server that was not built are as they were", "server", s.ID, "host", host, "error", err)
	} else if err != nil {
		return err
	}
	if err := c.Placement.Release(ctx, s.ID); err != nil {
		return err
	}
	s.Networks, s.Host, s.Node = nil, "", ""
	return c.advanceOrAbandon(ctx, s)
}

func (c *Control) advanceOrAbandon(ctx context.Context, s *compute.Server) error {
	err := c.advance(ctx, s, store.ServerPatch{Task: ptr(compute.Scheduling), Host: ptr(""), Node: ptr(""), Networks: &s.Networks})
	if errors.Is(err, errAbandoned) {
		return nil // failBuild and the next try see it themselves
	}
	return err
}

// failBuild puts the server in ERROR and says why.
func (c *Control) failBuild(ctx context.Context, run *task.Run, s *compute.Server, state buildState) error {
	f := &compute.ServerFault{Code: 500, Created: c.Now(), Message: state.Failure.Message, Details: details(state)}
	if len(state.Tried) > 1 && state.Refused != "" {
		f.Message = fmt.Sprintf("Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures for instance %s; the last was %s", s.ID, state.Refused)
	}
	return c.finish(ctx, run, s, store.ServerPatch{State: ptr(compute.Error), Task: ptr(compute.NoTask), Fault: &f}, "conductor_schedule_and_build_instances", state.Host,
		errors.New(state.LastError))
}

// publicMessage is what a user may know of a failure.
func publicMessage(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Message
	}
	return "The server could not be made because of an internal error."
}

func details(state buildState) string {
	if state.Explanation == nil {
		return state.LastError
	}
	return state.LastError + "\n" + state.Explanation.String()
}

func ptr[T any](v T) *T { return &v }
