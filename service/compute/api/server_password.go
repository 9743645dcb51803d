package api

import (
	"context"

	"kilonova/internal/rest"
)

// guestPassword are the operations on the password that a guest has posted.
func (a *api) guestPassword() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/servers/{id}/os-server-password", Handle: a.showPassword, Doc: "show password that the guest has posted"},
		{Method: "DELETE", Path: "/servers/{id}/os-server-password", Handle: a.clearPassword, Doc: "forget password that the guest has posted"},
	}
}

func (a *api) showPassword(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	password, err := a.control.GuestPassword(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]string{"password": password}), nil
}

func (a *api) clearPassword(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.control.ClearGuestPassword(ctx, r.Path("id"))
}
