package control

import (
	"context"
	"errors"
	"maps"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

// ImageTasks lists the tasks of an image that the caller may see.
func (c *Control) ImageTasks(ctx context.Context, id string) ([]image.Task, error) {
	if _, err := c.see(ctx, id); err != nil {
		return nil, err
	}
	return c.store.TasksOf(ctx, id)
}

// Task returns a task; for administrators only.
func (c *Control) Task(ctx context.Context, id string) (*image.Task, error) {
	if err := policy.Enforce(ctx, "tasks_api_access", nil); err != nil {
		return nil, err
	}
	if _, err := text("id", id, 64); err != nil {
		return nil, fault.NotFoundf("No task found with ID %.64q", id)
	}
	return c.store.Task(ctx, id, "")
}

// Tasks lists tasks; for administrators only. marker is a task's id, "" the
// beginning.
func (c *Control) Tasks(ctx context.Context, q image.TaskQuery, marker string) ([]image.Task, error) {
	if err := policy.Enforce(ctx, "tasks_api_access", nil); err != nil {
		return nil, err
	}
	if marker != "" {
		t, err := c.Task(ctx, marker)
		if err != nil {
			return nil, fault.Invalidf("The marker %.64q is no task.", marker)
		}
		q.Marker = t
	}
	return c.store.Tasks(ctx, q)
}

// taskImport is the older kind of import, which makes the image too.
const taskImport = "import"

// CreateTask begins a task of a kind that clients may begin; for administrators
// only. What it is led to is checked like any other import (OSSA-2026-004).
func (c *Control) CreateTask(ctx context.Context, kind string, input map[string]any) (*image.Task, error) {
	if err := policy.Enforce(ctx, "tasks_api_access", nil); err != nil {
		return nil, err
	}
	if kind != taskImport {
		return nil, fault.Invalidf("Provided object does not match schema 'task': %.64q is not one of %q (type)", kind, []string{taskImport})
	}
	uri, _ := input["import_from"].(string)
	format, _ := input["import_from_format"].(string)
	properties, ok := input["image_properties"].(map[string]any)
	if uri == "" || format == "" || !ok {
		return nil, fault.Invalidf("Input to the task must have import_from, import_from_format and image_properties.")
	}
	if err := c.o.Filtering.Permit("The address import_from", uri); err != nil {
		return nil, err
	}
	fields := maps.Clone(properties)
	if fields["disk_format"] == nil {
		fields["disk_format"] = format
	}
	if fields["container_format"] == nil {
		fields["container_format"] = "bare"
	}
	i, err := c.Create(ctx, fields)
	if err != nil {
		return nil, err
	}
	var t *image.Task
	limits, err := c.unified(ctx, i.Owner)
	if err != nil {
		return nil, errors.Join(err, c.Delete(context.WithoutCancel(ctx), i.ID))
	}
	err = c.store.Tx(ctx, func(tx *db.Tx) (err error) {
		im := Import{Method: "web-download", URI: uri, MustSucceed: true, AsRequested: input, asTask: true}
		t, err = c.beginImport(ctx, tx, i.ID, im, []string{c.defaultBackend().ID}, limits)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, c.Delete(context.WithoutCancel(ctx), i.ID))
	}
	return t, nil
}

// DeleteTask refuses: tasks go by themselves.
func (c *Control) DeleteTask(ctx context.Context) error {
	if err := policy.Enforce(ctx, "tasks_api_access", nil); err != nil {
		return err
	}
	return fault.New(fault.MethodNotAllowed, "This operation is currently not permitted on Glance Tasks. They are auto deleted after reaching the time based on their expires_at property.")
}
