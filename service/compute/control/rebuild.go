package control

import (
	"context"
	"errors"
	"reflect"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/hardware"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
)

// Rebuild is what a server shall be made anew from; nil leaves what it has.
type Rebuild struct {
	ImageID     string
	AdminPass   string // "" one is made
	Name        *string
	Description **string
	Hostname    *string
	Metadata    *map[string]string
	KeyName     *string // "" none
	UserData    *string // "" none
	Files       []compute.InjectedFile
	// Certificates are ids of those that the image's signature may be made with;
	// an empty list is none.
	Certificates *[]string
	DiskConfig   *string
	AccessIPv4   *string
	AccessIPv6   *string
	// Reimage: the caller knows that a root disk that is a volume is written over.
	Reimage bool
}

// rebuildState is what a rebuild remembers.
type rebuildState struct {
	WasState compute.State     `json:"was_state"`
	OldImage string            `json:"old_image"`
	OldMeta  compute.ImageMeta `json:"old_meta"`
	// Reimage is the image to be written over the root volume; "" none.
	Reimage string `json:"reimage,omitempty"`
}

// RebuildServer begins to make a server's guest anew, on the host where it is.
// It returns the server as it will be, and its new password.
func (c *Control) RebuildServer(ctx context.Context, id string, r Rebuild) (*compute.Server, string, error) {
	s, err := c.movable(ctx, "os_compute_api:servers:rebuild", id, compute.Rebuild)
	if err != nil {
		return nil, "", err
	}
	if err := c.hostServes(ctx, s.Host, compute.RebuildGuest.Name, "rebuild guests"); err != nil {
		return nil, "", err
	}
	if r.AdminPass == "" {
		r.AdminPass = randomText(12)
	}
	patch := store.ServerPatch{Task: ptr(compute.Rebuilding), Progress: ptr(0), AdminPass: &r.AdminPass, DisplayName: r.Name, Description: r.Description, Hostname: r.Hostname,
		Metadata: r.Metadata, UserData: r.UserData, DiskConfig: r.DiskConfig, AccessIPv4: r.AccessIPv4, AccessIPv6: r.AccessIPv6}
	if r.KeyName != nil {
		if patch.KeyName, patch.KeyData, err = c.newKey(ctx, *r.KeyName); err != nil {
			return nil, "", err
		}
	}
	with := *s
	with.ImageID = r.ImageID
	state := rebuildState{WasState: s.State, OldImage: s.ImageID, OldMeta: s.ImageMeta}
	if s.BootsFromVolume() {
		over, err := c.checkReimage(ctx, s, &with, r.Reimage)
		if err != nil {
			return nil, "", err
		}
		if over {
			state.Reimage = r.ImageID
		}
		with.ImageID = s.ImageID
	} else if err := c.checkImage(ctx, &with); err != nil {
		return nil, "", err
	}
	if err := keepsTopology(s, &with); err != nil {
		return nil, "", err
	}
	if err := c.checkFiles(ctx, auth.From(ctx), r.Files); err != nil {
		return nil, "", err
	}
	if patch.Files = &r.Files; r.Certificates != nil {
		if err := c.Policy.Enforce(ctx, "os_compute_api:servers:rebuild:trusted_certs", auth.Target{"project_id": s.ProjectID, "user_id": s.UserID}); err != nil {
			return nil, "", err
		}
		system := s.System
		system.TrustedCertificates = *r.Certificates
		patch.System = &system
	}
	patch.ImageID, patch.ImageMeta = &with.ImageID, &with.ImageMeta
	err = c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.withoutShares(ctx, tx, s, compute.Rebuild); err != nil {
			return err
		}
		limits, err := c.limits(ctx, tx, s.ProjectID, "")
		if err != nil {
			return err
		}
		if q := limits["metadata_items"]; r.Metadata != nil && q >= 0 && len(*r.Metadata) > q {
			return overQuota("metadata_items", len(*r.Metadata), 0, q)
		}
		ok, err := c.Store.UpdateServer(ctx, tx, id, patch, store.Expect{Existing: true, States: []compute.State{s.State}, Tasks: []compute.Task{s.Task}}, c.Now())
		if err != nil {
			return err
		}
		if !ok {
			return fault.Conflictf("Cannot '%s' instance %s: it has changed meanwhile.", compute.Rebuild, id)
		}
		if err := c.act(ctx, tx, id, "rebuild"); err != nil {
			return err
		}
		return c.add(ctx, tx, taskRebuild, id, state)
	})
	if err != nil {
		return nil, "", err
	}
	after, err := c.Store.Server(ctx, c.Store.DB, id)
	return after, r.AdminPass, err
}

// newKey finds the caller's keypair of a name; with "" there shall be none.
func (c *Control) newKey(ctx context.Context, name string) (keyName, keyData *string, err error) {
	if name == "" {
		return &name, ptr(""), nil
	}
	key, err := c.Store.Keypair(ctx, c.Store.DB, auth.From(ctx).UserID, name)
	if fault.Is(err, fault.NotFound) {
		return nil, nil, fault.Invalidf("Invalid key_name provided: you have no keypair %s.", name)
	}
	if err != nil {
		return nil, nil, err
	}
	return &key.Name, &key.PublicKey, nil
}

// rebuild has the host make the guest anew. A server that was switched off is so
// afterwards.
func (c *Control) rebuild(ctx context.Context, run *task.Run, s *compute.Server) error {
	var state rebuildState
	if err := run.Payload(&state); err != nil {
		return err
	}
	if s.Task != compute.Rebuilding && s.Task != compute.RebuildSpawn {
		return nil
	}
	if (s.ImageID != state.OldImage || state.Reimage != "") && run.Step == "" {
		if err := c.mayStay(ctx, s); err != nil {
			f := &compute.ServerFault{Code: rest.Status(err), Created: c.Now(), Message: publicMessage(err), Details: err.Error()}
			patch := store.ServerPatch{State: ptr(compute.Error), Task: ptr(compute.NoTask), Fault: &f, ImageID: &state.OldImage, ImageMeta: &state.OldMeta, AdminPass: ptr(""), Files: &[]compute.InjectedFile{}}
			return c.rebuilt(ctx, run, s, patch, err)
		}
	}
	if run.Step == "" {
		if err := c.spawning(ctx, run, s, state); err != nil {
			if errors.Is(err, errAbandoned) {
				return nil
			}
			return err
		}
	}
	progress, err := c.rebuildOnce(ctx, run, s, state)
	if err != nil && (ctx.Err() != nil || errors.Is(err, errAbandoned)) {
		if ctx.Err() != nil {
			return err
		}
		return nil
	}
	if err != nil {
		f := &compute.ServerFault{Code: rest.Status(err), Created: c.Now(), Message: publicMessage(err), Details: err.Error()}
		return c.rebuilt(ctx, run, s, store.ServerPatch{State: ptr(compute.Error), Task: ptr(compute.NoTask), Fault: &f, AdminPass: ptr(""), Files: &[]compute.InjectedFile{}}, err)
	}
	var none *compute.ServerFault
	now, is := c.Now(), compute.Active
	if state.WasState == compute.Stopped {
		is = compute.Stopped
	}
	return c.rebuilt(ctx, run, s, store.ServerPatch{State: &is, Task: ptr(compute.NoTask), Power: &progress.Power, Fault: &none, LaunchedAt: &now, AdminPass: ptr(""), Files: &[]compute.InjectedFile{}}, nil)
}

// rebuildOnce does what is left of a rebuild.
func (c *Control) rebuildOnce(ctx context.Context, run *task.Run, s *compute.Server, state rebuildState) (progress compute.Progress, err error) {
	if state.Reimage != "" {
		if run.Step == stepPlaced {
			if err := c.reimage(ctx, run, s, state); err != nil {
				return progress, err
			}
		}
		if err := c.connect(ctx, s, s.Host, ""); err != nil {
			return progress, err
		}
	}
	request := compute.RebuildRequest{Server: *s, On: state.WasState != compute.Stopped}
	progress, err = work(ctx, c, compute.RebuildGuest, s.Host, workID(run), request, run.Created.Add(c.Options.BuildTimeout.D()), func() error { return c.notDeleting(ctx, s) })
	if err != nil || state.Reimage == "" {
		return progress, err
	}
	return progress, c.completeVolumes(ctx, s)
}

// spawning notes that the guest's disks are about to go.
func (c *Control) spawning(ctx context.Context, run *task.Run, s *compute.Server, state rebuildState) error {
	next := compute.RebuildSpawn
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		ok, err := c.Store.UpdateServer(ctx, tx, s.ID, store.ServerPatch{Task: &next}, store.Expect{Existing: true, Tasks: []compute.Task{s.Task}}, c.Now())
		if err != nil {
			return err
		}
		if !ok {
			return errAbandoned
		}
		tx.OnCommit(func() { s.Task = next })
		return run.SaveIn(ctx, tx, stepPlaced, state)
	})
}

func (c *Control) rebuilt(ctx context.Context, run *task.Run, s *compute.Server, patch store.ServerPatch, cause error) error {
	now := c.Now()
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		ok, err := c.Store.UpdateServer(ctx, tx, s.ID, patch, store.Expect{Existing: true, Tasks: []compute.Task{s.Task}}, now)
		if err != nil {
			return err
		}
		if ok {
			if err := c.Store.AddEvent(ctx, tx, run.RequestID, s.ID, eventOf("compute_rebuild_instance", s.Host, run.Created, now, cause), now); err != nil {
				return err
			}
		}
		return run.EndIn(ctx, tx)
	})
}

// mayStay asks the scheduler whether a server's host can also run its new image.
func (c *Control) mayStay(ctx context.Context, s *compute.Server) error {
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, s.Host)
	if err != nil {
		return err
	}
	fleet, err := c.Fleet(ctx)
	if err != nil {
		return err
	}
	hosts, err := c.scheduleHosts(ctx, fleet, []compute.Candidate{{ProviderID: h.NodeID}}, needs{servers: true, seats: true}, nil)
	if err != nil {
		return err
	}
	request, err := c.scheduleRequest(ctx, s, &buildState{Requested: schedule.Place{Host: s.Host}})
	if err != nil {
		return err
	}
	request.Rebuild = true
	result, err := c.scheduler.Select(hosts, request)
	if err != nil {
		return err
	}
	if len(result.Ordered) == 0 {
		return fault.Conflictf("%s", result.Explanation.Summary())
	}
	return nil
}

// keepsTopology refuses an image that asks for other NUMA nodes, processors or pages
// than the server has: it stays on those that it holds.
func keepsTopology(s, with *compute.Server) error {
	is, err := hardware.TopologyOf(wishesOf(s))
	if err != nil {
		return err
	}
	would, err := hardware.TopologyOf(wishesOf(with))
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(is, would) {
		return fault.Invalidf("An instance's NUMA topology cannot be changed as part of a rebuild. The image %s provided is invalid for this instance.", with.ImageID)
	}
	return nil
}
