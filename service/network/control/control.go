package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/auth"
	"kilonova/internal/bus"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// Config is what control needs.
type Config struct {
	Store   *store.Store
	Bus     *bus.Bus        // nil: there are no agents
	Compute network.Compute // nil: nobody is told of wired ports
	// Placement is told what hosts can promise; nil: nothing is counted.
	Placement network.Placement
	Log       *slog.Logger
	Now       func() time.Time
	Options   Options
	// Place names where this process runs, if no other can at the same time: it
	// goes on at once with the work of one that ran there before. May be empty.
	Place string
}

// Control is the use cases of the network service.
type Control struct {
	store     *store.Store
	bus       *bus.Bus
	compute   network.Compute
	placement network.Placement
	log       *slog.Logger
	now       func() time.Time
	options   Options
	baseMAC   []byte
	vlans     []vlanRange
	tasks     *task.Runner

	reschedule chan struct{} // an agent has come: look at what waits for one
}

// New returns control; Run has it do its work in the background.
func New(cfg Config) (*Control, error) {
	mac, err := baseMAC(cfg.Options.BaseMAC)
	if err != nil {
		return nil, err
	}
	for _, t := range cfg.Options.TenantTypes {
		if t != network.TypeLocal && t != network.TypeFlat && t != network.TypeVLAN {
			return nil, fmt.Errorf("network: tenant_network_types: there is no type %q", t)
		}
	}
	ranges, err := vlanRanges(cfg.Options.VLANRanges)
	if err != nil {
		return nil, err
	}
	c := &Control{store: cfg.Store, bus: cfg.Bus, compute: cfg.Compute, placement: cfg.Placement, log: cfg.Log, now: cfg.Now, options: cfg.Options,
		baseMAC: mac, vlans: ranges, reschedule: make(chan struct{}, 1)}
	c.tasks = &task.Runner{DB: cfg.Store.DB, Place: cfg.Place, Now: cfg.Now, Log: cfg.Log,
		Handlers: map[string]task.Handler{notifyTask: c.notify, reclaimTask: c.reclaim}}
	return c, nil
}

// Options returns what control was made with.
func (c *Control) Options() Options { return c.options }

// Run serves the agents, does durable work and spreads routers and DHCP servers
// until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	stop, err := c.serve()
	if err != nil {
		return err
	}
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { c.schedule(ctx) })
	return c.tasks.Run(ctx)
}

// write is a transaction and what it changes for hosts.
type write struct {
	*db.Tx
	changes
}

// tries bounds how often a decision is taken anew because what it was based on
// had changed.
const tries = 8

// write runs fn in a transaction; agents whose hosts it changes are told after
// the commit. When fn lost against another (a row changed in between, a key was
// taken), it is run again and sees what the other did.
func (c *Control) write(ctx context.Context, fn func(tx *write) error) error {
	var err error
	for range tries {
		err = c.store.Tx(ctx, func(tx *db.Tx) error {
			w := &write{Tx: tx}
			if err := fn(w); err != nil {
				return err
			}
			return c.settle(ctx, w)
		})
		if !errors.Is(err, store.ErrStale) && !db.IsUnique(err) {
			return err
		}
	}
	return fault.Wrap(err, fault.Unavailable, "Too many others change the same things at once. Please try again.")
}

// scope is what the caller sees.
func (c *Control) scope(ctx context.Context) store.Scope {
	caller := auth.From(ctx)
	if caller == nil {
		return store.Scope{}
	}
	all := policy.Allows(ctx, "context_is_admin", nil) || policy.Allows(ctx, "service_api", nil) || policy.Allows(ctx, "context_is_advsvc", nil)
	return store.Scope{All: all, ProjectID: caller.ProjectID}
}

// reads reports whether the caller may list a resource at all: one that lacks
// the role sees empty lists.
func (c *Control) reads(ctx context.Context, rule string) bool {
	return c.scope(ctx).All || policy.Allows(ctx, rule, auth.Own(ctx))
}

// project returns the owner of what the caller makes.
func (c *Control) project(ctx context.Context, in network.OwnerInput) string {
	own := ""
	if caller := auth.From(ctx); caller != nil {
		own = caller.ProjectID
	}
	return in.Project(own)
}

// owned is the target of a rule about something of a project.
func owned(projectID string) auth.Target { return auth.Target{"project_id": projectID} }

// onNetwork is the target of a rule about something on a network.
func onNetwork(projectID string, n network.Network) auth.Target {
	shared := "False"
	if n.Shared {
		shared = "True"
	}
	return auth.Target{"project_id": projectID, "network:project_id": n.ProjectID, "network:shared": shared}
}

// enforce checks a rule, and those of the attributes that a request gives.
func enforce(ctx context.Context, rule string, target auth.Target, input any) error {
	if err := denied(policy.Enforce(ctx, rule, target)); err != nil {
		return err
	}
	creating := strings.HasPrefix(rule, "create_")
	for _, a := range given(input) {
		if creating && a.isDefault || a.name == "device_owner" && !network.IsServicePort(a.value) {
			continue // nobody minds
		}
		attributeRule := rule + ":" + a.name
		if _, ok := rules[attributeRule]; ok {
			if err := denied(policy.Enforce(ctx, attributeRule, target)); err != nil {
				return err
			}
		}
	}
	return nil
}

func denied(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.WithCode("PolicyNotAuthorized")
	}
	return err
}

// matches refuses a change when the client has seen another revision.
func matches(m network.Match, s network.Standard) error {
	if m.Set && m.Revision != s.Revision {
		return fault.New(fault.PreconditionFailed, "Constrained to %d, but current revision is %d", m.Revision, s.Revision).
			WithCode("RevisionNumberConstraintFailed")
	}
	return nil
}

// invalid is a fault about one attribute, in the words that clients know.
func invalid(attribute, format string, args ...any) error {
	return fault.Invalidf("Invalid input for %s. Reason: %s.", attribute, fmt.Sprintf(format, args...)).WithCode("HTTPBadRequest")
}

// badInput is a fault about an operation as a whole.
func badInput(format string, args ...any) error {
	return fault.Invalidf("Invalid input for operation: %s.", fmt.Sprintf(format, args...)).WithCode("InvalidInput")
}

func badRequest(resource, format string, args ...any) error {
	return fault.Invalidf("Bad %s request: %s.", resource, fmt.Sprintf(format, args...)).WithCode("BadRequest")
}

func newID() string { return uuid.NewString() }

// addTask writes durable work in a transaction.
func (c *Control) addTask(ctx context.Context, tx *write, kind, subject string, payload any) error {
	return c.tasks.Add(ctx, tx.Tx, task.Task{Kind: kind, Subject: subject, Payload: payload, RequestID: rest.RequestID(ctx)})
}
