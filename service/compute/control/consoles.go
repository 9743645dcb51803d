package control

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// ConsoleURLs are where clients find the proxies, by the console's type.
type ConsoleURLs map[string]string

// RemoteConsole opens a console of a server for a while and returns its address,
// which is the key as well.
func (c *Control) RemoteConsole(ctx context.Context, id string, kind compute.ConsoleKind, by string) (string, error) {
	s, err := c.ownServer(ctx, "os_compute_api:os-remote-consoles", id)
	if err != nil {
		return "", err
	}
	base := c.ConsoleURLs[by]
	unavailable := fault.Invalidf("Unavailable console type %s.", by)
	if !slices.Contains(compute.ConsoleTypes[kind], by) || base == "" {
		return "", unavailable
	}
	if err := c.hostCan(ctx, c.Store.DB, s, compute.ConsoleCall.Name); err != nil {
		return "", err
	}
	at, err := compute.ConsoleCall.Do(ctx, c.Bus, s.Host, compute.ConsoleRequest{ServerID: id, Kind: kind})
	switch {
	case fault.Is(err, fault.Unsupported):
		return "", unavailable
	case fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict):
		return "", fault.Conflictf("Instance %s is not ready", id)
	case err != nil:
		return "", err
	}
	now, token := c.Now(), newID()
	console := compute.Console{ServerID: id, Type: by, Address: at, Expires: now.Add(time.Duration(c.Options.ConsoleTTL) * time.Second)}
	if err := c.Store.Tx(ctx, func(tx *db.Tx) error { return c.Store.InsertConsole(ctx, tx, token, console, now) }); err != nil {
		return "", err
	}
	return accessURL(base, by, token), nil
}

// accessURL puts a token where the viewer of a console looks for it: noVNC wants
// the path of the WebSocket, with the token in it, as a parameter.
func accessURL(base, by, token string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	q := u.Query()
	if by == "novnc" {
		folder := strings.TrimPrefix(u.Path[:strings.LastIndexByte(u.Path, '/')+1], "/")
		q.Set("path", folder+"?token="+token)
	} else {
		q.Set("token", token)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// ConsoleAddress tells a proxy of others' where the console is that a token opens.
func (c *Control) ConsoleAddress(ctx context.Context, token string) (compute.Console, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-console-auth-tokens", nil); err != nil {
		return compute.Console{}, err
	}
	return c.OpenConsole(ctx, token)
}

// OpenConsole is for the proxy: the token is all that opens. A server that is to
// go has no console.
func (c *Control) OpenConsole(ctx context.Context, token string) (compute.Console, error) {
	console, err := c.Store.Console(ctx, c.Store.DB, token, c.Now())
	if err != nil {
		return console, err
	}
	s, err := c.Store.Server(ctx, c.Store.DB, console.ServerID)
	if err == nil && (s.Host == "" || s.Task == compute.Deleting || !s.DeletedAt.IsZero()) {
		err = fault.NotFoundf("Token not found")
	}
	return console, err
}

// Diagnostics returns what the host counts of a server.
func (c *Control) Diagnostics(ctx context.Context, id string) (*compute.Server, compute.Diagnostics, error) {
	var none compute.Diagnostics
	s, err := c.ownServer(ctx, "os_compute_api:os-server-diagnostics", id)
	if err != nil {
		return nil, none, err
	}
	if err := c.hostCan(ctx, c.Store.DB, s, compute.DiagnoseCall.Name); err != nil {
		return nil, none, err
	}
	d, err := compute.DiagnoseCall.Do(ctx, c.Bus, s.Host, compute.GuestID{ServerID: id})
	if err == nil && d.UptimeSecond == nil && !s.LaunchedAt.IsZero() {
		uptime := int64(c.Now().Sub(s.LaunchedAt).Seconds())
		d.UptimeSecond = &uptime
	}
	if fault.Is(err, fault.NotFound) {
		err = fault.Conflictf("Instance %s is not ready", id)
	}
	if fault.Is(err, fault.Conflict) && s.State != compute.Active {
		err = fault.Conflictf("Cannot 'get_diagnostics' instance %s while it is in vm_state %s", id, s.State)
	}
	return s, d, err
}
