package api

import (
	"context"
	"slices"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute/control"
)

type rebuildServer struct {
	ImageRef          string             `json:"imageRef" check:"required uuid"`
	Name              *string            `json:"name" check:"len=1..255 name"`
	Description       rest.Opt[string]   `json:"description" mv:"2.19-" check:"null len=0..255 printable"`
	AdminPass         *string            `json:"adminPass" check:"len=0..255"`
	Metadata          *map[string]string `json:"metadata"`
	DiskConfig        *string            `json:"OS-DCF:diskConfig" check:"enum=AUTO|MANUAL"`
	AccessIPv4        *string            `json:"accessIPv4" check:"ipv4"`
	AccessIPv6        *string            `json:"accessIPv6" check:"ipv6"`
	PreserveEphemeral rest.Bool          `json:"preserve_ephemeral"`
	Personality       []file             `json:"personality" mv:"-2.56"`
	KeyName           rest.Opt[string]   `json:"key_name" mv:"2.54-" check:"null len=1..255"`
	UserData          rest.Opt[string]   `json:"user_data" mv:"2.57-" check:"null len=0..65535 base64"`
	Certificates      rest.Opt[[]string] `json:"trusted_image_certificates" mv:"2.63-" check:"null"`
	Hostname          *string            `json:"hostname" mv:"2.90-" check:"match=hostname len=1..255"`
}

func (a *api) rebuildServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Rebuild rebuildServer `json:"rebuild" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	ask, err := body.Rebuild.request(r.Version)
	if err != nil {
		return nil, err
	}
	s, password, err := a.control.RebuildServer(ctx, r.Path("id"), ask)
	if err != nil {
		return nil, err
	}
	v, err := a.serverViewer(ctx, r, false)
	if err != nil {
		return nil, err
	}
	location := v.links("servers", s.ID)[0].Href
	if !r.Version.AtLeast("2.75") {
		less := v.updated(s)
		less.KeyName, less.UserData, less.AdminPass = optText(s.KeyName), optText(s.UserData), rest.Some(password)
		return rest.Accepted(&struct {
			Server *updatedView `json:"server"`
		}{less}).With("Location", location), nil
	}
	whole := v.server(s)
	whole.UserData, whole.RebuiltData, whole.AdminPass = rest.Opt[string]{}, optText(s.UserData), rest.Some(password)
	return rest.Accepted(&serverBody{whole}).With("Location", location), nil
}

// request checks what no tag can say and puts the body into control's words.
func (b *rebuildServer) request(v rest.Version) (control.Rebuild, error) {
	ask := control.Rebuild{ImageID: b.ImageRef, Reimage: v.AtLeast("2.93"), Name: b.Name, Hostname: b.Hostname, Metadata: b.Metadata, DiskConfig: b.DiskConfig}
	if b.AdminPass != nil {
		ask.AdminPass = *b.AdminPass
	}
	if b.Metadata != nil {
		if err := checkMetadata(*b.Metadata); err != nil {
			return ask, err
		}
	}
	if b.Description.Set {
		var text *string
		if !b.Description.Null {
			text = &b.Description.V
		}
		ask.Description = &text
	}
	if b.KeyName.Set {
		if !b.KeyName.Null && b.KeyName.V == "" {
			return ask, fault.Invalidf("Invalid input for field/attribute key_name. Value: . '' is too short")
		}
		ask.KeyName = &b.KeyName.V
	}
	if b.UserData.Set {
		ask.UserData = &b.UserData.V
	}
	for _, ip := range []struct{ from, to **string }{{&b.AccessIPv4, &ask.AccessIPv4}, {&b.AccessIPv6, &ask.AccessIPv6}} {
		if *ip.from != nil {
			short := canonical(**ip.from)
			*ip.to = &short
		}
	}
	var err error
	if ask.Files, err = injected(b.Personality); err != nil {
		return ask, err
	}
	if c := b.Certificates; c.Set {
		if !c.Null && (len(c.V) == 0 || len(c.V) > 50) {
			return ask, fault.Invalidf("Invalid input for field/attribute trusted_image_certificates. There are %d, where 1 to 50 are allowed.", len(c.V))
		}
		for i, id := range c.V {
			if id == "" || slices.Contains(c.V[:i], id) {
				return ask, fault.Invalidf("Invalid input for field/attribute trusted_image_certificates. Value: %.64q. An id is empty or there twice.", id)
			}
		}
		ask.Certificates = &c.V
	}
	if v.AtLeast("2.90") && !v.AtLeast("2.94") && b.Hostname != nil && !plainHostname(*b.Hostname) {
		return ask, fault.Invalidf("Invalid input for field/attribute hostname. Value: %s. It does not match '^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$'", *b.Hostname)
	}
	return ask, nil
}

// plainHostname: until 2.94 a hostname was one label of two to 63 characters.
func plainHostname(name string) bool {
	if len(name) < 2 || len(name) > 63 {
		return false
	}
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (c != '-' || i == 0 || i == len(name)-1) {
			return false
		}
	}
	return true
}

func (a *api) evacuateServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Evacuate struct {
			Host      *string          `json:"host" check:"match=hostname len=1..255"`
			AdminPass rest.Opt[string] `json:"adminPass" check:"len=0..255"`
			Shared    *rest.Bool       `json:"onSharedStorage" mv:"-2.13"`
			Force     rest.Bool        `json:"force" mv:"2.29-2.67"`
		} `json:"evacuate"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b, old := body.Evacuate, !r.Version.AtLeast("2.14")
	ask := control.Evacuate{AdminPass: b.AdminPass.V, Off: r.Version.AtLeast("2.95")}
	if b.Host != nil {
		ask.Host = *b.Host
	}
	ask.Forced = ask.Host != "" && (bool(b.Force) || !r.Version.AtLeast("2.29"))
	switch {
	case old && b.Shared == nil:
		return nil, fault.Invalidf("Invalid input for field/attribute evacuate. 'onSharedStorage' is a required property.")
	case old && bool(*b.Shared) && b.AdminPass.Set:
		return nil, fault.Invalidf("admin password can't be changed on existing disk")
	case bool(b.Force) && ask.Host == "":
		return nil, fault.Invalidf("Can't force to a non-provided destination")
	case b.AdminPass.Null:
		return nil, fault.Invalidf("Invalid input for field/attribute adminPass. Value: None. None is not of type 'string'")
	}
	password, err := a.control.EvacuateServer(ctx, r.Path("id"), ask)
	if err != nil {
		return nil, err
	}
	if !old {
		return &rest.Response{Status: 200}, nil
	}
	if *b.Shared { // the disk is what it was, and so is the password
		return rest.OK(map[string]any{"adminPass": nil}), nil
	}
	return rest.OK(map[string]any{"adminPass": password}), nil
}
