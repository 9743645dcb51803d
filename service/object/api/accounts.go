package api

import (
	"context"
	"strconv"

	"kilonova/internal/rest"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

// accountHead is what every answer about an account has.
func accountHead(resp *rest.Response, a *object.Account) *rest.Response {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	policy := "X-Account-Storage-Policy-" + policyName
	return with(resp, a.Headers).With("X-Account-Container-Count", n(a.Containers)).With("X-Account-Object-Count", n(a.Objects)).With("X-Account-Bytes-Used", n(a.Bytes)).
		With(policy+"-Container-Count", n(a.Containers)).With(policy+"-Object-Count", n(a.Objects)).With(policy+"-Bytes-Used", n(a.Bytes)).
		With("X-Timestamp", control.Timestamp(a.CreatedAt)).With("X-Put-Timestamp", control.Timestamp(a.CreatedAt)).With("Accept-Ranges", "bytes")
}

func (a *api) headAccount(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	account, err := a.c.Account(ctx, r.Path("account"), "HEAD")
	if err != nil {
		return nil, err
	}
	f, err := formatOf(r)
	if err != nil {
		return nil, err
	}
	return accountHead(answer(204).With("Content-Type", f.mediaType()), account), nil
}

func (a *api) listAccount(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	l, f, err := listingOf(r)
	if err != nil {
		return nil, err
	}
	account, entries, err := a.c.ListContainers(ctx, r.Path("account"), l)
	if err != nil {
		return nil, err
	}
	return accountHead(f.write("account", account.Name, entries), account), nil
}

func (a *api) postAccount(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if r.Query.Has("bulk-delete") {
		return a.bulkDelete(ctx, r)
	}
	return a.updateAccount(ctx, r, "POST", 204)
}

func (a *api) putAccount(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if r.Query.Has("extract-archive") {
		return a.extract(ctx, r)
	}
	return a.updateAccount(ctx, r, "PUT", 201)
}

func (a *api) updateAccount(ctx context.Context, r *rest.Request, method string, status int) (*rest.Response, error) {
	if err := a.c.UpdateAccount(ctx, r.Path("account"), method, headersOf(r)); err != nil {
		return nil, err
	}
	return answer(status), nil
}

func (a *api) deleteAccount(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if r.Query.Has("bulk-delete") {
		return a.bulkDelete(ctx, r)
	}
	if err := a.c.DeleteAccount(ctx, r.Path("account")); err != nil {
		return nil, err
	}
	return answer(204), nil
}

// containerHead is what every answer about a container has.
func containerHead(resp *rest.Response, c *object.Container) *rest.Response {
	return with(resp, c.Headers).With("X-Container-Object-Count", strconv.FormatInt(c.Objects, 10)).With("X-Container-Bytes-Used", strconv.FormatInt(c.Bytes, 10)).
		With("X-Timestamp", control.Timestamp(c.CreatedAt)).With("X-Put-Timestamp", control.Timestamp(c.CreatedAt)).With("Last-Modified", httpTime(c.UpdatedAt)).
		With("X-Storage-Policy", policyName).With("Accept-Ranges", "bytes")
}

func (a *api) headContainer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if resp, err := a.web(ctx, r); resp != nil || err != nil {
		return resp, err
	}
	c, err := a.c.Container(ctx, pathOf(r), "HEAD")
	if err != nil {
		return nil, err
	}
	f, err := formatOf(r)
	if err != nil {
		return nil, err
	}
	return containerHead(answer(204).With("Content-Type", f.mediaType()), c), nil
}

func (a *api) listContainer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if resp, err := a.web(ctx, r); resp != nil || err != nil {
		return resp, err
	}
	l, f, err := listingOf(r)
	if err != nil {
		return nil, err
	}
	c, entries, err := a.c.ListObjects(ctx, pathOf(r), l)
	if err != nil {
		return nil, err
	}
	if r.Query.Has("path") { // folders are what lies there as objects only
		files := entries[:0]
		for _, e := range entries {
			if e.Object != nil && e.Object.Name != l.Prefix {
				files = append(files, e)
			}
		}
		entries = files
	}
	return containerHead(f.write("container", c.Name, entries), c), nil
}

func (a *api) putContainer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if r.Query.Has("extract-archive") {
		return a.extract(ctx, r)
	}
	created, err := a.c.PutContainer(ctx, pathOf(r), headersOf(r))
	if err != nil {
		return nil, err
	}
	if created {
		return answer(201), nil
	}
	return answer(202), nil
}

func (a *api) postContainer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if isForm(r) {
		return a.form(ctx, r)
	}
	if err := a.c.UpdateContainer(ctx, pathOf(r), headersOf(r)); err != nil {
		return nil, err
	}
	return answer(204), nil
}

func (a *api) deleteContainer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.c.DeleteContainer(ctx, pathOf(r)); err != nil {
		return nil, err
	}
	return answer(204), nil
}
