package api

import (
	"context"
	"strings"
	"time"

	"kilonova/internal/rest"
	"kilonova/service/image"
)

type cachedView struct {
	ImageID      string  `json:"image_id"`
	Hits         int64   `json:"hits"`
	LastAccessed float64 `json:"last_accessed"` // seconds since 1970
	LastModified float64 `json:"last_modified"`
	Size         int64   `json:"size"`
}

func cachedViews(list []image.Cached) []cachedView {
	seconds := func(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }
	views := make([]cachedView, len(list))
	for i, e := range list {
		views[i] = cachedView{e.ImageID, e.Hits, seconds(e.LastAccessed), seconds(e.LastModified), e.Size}
	}
	return views
}

func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (a *api) showCache(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	s, err := a.c.Cache(ctx)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"cached_images": cachedViews(s.Cached), "queued_images": orNone(s.Queued)}), nil
}

func (a *api) cachedImages(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	s, err := a.c.Cache(ctx)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"cached_images": cachedViews(s.Cached)}), nil
}

func (a *api) queuedImages(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	s, err := a.c.Cache(ctx)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"queued_images": orNone(s.Queued)}), nil
}

func (a *api) cacheImage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.c.CacheImage(ctx, r.Path("id"))
}

func (a *api) uncacheImage(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.Uncache(ctx, r.Path("id"))
}

func (a *api) clearCache(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	_, _, err := a.c.ClearCache(ctx, strings.ToLower(r.Header.Get("X-Image-Cache-Clear-Target")))
	return rest.NoContent(), err
}

// emptyCache is the older form of clearCache, which tells how many there were.
func (a *api) emptyCache(target string) rest.Handler {
	return func(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
		cached, queued, err := a.c.ClearCache(ctx, target)
		if err != nil {
			return nil, err
		}
		return rest.OK(map[string]any{"num_deleted": cached + queued}), nil
	}
}
