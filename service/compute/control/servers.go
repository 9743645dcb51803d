package control

import (
	"context"
	"errors"
	"iter"
	"maps"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// ownServer returns a server on which the caller may do what rule is about. One
// that the caller may not even see is not found.
func (c *Control) ownServer(ctx context.Context, rule, id string) (*compute.Server, error) {
	s, err := c.Store.Server(ctx, c.Store.DB, id)
	if err != nil {
		return nil, err
	}
	missing := fault.NotFoundf("Instance %s could not be found.", id)
	target := auth.Target{"project_id": s.ProjectID, "user_id": s.UserID}
	caller := auth.From(ctx)
	if !s.DeletedAt.IsZero() {
		return nil, missing
	}
	if caller.ProjectID != s.ProjectID && !c.Policy.Allows(ctx, "context_is_admin", nil) {
		return nil, missing
	}
	return s, c.Policy.Enforce(ctx, rule, target)
}

// unlocked refuses to change a locked server, but for administrators.
func (c *Control) unlocked(ctx context.Context, s *compute.Server) error {
	if s.Locked && !c.Policy.Allows(ctx, "context_is_admin", nil) {
		return fault.Conflictf("Instance %s is locked", s.ID)
	}
	return nil
}

// changeable returns a server that the caller may change as rule is about.
func (c *Control) changeable(ctx context.Context, rule, id string) (*compute.Server, error) {
	s, err := c.ownServer(ctx, rule, id)
	if err != nil {
		return nil, err
	}
	return s, c.unlocked(ctx, s)
}

// asked returns a server of which the caller may ask a verb now. What then writes
// looks again, in its transaction.
func (c *Control) asked(ctx context.Context, rule, id string, verb compute.Verb) (*compute.Server, error) {
	s, err := c.changeable(ctx, rule, id)
	if err != nil {
		return nil, err
	}
	return s, compute.Allowed(verb, s)
}

// Server returns one server. Administrators also see deleted ones' ids as gone.
func (c *Control) Server(ctx context.Context, id string) (*compute.Server, error) {
	return c.ownServer(ctx, "os_compute_api:servers:show", id)
}

// ServerForRule returns a server for an operation of another resource of it.
func (c *Control) ServerForRule(ctx context.Context, rule, id string) (*compute.Server, error) {
	return c.ownServer(ctx, rule, id)
}

// Servers yields servers, with details or not. Without allProjects they are those
// of the caller's project, whatever q says.
func (c *Control) Servers(ctx context.Context, q compute.ServerQuery, allProjects, detail bool) (iter.Seq2[*compute.Server, error], error) {
	caller := auth.From(ctx)
	rule := "os_compute_api:servers:" + map[bool]string{false: "index", true: "detail"}[detail]
	if err := c.Policy.Enforce(ctx, rule, auth.Own(ctx)); err != nil {
		return nil, err
	}
	if allProjects {
		if err := c.Policy.Enforce(ctx, rule+":get_all_tenants", nil); err != nil {
			return nil, err
		}
	} else {
		q.ProjectID = caller.ProjectID
	}
	return c.Store.Servers(ctx, c.Store.DB, q), nil
}

// ServerChange is what an update may change; nil leaves it.
type ServerChange struct {
	Name        *string
	Description **string
	Hostname    *string
	AccessIPv4  *string
	AccessIPv6  *string
	DiskConfig  *string
	PinnedZone  *string // "" unpins
}

// UpdateServer changes what a user may change of a server's face.
func (c *Control) UpdateServer(ctx context.Context, id string, ch ServerChange) (*compute.Server, error) {
	s, err := c.changeable(ctx, "os_compute_api:servers:update", id)
	if err != nil {
		return nil, err
	}
	patch := store.ServerPatch{DisplayName: ch.Name, Description: ch.Description, Hostname: ch.Hostname, AccessIPv4: ch.AccessIPv4, AccessIPv6: ch.AccessIPv6, DiskConfig: ch.DiskConfig, Zone: ch.PinnedZone}
	if err := c.pinnable(ctx, s, ch.PinnedZone); err != nil {
		return nil, err
	}
	err = c.Store.Tx(ctx, func(tx *db.Tx) error {
		_, err := c.Store.UpdateServer(ctx, tx, id, patch, store.Expect{Existing: true}, c.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.ownServer(ctx, "os_compute_api:servers:update", id)
}

// pinnable refuses to pin a server to a zone that there is not, or that it is not in.
func (c *Control) pinnable(ctx context.Context, s *compute.Server, zone *string) error {
	if zone == nil || *zone == "" {
		return nil
	}
	known, err := c.zoneExists(ctx, *zone)
	if err != nil {
		return err
	}
	if !known {
		return fault.Invalidf("The requested availability zone is not available: there is no zone %s.", *zone)
	}
	if at, err := c.zoneOf(ctx, s.Host); err != nil || s.Host != "" && at != *zone {
		return errors.Join(err, fault.Conflictf("Instance %s is on a host in availability zone %s and cannot be pinned to %s.", s.ID, at, *zone))
	}
	return nil
}

// Metadata returns a server's metadata.
func (c *Control) Metadata(ctx context.Context, id string) (map[string]string, error) {
	s, err := c.ownServer(ctx, "os_compute_api:server-metadata:index", id)
	if err != nil {
		return nil, err
	}
	return s.Metadata, nil
}

// ChangeMetadata has change make the new metadata out of the old, in a
// transaction, and returns them. rule is the last word of the policy's name.
func (c *Control) ChangeMetadata(ctx context.Context, id, rule string, change func(map[string]string) (map[string]string, error)) (map[string]string, error) {
	if _, err := c.changeable(ctx, "os_compute_api:server-metadata:"+rule, id); err != nil {
		return nil, err
	}
	verb := compute.SetMetadata
	if rule == "delete" {
		verb = compute.DeleteMetadata
	}
	var after map[string]string
	err := c.Store.Tx(ctx, func(tx *db.Tx) error {
		s, err := c.Store.Server(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := compute.Allowed(verb, s); err != nil {
			return err
		}
		before := maps.Clone(s.Metadata)
		if before == nil {
			before = map[string]string{}
		}
		if after, err = change(before); err != nil {
			return err
		}
		limits, err := c.limits(ctx, tx, s.ProjectID, "")
		if err != nil {
			return err
		}
		if q := limits["metadata_items"]; q >= 0 && len(after) > q {
			return fault.New(fault.OverLimit, "Maximum number of metadata items exceeds %d", q)
		}
		_, err = c.Store.UpdateServer(ctx, tx, id, store.ServerPatch{Metadata: &after}, store.Expect{Existing: true}, c.Now())
		return err
	})
	return after, err
}

// Actions returns a server's history, also a deleted one's.
func (c *Control) Actions(ctx context.Context, id string) ([]compute.Action, error) {
	if err := c.history(ctx, "os_compute_api:os-instance-actions:list", id); err != nil {
		return nil, err
	}
	return c.Store.Actions(ctx, c.Store.DB, id)
}

// Action returns one entry of a server's history. operator tells whether the
// caller may see what in it is for operators, tracebacks and hosts; details,
// whether they may see the events' details.
func (c *Control) Action(ctx context.Context, id, requestID string) (a compute.Action, operator, details bool, err error) {
	if err := c.history(ctx, "os_compute_api:os-instance-actions:show", id); err != nil {
		return a, false, false, err
	}
	a, err = c.Store.Action(ctx, c.Store.DB, id, requestID)
	return a, c.Policy.Allows(ctx, "os_compute_api:os-instance-actions:events", nil), c.Policy.Allows(ctx, "os_compute_api:os-instance-actions:events:details", nil), err
}

func (c *Control) history(ctx context.Context, rule, id string) error {
	s, err := c.Store.Server(ctx, c.Store.DB, id)
	if err != nil {
		return err
	}
	if auth.From(ctx).ProjectID != s.ProjectID && !c.Policy.Allows(ctx, "context_is_admin", nil) {
		return fault.NotFoundf("Instance %s could not be found.", id)
	}
	return c.Policy.Enforce(ctx, rule, auth.Target{"project_id": s.ProjectID})
}

// ConsoleOutput returns the end of what a server's guest wrote to its serial
// port.
func (c *Control) ConsoleOutput(ctx context.Context, id string, lines int) (string, error) {
	s, err := c.ownServer(ctx, "os_compute_api:os-console-output", id)
	if err != nil {
		return "", err
	}
	if err := onHost(s); err != nil {
		return "", err
	}
	if err := compute.Allowed(compute.ReadConsole, s); err != nil {
		return "", err
	}
	reply, err := compute.ConsoleLog.Do(ctx, c.Bus, s.Host, compute.ConsoleLogRequest{ServerID: id, Lines: lines})
	if fault.Is(err, fault.NotFound) {
		return "", fault.Conflictf("Instance %s is not ready: its host has no guest for it.", id)
	}
	return string(reply.Text), err
}

// RuleExtensions is the rule of who may see the list of extensions.
const RuleExtensions = "os_compute_api:extensions"

// May enforces a rule for what the API answers without control.
func (c *Control) May(ctx context.Context, rule string, target auth.Target) error {
	return c.Policy.Enforce(ctx, rule, target)
}
