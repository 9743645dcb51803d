package control

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/bus"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/compute"
	"kilonova/service/compute/metadata"
	"kilonova/service/compute/notify"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
)

// Config is what Control stands on.
type Config struct {
	Store     *store.Store
	Bus       *bus.Bus
	Images    compute.Images
	Networks  compute.Networks
	Placement compute.Placement
	// Catalog and OldNetworks are the same services as Images and Networks, for
	// clients who ask compute for what is theirs.
	Catalog     compute.ImageCatalog
	OldNetworks compute.OldNetworks
	// PortRequests is the same as Networks, for ports that take resources of hosts.
	PortRequests compute.PortRequests
	// DeviceProviders is the same as Placement, for PCI devices.
	DeviceProviders compute.DeviceProviders
	// Volumes and OldVolumes are the Block Storage service; nil: there is none.
	Volumes    compute.Volumes
	OldVolumes compute.OldVolumes
	// FileShares is the Shared File Systems service; nil: there is none.
	FileShares compute.FileShares
	// BareMetal is the Bare Metal service; nil: there is none.
	BareMetal compute.BareMetal
	// Attestation says how far hosts are trusted; nil: nobody does.
	Attestation compute.Attestation
	// Broker takes notifications; nil: the bus does.
	Broker  Broker
	Options Options
	// ConsoleURLs are where the proxies are; a type that is not here is not to be
	// had.
	ConsoleURLs ConsoleURLs
	Policy      *auth.Policy // nil: the defaults
	// Host is the name of the host that this process runs on.
	Host string
	// Place names where this process runs, if no other can at the same time: it
	// goes on at once with the work of one that ran there before. May be empty.
	Place string
	// Roles says which of control's background parts run here.
	Conductor bool
	Log       *slog.Logger
	Now       func() time.Time
}

// Control is the compute service.
type Control struct {
	Config
	scheduler   *schedule.Scheduler
	aliases     map[string][]alias // of PCI devices
	tasks       *task.Runner
	notifier    *notifier // nil: nobody is told of anything
	fleet       fleetCache
	placing     sync.Mutex // held while a host is chosen and noted
	places      placeQueue
	ownership   ownership
	recordsRead atomic.Int64 // when records of decisions were last tidied
	counted     atomic.Int64 // when counts were last held against the servers
	born        time.Time    // when this process began to hear the agents
	// building has, by server, who is to be told when somebody wants the build
	// under way to end.
	building sync.Map // id -> context.CancelCauseFunc
}

// New returns a Control. It does nothing in the background before Run.
func New(c Config) (*Control, error) {
	if c.Policy == nil {
		c.Policy = auth.MustPolicy(policies)
	}
	if c.Broker == nil {
		c.Broker = c.Bus
	}
	scheduler, err := schedule.New(c.Options.Scheduler, rand.IntN)
	if err != nil {
		return nil, err
	}
	if c.Attestation == nil && scheduler.Enabled("TrustedFilter") {
		return nil, fault.Invalidf("[filter_scheduler] enabled_filters names TrustedFilter, which asks a server that [trusted_computing] attestation_server does not name.")
	}
	if o := &c.Options.Scheduler.Scheduler; o.MaxAttempts < 1 || o.MaxPlacementResults < 1 {
		return nil, fault.Invalidf("[scheduler] max_attempts is %d and max_placement_results %d; they are 1 at least.", o.MaxAttempts, o.MaxPlacementResults)
	}
	aliases, err := aliasesOf(c.Options.PCI, c.Options.Scheduler.Filter.PCIInPlacement)
	if err != nil {
		return nil, err
	}
	control := &Control{Config: c, scheduler: scheduler, aliases: aliases, born: c.Now()}
	control.tasks = &task.Runner{DB: c.Store.DB, Place: c.Place, Now: c.Now, Log: c.Log, Workers: 128}
	control.tasks.Handlers = control.handlers()
	if control.notifier, err = control.notifierOf(); err != nil {
		return nil, err
	}
	if control.notifier != nil {
		c.Store.Watcher = control.notifier
	}
	return control, nil
}

// Run does the background work of a conductor until ctx ends: it takes tasks,
// hears the agents, and watches deadlines.
func (c *Control) Run(ctx context.Context) error {
	stopReports, err := compute.Report.Serve(c.Bus, compute.ControlName, c.report)
	if err != nil {
		return err
	}
	defer stopReports()
	stopWired, err := compute.PortsWired.Serve(c.Bus, compute.ControlName, c.portsWired)
	if err != nil {
		return err
	}
	defer stopWired()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { c.watch(ctx) })
	if c.notifier != nil {
		wg.Go(func() { c.notifier.deliver(ctx) })
	}
	return c.tasks.Run(ctx)
}

// watch announces this process and looks for servers whose deadline has passed.
func (c *Control) watch(ctx context.Context) {
	tick := time.NewTicker(c.Options.ReportInterval.D())
	defer tick.Stop()
	for {
		if err := errors.Join(c.announce(ctx), c.expire(ctx), c.autoConfirm(ctx), c.audit(ctx), c.forgetPlacements(ctx), c.recount(ctx), c.reclaim(ctx), c.offloadOld(ctx)); err != nil && ctx.Err() == nil {
			c.Log.Warn("compute: periodic work failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// add enqueues a task in tx, on behalf of the request in ctx.
func (c *Control) add(ctx context.Context, tx *db.Tx, kind, subject string, payload any) error {
	return c.tasks.Add(ctx, tx, task.Task{Kind: kind, Subject: subject, Payload: payload, RequestID: rest.RequestID(ctx)})
}

// act notes in the server's history that the caller asked for something.
func (c *Control) act(ctx context.Context, tx *db.Tx, serverID, action string) error {
	return c.actAbout(ctx, tx, serverID, action, nil)
}

// actAbout is act with what else it is about, by the names of package notify.
func (c *Control) actAbout(ctx context.Context, tx *db.Tx, serverID, action string, about notify.About) error {
	a := compute.Action{RequestID: rest.RequestID(ctx), ServerID: serverID, Action: action, StartedAt: c.Now(), About: about}
	if caller := auth.From(ctx); caller != nil {
		a.UserID, a.ProjectID = caller.UserID, caller.ProjectID
	}
	return c.Store.InsertAction(ctx, tx, a)
}

// Instance says what a server's guest may learn about itself.
func (c *Control) Instance(ctx context.Context, id string) (*metadata.Instance, error) {
	s, err := c.Store.Server(ctx, c.Store.DB, id)
	if err != nil {
		return nil, err
	}
	if !s.DeletedAt.IsZero() {
		return nil, fault.NotFoundf("Instance %s could not be found.", id)
	}
	zone, err := c.zoneOf(ctx, s.Host)
	if err != nil {
		return nil, err
	}
	inst, err := metadata.Of(s, zone, c.Options.MetadataDomain)
	if err != nil {
		return nil, err
	}
	hold, err := c.Store.Hold(ctx, c.Store.DB, id, s.Host)
	if err != nil {
		return nil, err
	}
	for _, cell := range hold.Cells {
		for cpu := range cell.Pins { // the guest's own number of it, as upstream tells
			inst.DedicatedCPUs = append(inst.DedicatedCPUs, cpu)
		}
	}
	return inst, nil
}
