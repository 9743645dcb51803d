// Package control is the image service's use cases: who may do what with an
// image, what follows from it, uploads, downloads, imports, and the work in the
// background that brings to an end what others left half done.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/internal/task"
	"kilonova/service/image"
	"kilonova/service/image/blob"
	"kilonova/service/image/store"
)

// Backend is one of the places that images are kept in.
type Backend struct {
	ID          string // 1 to 64 characters, by which clients name it
	Type        string // "file": what operators are told it is
	Description string
	Default     bool // where an upload goes whose client does not say; the first if none has it
	Weight      int  // the heaviest is read first
	Blobs       blob.Store
}

// ReadOnly reports whether images can only be read from the store.
func (b *Backend) ReadOnly() bool {
	_, ok := b.Blobs.(blob.ReadOnly)
	return ok
}

// Config is what a Control is made of.
type Config struct {
	Store    *store.Store
	Backends []Backend
	// Staging keeps what waits for an import; nil: the default backend does. Like
	// the backends it is the same for all processes that share the database: any
	// of them may do the import.
	Staging blob.Store
	// Cache keeps copies near this node of images whose stores are far; nil: none.
	Cache blob.Store
	// Others are the image services of other regions; nil: there are none.
	Others image.OtherImages
	// Limits are the identity service's; nil: none are asked for.
	Limits image.Limits
	// Certificates are what images may be signed with; nil: none can be.
	Certificates image.Certificates
	// Run runs qemu-img, for conversions in WorkDir, which is this process's own.
	Run     host.Runner
	WorkDir string
	Options Options
	Log     *slog.Logger
	Now     func() time.Time
	// NewID makes the ids of images and tasks; nil: random ones.
	NewID func() string
	// Place names where this process runs, if no other can at the same time: it
	// goes on at once with the work of one that ran there before. May be empty.
	Place string
}

// Control is the image service without HTTP.
type Control struct {
	store        *store.Store
	backends     []Backend
	staging      blob.Store
	cache        blob.Store
	others       image.OtherImages
	limits       image.Limits
	certificates image.Certificates
	run          host.Runner
	workDir      string
	node         string        // whose cache it is
	toCache      chan struct{} // something is to be fetched
	large        chan struct{} // held by each stream that has large pieces
	o            Options
	quota        int64 // bytes a project; 0 none
	log          *slog.Logger
	now          func() time.Time
	newID        func() string
	process      string // unique among all that share the database
	tasks        *task.Runner
}

// New checks the options and returns a Control that is ready, but does no work
// in the background before Run.
func New(cfg Config) (*Control, error) {
	if err := cfg.Options.check(); err != nil {
		return nil, err
	}
	quota, err := parseBytes(cfg.Options.UserStorageQuota)
	if err != nil {
		return nil, err
	}
	c := &Control{store: cfg.Store, staging: cfg.Staging, cache: cfg.Cache, others: cfg.Others, limits: cfg.Limits, certificates: cfg.Certificates, run: cfg.Run, workDir: cfg.WorkDir, node: cfg.Place, toCache: make(chan struct{}, 1), large: make(chan struct{}, largeAtOnce), o: cfg.Options, quota: quota, log: cfg.Log, now: cfg.Now, newID: cfg.NewID, process: cfg.Place + "/" + uuid.NewString()}
	if cfg.Options.UseKeystoneLimits {
		c.quota = 0 // as upstream: these limits take its place
		if cfg.Limits == nil {
			return nil, errors.New("image: use_keystone_limits needs an identity service")
		}
	}
	if c.newID == nil {
		c.newID = uuid.NewString
	}
	byID := map[string]bool{}
	for _, b := range cfg.Backends {
		if b.ID == "" || len(b.ID) > 64 || strings.Contains(b.ID, ",") || byID[b.ID] {
			return nil, fmt.Errorf("image: %q cannot be the name of a store, or is the name of two", b.ID)
		}
		byID[b.ID] = true
		c.backends = append(c.backends, b)
	}
	if len(c.backends) == 0 {
		return nil, errors.New("image: there is no store for images")
	}
	if slices.Contains(cfg.Options.ImportOpts.Plugins, pluginConvert) && (cfg.Run == nil || cfg.WorkDir == "") {
		return nil, errors.New("image: conversions need a folder to work in")
	}
	if slices.Contains(cfg.Options.EnabledImportMethods, "glance-download") && cfg.Others == nil {
		return nil, errors.New("image: glance-download needs a way to other regions")
	}
	if b := c.defaultBackend(); b.ReadOnly() {
		return nil, fmt.Errorf("image: the store %s cannot be the default one: it is only read", b.ID)
	}
	if c.staging == nil {
		c.staging = c.defaultBackend().Blobs
	}
	c.tasks = &task.Runner{DB: cfg.Store.DB, Place: cfg.Place, Now: cfg.Now, Log: cfg.Log,
		Handlers: map[string]task.Handler{"image.import": c.runImport, "image.discard": c.runDiscard, "image.hash": c.runHash}}
	return c, nil
}

// Run does the service's work in the background until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	if c.workDir != "" {
		if err := c.clearWork(); err != nil {
			c.log.Warn("image: what is left of earlier conversions cannot be removed", "error", err)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.tasks.Run(ctx) })
	g.Go(func() error { return c.sweep(ctx) })
	g.Go(func() error { return c.fillCache(ctx) })
	return g.Wait()
}

// Options returns what the service was configured with.
func (c *Control) Options() Options { return c.o }

// Backends lists the stores.
func (c *Control) Backends() []Backend { return c.backends }

// MayListBackends checks that the caller may see the stores with their details.
func (c *Control) MayListBackends(ctx context.Context) error {
	return policy.Enforce(ctx, "stores_info_detail", nil)
}

func (c *Control) defaultBackend() *Backend {
	for i := range c.backends {
		if c.backends[i].Default {
			return &c.backends[i]
		}
	}
	return &c.backends[0]
}

// backend finds a store by its id, nil if there is none.
func (c *Control) backend(id string) *Backend {
	for i := range c.backends {
		if c.backends[i].ID == id {
			return &c.backends[i]
		}
	}
	return nil
}

// chosen is backend for an id that a client gave; "" stands for the default.
func (c *Control) chosen(id string) (*Backend, error) {
	if id == "" {
		return c.defaultBackend(), nil
	}
	if b := c.backend(id); b != nil && b.ReadOnly() {
		return nil, fault.Invalidf("Store %s is read-only.", id)
	} else if b != nil {
		return b, nil
	}
	return nil, fault.Invalidf("Store %.64s is not available.", id)
}

// blobKey makes the name of an image's bytes. Each attempt to write them has its
// own, so that attempts cannot meet.
func blobKey(imageID, attempt string) string {
	return strings.ToLower(imageID) + "." + strings.ToLower(attempt[:8])
}

// stampNow is the present as the database keeps it.
func (c *Control) stampNow() time.Time { return c.now().UTC().Truncate(time.Microsecond) }

// location says where a blob lies, for the database.
func location(b *Backend, key string) image.Location {
	return image.Location{Store: b.ID, Key: key, URL: b.Blobs.URL(key), Metadata: map[string]any{"store": b.ID}}
}
