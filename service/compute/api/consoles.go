package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

func (a *api) consoles() []rest.Route {
	return []rest.Route{
		{Method: "POST", Path: "/servers/{id}/action", Action: "os-getVNCConsole", Versions: "2.1-2.5", Handle: a.oldConsole("os-getVNCConsole", compute.VNC), Doc: "get VNC console"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "os-getSPICEConsole", Versions: "2.1-2.5", Handle: a.oldConsole("os-getSPICEConsole", compute.SPICE), Doc: "get SPICE console"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "os-getSerialConsole", Versions: "2.1-2.5", Handle: a.oldConsole("os-getSerialConsole", compute.Serial), Doc: "get serial console"},
		{Method: "POST", Path: "/servers/{id}/remote-consoles", Versions: "2.6-", Handle: a.remoteConsole, Doc: "create remote console"},
		{Method: "GET", Path: "/os-console-auth-tokens/{token}", Handle: a.showConsoleToken, Doc: "show what a console's token opens"},
		{Method: "GET", Path: "/servers/{id}/topology", Versions: "2.78-", Handle: a.topology, Doc: "show NUMA topology of server"},
		{Method: "GET", Path: "/servers/{id}/diagnostics", Handle: a.diagnostics, Doc: "show diagnostics of server"},
	}
}

// oldTypes are what could be asked for by the old actions.
var oldTypes = map[compute.ConsoleKind][]string{compute.VNC: {"novnc", "xvpvnc"}, compute.SPICE: {"spice-html5"}, compute.Serial: {"serial"}}

type consoleView struct {
	Protocol string `json:"protocol,omitempty"`
	Type     string `json:"type"`
	URL      string `json:"url"`
}

func (a *api) oldConsole(action string, kind compute.ConsoleKind) rest.Handler {
	return func(ctx context.Context, r *rest.Request) (*rest.Response, error) {
		var body map[string]*struct {
			Type *string `json:"type"`
		}
		if err := r.Decode(&body); err != nil {
			return nil, err
		}
		if body[action] == nil || body[action].Type == nil {
			return nil, fault.Invalidf("Invalid input for field/attribute %s. 'type' is a required property", action)
		}
		by := *body[action].Type
		if err := oneOf("type", by, oldTypes[kind]); err != nil {
			return nil, err
		}
		url, err := a.control.RemoteConsole(ctx, r.Path("id"), kind, by)
		if err != nil {
			return nil, err
		}
		return rest.OK(map[string]any{"console": consoleView{Type: by, URL: url}}), nil
	}
}

func oneOf(field, value string, of []string) error {
	for _, x := range of {
		if x == value {
			return nil
		}
	}
	return fault.Invalidf("Invalid input for field/attribute %s. Value: %.64s. It is not one of %q", field, value, of)
}

func (a *api) remoteConsole(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Console struct {
			Protocol string `json:"protocol" check:"required"`
			Type     string `json:"type" check:"required"`
		} `json:"remote_console" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	protocols, types := []string{"vnc", "spice", "serial", "rdp"}, []string{"novnc", "xvpvnc", "spice-html5", "serial", "rdp-html5"}
	if r.Version.AtLeast("2.8") {
		protocols, types = append(protocols, "mks"), append(types, "webmks")
	}
	if r.Version.AtLeast("2.99") {
		types = append(types, "spice-direct")
	}
	b := body.Console
	if err := oneOf("protocol", b.Protocol, protocols); err != nil {
		return nil, err
	}
	if err := oneOf("type", b.Type, types); err != nil {
		return nil, err
	}
	url, err := a.control.RemoteConsole(ctx, r.Path("id"), compute.ConsoleKind(b.Protocol), b.Type)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"remote_console": consoleView{b.Protocol, b.Type, url}}), nil
}

type consoleTokenView struct {
	ServerID string  `json:"instance_uuid"`
	Host     string  `json:"host"`
	Port     int     `json:"port"`
	TLSPort  *int    `json:"tls_port" mv:"2.99-"`
	Path     *string `json:"internal_access_path"`
}

func (a *api) showConsoleToken(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	console, err := a.control.ConsoleAddress(ctx, r.Path("token"))
	if err != nil {
		return nil, err
	}
	if !r.Version.AtLeast("2.31") { // before, only for RDP, which is no more
		return nil, fault.Invalidf("The requested console type details are not accessible")
	}
	at := console.Address
	v := consoleTokenView{ServerID: console.ServerID, Host: at.Host, Port: at.Port, Path: orNull(at.Path)}
	if at.TLSPort != 0 {
		v.TLSPort = &at.TLSPort
	}
	return rest.OK(&struct {
		Console *consoleTokenView `json:"console"`
	}{&v}), nil
}
