package control

import (
	"context"

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
