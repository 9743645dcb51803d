package control

import (
	"context"
	"errors"
	"fmt"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
)

// Unshelving says where a server shall come back.
type Unshelving struct {
	// Zone pins it to a zone, or with "" unpins it; nil leaves that as it is.
	Zone *string
	Host string // "" any
}

// UnshelveServer begins to bring a shelved server back.
func (c *Control) UnshelveServer(ctx context.Context, id string, u Unshelving) error {
	o := order{rule: "os_compute_api:os-shelve:unshelve", verb: compute.Unshelve, action: "unshelve", hostless: true, kind: taskUnshelve}
	state := &buildState{Requested: schedule.Place{Host: u.Host}}
	o.payload, o.patch.Zone = state, u.Zone
	o.check = func(ctx context.Context, _ *db.Tx, s *compute.Server) error { return c.checkUnshelving(ctx, s, u) }
	_, err := c.begins(ctx, id, o)
	return err
}

func (c *Control) checkUnshelving(ctx context.Context, s *compute.Server, u Unshelving) error {
	if (u.Zone != nil || u.Host != "") && s.State != compute.ShelvedOffloaded {
		return fault.Conflictf("Specifying an availability zone or a host when unshelving server \"%s\" with status \"%s\" is not supported. "+
			"The server status must be SHELVED_OFFLOADED.", s.ID, s.State)
	}
	zone := s.AvailabilityZone
	if u.Zone != nil {
		if zone = *u.Zone; zone != "" {
			if known, err := c.zoneExists(ctx, zone); err != nil {
				return err
			} else if !known {
				return fault.Invalidf("The requested availability zone is not available")
			}
		}
	}
	if u.Host == "" {
		return nil
	}
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-shelve:unshelve_to_host", auth.Target{"project_id": s.ProjectID, "user_id": s.UserID}); err != nil {
		return err
	}
	fleet, err := c.Fleet(ctx)
	if err != nil {
		return err
	}
	if fleet.byName[u.Host] == nil {
		return fault.Invalidf("Compute host %s could not be found.", u.Host)
	}
	if zone != "" && fleet.ZoneOf(u.Host) != zone {
		return fault.Conflictf("Host \"%s\" is not in the availability zone \"%s\".", u.Host, zone)
	}
	return nil
}

func (c *Control) unshelve(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state buildState
	if err := run.Payload(&state); err != nil {
		return err
	}
	if s.Task != compute.Unshelving {
		return nil // something stronger came in between
	}
	if s.State == compute.Shelved {
		return c.unshelveInPlace(ctx, run, s)
	}
	for {
		var progress compute.Progress
		var err error
		if run.Step != stepClear {
			progress, err = c.unshelveOnce(ctx, run, s, &state)
			switch {
			case err == nil:
				if err := c.completeVolumes(ctx, s); err != nil {
					return err // the task is taken up again, and finds the guest made
				}
				return c.unshelved(ctx, run, s, progress)
			case errors.Is(err, errAbandoned):
				return nil
			case ctx.Err() != nil || errors.Is(err, task.ErrLost):
				return err
			}
			c.Log.Warn("unshelve failed", "server", s.ID, "host", state.Host, "error", err)
			state.Tried, state.LastError = append(state.Tried, state.Host), err.Error()
			state.Failure = &buildFailure{Message: publicMessage(err), Again: state.Host != "" && len(state.Tried) < c.Options.MaxAttempts && !fault.Is(err, fault.Invalid)}
			if err := run.Save(ctx, stepClear, state); err != nil {
				return err
			}
		}
		if err := c.clearUnshelve(ctx, run, s, state.Host); err != nil {
			if errors.Is(err, errAbandoned) {
				return nil
			}
			return fmt.Errorf("clear after %s: %w", state.LastError, err)
		}
		if !state.Failure.Again {
			return c.ends(ctx, run, s, ended{event: "conductor_unshelve_instance", host: state.Host, cause: fault.New(fault.Conflict, "%s", state.Failure.Message)})
		}
		state.Host, state.Failure = "", nil
		if err := run.Save(ctx, "", state); err != nil {
			return err
		}
	}
}

// unshelveInPlace starts a server whose disk is on its host still.
func (c *Control) unshelveInPlace(ctx context.Context, run *task.Run, s *compute.Server) error {
	progress, err := work(ctx, c, compute.PowerCall, s.Host, workID(run), compute.PowerRequest{Server: *s, Action: "on"}, c.deadline(run, 0), c.still(ctx, s))
	if err != nil {
		return c.ends(ctx, run, s, ended{event: "compute_unshelve_instance", cause: err})
	}
	return c.unshelved(ctx, run, s, progress)
}

// unshelved writes that a server is back. The image that it came from goes; if it
// cannot, it is one more image of the user's.
func (c *Control) unshelved(ctx context.Context, run *task.Run, s *compute.Server, progress compute.Progress) error {
	if image := s.System.ShelvedImage; image != "" {
		if err := c.Images.Drop(ctx, image); err != nil {
			c.Log.Warn("the image of an unshelved server remains", "server", s.ID, "image", image, "error", err)
		}
	}
	s.System.ShelvedImage, s.System.ShelvedAt = "", 0
	now := c.Now()
	return c.ends(ctx, run, s, ended{event: "compute_unshelve_instance",
		done: store.ServerPatch{State: ptr(compute.Active), Power: &progress.Power, System: &s.System, LaunchedAt: &now}})
}

// unshelveOnce tries one host.
func (c *Control) unshelveOnce(ctx context.Context, run *task.Run, s *compute.Server, state *buildState) (progress compute.Progress, err error) {
	var image compute.Image
	if id := s.System.ShelvedImage; id != "" {
		if image, err = c.Images.Image(ctx, id); err != nil {
			return progress, err
		}
	}
	if run.Step == "" {
		if err := c.placeShelved(ctx, run, s, state); err != nil {
			return progress, err
		}
	}
	if err := c.countDevices(ctx, s, s.Hold); err != nil {
		return progress, err
	}
	if err := c.bindPorts(ctx, s, state.Host, s.ID); err != nil {
		return progress, err
	}
	if err := c.connect(ctx, s, state.Host, ""); err != nil {
		return progress, err
	}
	from := *s
	if image.ID != "" {
		from.ImageID, from.ImageMeta.DiskFormat, from.ImageMeta.ContainerFormat, from.ImageMeta.Checksum = image.ID, image.DiskFormat, image.ContainerFormat, image.Checksum
	}
	return work(ctx, c, compute.Build, state.Host, fmt.Sprint(workID(run), "/", len(state.Tried)), compute.BuildRequest{Server: from},
		run.Created.Add(c.Options.BuildTimeout.D()), c.still(ctx, s))
}

// placeShelved chooses a host for a server that is on none, claims there and
// notes both.
func (c *Control) placeShelved(ctx context.Context, run *task.Run, s *compute.Server, state *buildState) error {
	c.placing.Lock()
	defer c.placing.Unlock()
	if err := c.unclaimed(ctx, run, s.ID); err != nil {
		return err
	}
	began := c.Now()
	for round := 1; ; round++ {
		choices, explanation, err := c.choose(ctx, s, state)
		state.Explanation = &explanation
		if err == nil {
			err = c.placeShelvedOn(ctx, run, s, state, choices)
		}
		// Others were faster in what is held beyond the claim: choose anew.
		if !errors.Is(err, errHeld) || round == placeRounds {
			c.keepDecision(ctx, run, s.ID, s.Host, began, state.Explanation, err)
			return err
		}
	}
}

func (c *Control) placeShelvedOn(ctx context.Context, run *task.Run, s *compute.Server, state *buildState, choices []schedule.Choice) error {
	claim := compute.Claim{ServerID: s.ID, ProjectID: s.ProjectID, UserID: s.UserID, Resources: resourcesOf(s)}
	var lost error
	for _, choice := range choices {
		claim.Allocations, s.Roots = choice.Allocations, choice.Roots
		err := c.Placement.Claim(ctx, choice.ProviderID, claim)
		if err == nil {
			next := *state
			next.Host, next.Attempt = choice.Name, state.Attempt+1
			err = c.onto(ctx, run, s, store.ServerPatch{Host: &choice.Name, Node: &choice.Node}, stepPlaced, next)
			if !errors.Is(err, errHeld) {
				*state = next
				if err == nil {
					s.Host, s.Node = choice.Name, choice.Node
				}
				return err
			}
			if err := c.unclaim(ctx, run, s); err != nil {
				return err
			}
		} else if !fault.Is(err, fault.Conflict) {
			return err
		}
		if !errors.Is(lost, errHeld) { // somebody was faster
			lost = err
		}
	}
	return fault.New(fault.Conflict, "No valid host was found. On each of the %d hosts that were chosen others took the room first: %w", len(choices), lost)
}

// clearUnshelve takes back what a try on a host has left.
func (c *Control) clearUnshelve(ctx context.Context, run *task.Run, s *compute.Server, host string) error {
	if host != "" {
		if err := c.destroyGuest(ctx, s, host, "clear/"+newID()); err != nil {
			return err
		}
	}
	if err := c.leaveHost(ctx, s); err != nil {
		return err
	}
	if err := c.onto(ctx, run, s, store.ServerPatch{Host: ptr(""), Node: ptr("")}, stepClear, nil); err != nil {
		return err
	}
	s.Host, s.Node = "", ""
	return nil
}
