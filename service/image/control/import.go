package control

import (
	"context"
	"maps"
	"slices"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/service/image"
)

// The properties in which an image tells how its import goes.
const (
	propTask      = "os_glance_import_task"
	propImporting = "os_glance_importing_to_stores"
	propFailed    = "os_glance_failed_import"
)

// Import is the wish to make staged or foreign data an image's.
type Import struct {
	Method        string // one of the enabled import methods
	URI           string // for web-download
	Stores        []string
	AllStores     bool
	MustSucceed   bool // in all stores, or in none
	AsRequested   map[string]any
	FromStoreHead string         // the store of the header X-Image-Meta-Store, "" none
	Named         map[string]any // the whole of the request's method
	certificate   []byte
	asTask        bool // of the older kind that makes the image too
}

type importPayload struct {
	TaskID, Method, URI string
	Stores              []string
	MustSucceed         bool
	Stage               string       // key of what is staged; "" for copies
	Remote              *remoteImage // for glance-download
	Inject              bool         // the configured properties
	Certificate         []byte       // of a signed image

	// What becomes of the data on its way: found out by steps of the task.
	Ready      string   // key of the data as it is to be imported; "" Stage
	Passed     []string // keys of what was staged in between
	DiskFormat string   // that the image will have; "" as it has
	// ContainerFormat is likewise.
	ContainerFormat string
	Properties      map[string]string // that come along
}

// Import begins the import of data into an image. It ends in the background; the
// image, and its task, tell how.
func (c *Control) Import(ctx context.Context, id string, im Import) error {
	if !slices.Contains(c.o.EnabledImportMethods, im.Method) {
		return fault.Invalidf("Unknown import method name '%.64s'.", im.Method)
	}
	s, err := c.see(ctx, id)
	if err != nil {
		return err
	}
	if err := importable(s.Image, im.Method); err != nil {
		return err
	}
	rule := "modify_image"
	if im.Method == "copy-image" {
		rule = "copy_image"
	}
	if err := policy.Enforce(ctx, rule, s.target); err != nil {
		return err
	}
	if im.Method == "web-download" {
		if err := c.o.Filtering.Permit(fromWeb, im.URI); err != nil {
			return err
		}
	}
	if im.Method == "glance-download" {
		if _, err := c.readRemote(im.Named, ""); err != nil {
			return err
		}
	}
	stores, err := c.importStores(s.Image, im)
	if err != nil || len(stores) == 0 {
		return err
	}
	if im.Method != "copy-image" {
		if im.certificate, err = c.certificate(ctx, s.Image); err != nil {
			return err
		}
	}
	limits, err := c.unified(ctx, s.Owner)
	if err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		_, err := c.beginImport(ctx, tx, id, im, stores, limits)
		return err
	})
}

// importable says whether an image is in the right status for a method.
func importable(i *image.Image, method string) error {
	switch {
	case i.Status == image.Active && method != "copy-image":
		return fault.Conflictf("Image with status active cannot be target for import")
	case i.Status != image.Active && method == "copy-image":
		return fault.Conflictf("Only images with status active can be targeted for copying")
	case i.Status != image.Queued && (method == "web-download" || method == "glance-download"):
		return fault.Conflictf("Image needs to be in 'queued' state to use '%s' method", method)
	case i.Status != image.Uploading && method == "glance-direct":
		return fault.Conflictf("Image needs to be staged before 'glance-direct' method can be used")
	case method == "glance-download": // the formats come along
	case i.ContainerFormat == "":
		return fault.Conflictf("'container_format' needs to be set before import")
	case i.DiskFormat == "":
		return fault.Conflictf("'disk_format' needs to be set before import")
	}
	return nil
}

// importStores says into which stores data goes. None is right for a copy into
// all stores of an image that they all have.
func (c *Control) importStores(i *image.Image, im Import) ([]string, error) {
	var stores []string
	switch {
	case im.AllStores && len(im.Stores) > 0:
		return nil, fault.Invalidf("All_stores parameter can't be used with x-image-meta-store header or stores")
	case im.AllStores:
		for _, b := range c.backends {
			if !b.ReadOnly() && (im.Method != "copy-image" || locationIn(i, b.ID) == nil) {
				stores = append(stores, b.ID)
			}
		}
		return stores, nil
	case len(im.Stores) > 0:
		stores = im.Stores
	case im.FromStoreHead != "":
		stores = []string{im.FromStoreHead}
	default:
		stores = []string{c.defaultBackend().ID}
	}
	for n, id := range stores {
		if c.backend(id) == nil {
			return nil, fault.Conflictf("Store %.64s is not available.", id)
		}
		if c.backend(id).ReadOnly() {
			return nil, fault.Conflictf("Store %s is read-only.", id)
		}
		if slices.Contains(stores[:n], id) {
			return nil, fault.Invalidf("Store %.64s is named twice.", id)
		}
		if im.Method == "copy-image" && locationIn(i, id) != nil {
			return nil, fault.Invalidf("Image is already present at store '%s'", id)
		}
	}
	return stores, nil
}

// asksOf is what an import takes of a project's limits when it begins. What is
// staged counts as on its way already.
func asksOf(i *image.Image, method string) wish {
	size := int64(-1)
	if i.Size != nil {
		size = *i.Size
	}
	if method == "glance-direct" {
		return wish{image.SizeTotal: mib(size)}
	}
	return wish{image.SizeTotal: 0, image.StageTotal: mib(size), image.CountUploading: 1}
}

func (c *Control) beginImport(ctx context.Context, tx *db.Tx, id string, im Import, stores []string, limits map[string]int64) (*image.Task, error) {
	was, err := c.store.Lock(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	if err := importable(was, im.Method); err != nil { // it may have changed
		return nil, err
	}
	if pending, err := task.Pending(ctx, tx, id); err != nil {
		return nil, err
	} else if pending {
		return nil, fault.Conflictf("Image has active task")
	}
	if err := c.within(ctx, tx, was.Owner, limits, asksOf(was, im.Method)); err != nil {
		return nil, err
	}
	p := importPayload{TaskID: c.newID(), Method: im.Method, URI: im.URI, Stores: stores, MustSucceed: im.MustSucceed, Certificate: im.certificate}
	switch im.Method {
	case "glance-direct":
		uploads, err := c.store.Uploads(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if len(uploads) != 1 || was.Size == nil {
			return nil, fault.Conflictf("Image is still being staged.")
		}
		p.Stage = uploads[0].Key
	case "web-download", "glance-download":
		p.Stage = blobKey(id, p.TaskID) + ".stage"
	}
	if im.Method == "glance-download" {
		if p.Remote, err = c.readRemote(im.Named, auth.From(ctx).Token); err != nil {
			return nil, err
		}
	}
	next := *was
	next.Properties = maps.Clone(was.Properties)
	if im.Method != "copy-image" {
		probe := *was
		if p.Remote != nil {
			probe.DiskFormat, probe.ContainerFormat = "raw", "bare"
		}
		if err := probe.To(image.Importing); err != nil {
			return nil, err
		}
		next.Status = image.Importing
	}
	next.Properties[propTask], next.Properties[propImporting] = p.TaskID, strings.Join(stores, ",")
	delete(next.Properties, propFailed)
	next.UpdatedAt = c.stampNow()
	if err := c.store.Save(ctx, tx, was, &next); err != nil {
		return nil, err
	}
	caller := auth.From(ctx)
	p.Inject = im.Method != "copy-image" && !slices.ContainsFunc(c.o.Inject.IgnoreUserRoles, caller.HasRole)
	t := image.Task{ID: p.TaskID, Type: "api_image_import", Status: image.TaskPending, Owner: caller.ProjectID, UserID: caller.UserID,
		RequestID: rest.RequestID(ctx), ImageID: id, CreatedAt: next.UpdatedAt, UpdatedAt: next.UpdatedAt,
		Input: map[string]any{"image_id": id, "import_req": im.AsRequested, "backend": stores}}
	if im.asTask {
		t.Type, t.Input = taskImport, im.AsRequested
	}
	if err := c.store.InsertTask(ctx, tx, t); err != nil {
		return nil, err
	}
	return &t, c.tasks.Add(ctx, tx, task.Task{Kind: "image.import", Subject: id, Payload: p, RequestID: t.RequestID})
}
