package api

import (
	"context"

	"kilonova/internal/rest"
	"kilonova/service/compute"
)

func (a *api) toggles() []rest.Route {
	return []rest.Route{
		{Method: "POST", Path: "/servers/{id}/action", Action: "pause", Handle: a.toggle(compute.Pause), Doc: "pause server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "unpause", Handle: a.toggle(compute.Unpause), Doc: "unpause server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "suspend", Handle: a.toggle(compute.Suspend), Doc: "suspend server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "resume", Handle: a.toggle(compute.Resume), Doc: "resume server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "trigger_crash_dump", Versions: "2.17-", Handle: a.crashDump, Doc: "have server dump its memory"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "changePassword", Handle: a.changePassword, Doc: "change administrator's password of server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "rescue", Handle: a.rescueServer, Doc: "rescue server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "unrescue", Handle: a.unrescueServer, Doc: "unrescue server"},
	}
}

// toggle handles an action whose argument says nothing.
func (a *api) toggle(verb compute.Verb) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		return rest.Accepted(nil), a.control.Toggle(ctx, r.Path("id"), verb)
	}
}

func (a *api) crashDump(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		None *struct{} `json:"trigger_crash_dump" check:"null"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.None != nil {
		return nil, notNull("trigger_crash_dump")
	}
	return a.toggle(compute.TriggerCrashDump)(ctx, r)
}

func (a *api) changePassword(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Change struct {
			AdminPass *string `json:"adminPass" check:"required len=0..255"`
		} `json:"changePassword" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.SetPassword(ctx, r.Path("id"), *body.Change.AdminPass)
}

func (a *api) rescueServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Rescue *struct {
			AdminPass string `json:"adminPass" check:"len=0..255"`
			Image     string `json:"rescue_image_ref" check:"uuid"`
		} `json:"rescue" check:"null"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	image, password := "", ""
	if body.Rescue != nil {
		image, password = body.Rescue.Image, body.Rescue.AdminPass
	}
	password, err := a.control.RescueServer(ctx, r.Path("id"), image, password, r.Version.AtLeast("2.87"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]string{"adminPass": password}), nil
}

func (a *api) unrescueServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.control.UnrescueServer(ctx, r.Path("id"))
}
