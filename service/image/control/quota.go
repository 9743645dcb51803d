package control

import (
	"context"
	"fmt"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/image"
	"kilonova/service/image/store"
)

// resources are what unified limits of the image service are set on, by upstream's
// names. Sizes are in MiB, cut down to whole ones as upstream does.
var resources = []struct {
	name string
	used func(store.Usage) int64
}{
	{image.SizeTotal, func(u store.Usage) int64 { return u.Bytes >> 20 }},
	{image.StageTotal, func(u store.Usage) int64 { return u.Staged >> 20 }},
	{image.CountTotal, func(u store.Usage) int64 { return u.Count }},
	{image.CountUploading, func(u store.Usage) int64 { return u.Uploading }},
}

// wish is how much more of which resources is asked for.
type wish map[string]int64

// mib is a size in whole MiB; of one that is not known nothing is asked.
func mib(bytes int64) int64 { return max(0, bytes) >> 20 }

// unified returns the identity service's limits of a project; nil: they do not
// count here. It is asked before a transaction begins, never in one.
func (c *Control) unified(ctx context.Context, owner string) (map[string]int64, error) {
	if !c.o.UseKeystoneLimits || owner == "" {
		return nil, nil
	}
	return c.limits.Limits(ctx, owner)
}

// within refuses, with fault.TooLarge, what would take a project over one of its
// limits. Others of the project's wait until tx ends. As upstream it looks only at
// what is known when data begins to come: an upload of unknown size may end beyond
// the limit, and is the last one then.
func (c *Control) within(ctx context.Context, tx *db.Tx, owner string, limits map[string]int64, asks wish) error {
	if limits == nil {
		return nil
	}
	if err := c.store.QuotaTurn(ctx, tx, owner); err != nil {
		return err
	}
	u, err := c.store.Usage(ctx, tx, owner)
	if err != nil {
		return err
	}
	var over []string
	for _, r := range resources {
		delta, asked := asks[r.name]
		most, used := limits[r.name], r.used(u)
		if asked && most >= 0 && used+delta > most {
			over = append(over, fmt.Sprintf("Resource %s is over limit of %d due to current usage %d and delta %d", r.name, most, used, delta))
		}
	}
	if over == nil {
		return nil
	}
	return fault.New(fault.TooLarge, "Project %s is over a limit for %s", owner, strings.Join(over, ", "))
}

// Usage is what the images of a project take of a resource, and its limit;
// negative: there is none.
type Usage struct {
	Resource    string
	Limit, Used int64
}

// Usage tells what the images of the caller's project take.
func (c *Control) Usage(ctx context.Context) ([]Usage, error) {
	caller := auth.From(ctx)
	if caller == nil {
		return nil, fault.Forbiddenf("Nobody has no images.")
	}
	limits, err := c.unified(ctx, caller.ProjectID)
	if err != nil {
		return nil, err
	}
	if limits == nil {
		limits = map[string]int64{image.SizeTotal: c.quota >> 20, image.StageTotal: -1, image.CountTotal: -1, image.CountUploading: -1}
		if c.quota == 0 {
			limits[image.SizeTotal] = -1
		}
	}
	u, err := c.store.Usage(ctx, c.store.DB, caller.ProjectID)
	if err != nil {
		return nil, err
	}
	all := make([]Usage, len(resources))
	for i, r := range resources {
		all[i] = Usage{r.name, limits[r.name], r.used(u)}
	}
	return all, nil
}
