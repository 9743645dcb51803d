package api

import (
	"context"
	"slices"

	"kilonova/internal/rest"
	"kilonova/service/compute"
)

// stays are the operations on a server that leave it where it is.
func (a *api) stays() []rest.Route {
	return slices.Concat(a.admin(), a.tags(), a.toggles(), a.snapshots(), a.shelving(), a.consoles())
}

func (a *api) admin() []rest.Route {
	return []rest.Route{
		{Method: "POST", Path: "/servers/{id}/action", Action: "lock", Handle: a.lockServer, Doc: "lock server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "unlock", Handle: a.unlockServer, Doc: "unlock server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "os-resetState", Handle: a.resetState, Doc: "reset state of server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "injectNetworkInfo", Handle: a.injectNetworkInfo, Doc: "read network information of server anew"},
	}
}

func (a *api) lockServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Lock *struct {
			Reason *string `json:"locked_reason" check:"len=1..255"`
		} `json:"lock" check:"null"`
	}
	if r.Version.AtLeast("2.73") { // before, anything was taken
		if err := r.Decode(&body); err != nil {
			return nil, err
		}
	}
	reason := ""
	if body.Lock != nil && body.Lock.Reason != nil {
		reason = *body.Lock.Reason
	}
	return rest.Accepted(nil), a.control.LockServer(ctx, r.Path("id"), reason)
}

func (a *api) unlockServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.control.UnlockServer(ctx, r.Path("id"))
}

func (a *api) resetState(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Reset struct {
			State string `json:"state" check:"required enum=active|error"`
		} `json:"os-resetState" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.ResetState(ctx, r.Path("id"), compute.State(body.Reset.State))
}

func (a *api) injectNetworkInfo(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.control.InjectNetworkInfo(ctx, r.Path("id"))
}
