package api

import (
	"context"
	"encoding/json"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity/control"
)

// The addresses of configurations come in two families that overlap for a
// router, /domains/ID/config/SECTION/OPTION and
// /domains/config/SECTION/OPTION/default, so that one row serves both and
// configPath tells them apart.
func configPath(r *rest.Request) (p control.ConfigPath, defaults bool, err error) {
	parts := []string{r.Path("a"), r.Path("b"), r.Path("c"), r.Path("d")}
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	last := len(parts) - 1
	switch {
	case parts[0] == "config" && parts[last] == "default":
		parts, defaults = parts[1:last], true
	case parts[1] == "config":
		p.DomainID, parts = parts[0], parts[2:]
	default:
		return p, false, fault.NotFoundf("The resource could not be found.")
	}
	if len(parts) > 0 {
		p.Section = parts[0]
	}
	if len(parts) > 1 {
		p.Option = parts[1]
	}
	return p, defaults, nil
}

// configView is a section with its name, but an option without its section's.
func configView(config control.DomainConfig, p control.ConfigPath) map[string]any {
	if p.Option != "" {
		return map[string]any{"config": config[p.Section]}
	}
	return map[string]any{"config": config}
}

func (a *api) showConfig(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, defaults, err := configPath(r)
	if err != nil {
		return nil, err
	}
	show := a.c.DomainConfig
	if defaults {
		show = a.c.DefaultConfig
	}
	config, err := show(ctx, p)
	return rest.OK(configView(config, p)), err
}

// configBody reads the configuration, or the options of a section, in a body.
func configBody(r *rest.Request, p control.ConfigPath) (control.DomainConfig, error) {
	raw, err := member(r, "config")
	if err != nil {
		return nil, err
	}
	if p.Option != "" {
		var options map[string]any
		if err := json.Unmarshal(raw, &options); err != nil {
			return nil, fault.Invalidf("Invalid input for field 'config': it is an object with the option.")
		}
		return control.DomainConfig{p.Section: options}, nil
	}
	var config control.DomainConfig
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fault.Invalidf("Invalid input for field 'config': it is an object of sections, which are objects of options.")
	}
	return config, nil
}

func (a *api) setConfig(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, defaults, err := configPath(r)
	if err != nil {
		return nil, err
	}
	if defaults || p.Section != "" {
		return nil, fault.New(fault.MethodNotAllowed, "The method PUT is not allowed for this resource.")
	}
	body, err := configBody(r, p)
	if err != nil {
		return nil, err
	}
	config, created, err := a.c.SetDomainConfig(ctx, p.DomainID, body)
	resp := rest.OK(configView(config, p))
	if created {
		resp.Status = http.StatusCreated
	}
	return resp, err
}

func (a *api) updateConfig(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, defaults, err := configPath(r)
	if err != nil {
		return nil, err
	}
	if defaults {
		return nil, fault.New(fault.MethodNotAllowed, "The method PATCH is not allowed for this resource.")
	}
	body, err := configBody(r, p)
	if err != nil {
		return nil, err
	}
	config, err := a.c.UpdateDomainConfig(ctx, p, body)
	return rest.OK(map[string]any{"config": config}), err
}

func (a *api) deleteConfig(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, defaults, err := configPath(r)
	if err != nil {
		return nil, err
	}
	if defaults {
		return nil, fault.New(fault.MethodNotAllowed, "The method DELETE is not allowed for this resource.")
	}
	return rest.NoContent(), a.c.DeleteDomainConfig(ctx, p)
}

func (a *api) configRoutes() []rest.Route {
	var routes []rest.Route
	for _, path := range []string{"/v3/domains/{a}/{b}", "/v3/domains/{a}/{b}/{c}", "/v3/domains/{a}/{b}/{c}/{d}"} {
		routes = append(routes,
			rest.Route{Method: "GET", Path: path, Handle: a.showConfig, Doc: "show the configuration of a domain"},
			rest.Route{Method: "PUT", Path: path, Handle: a.setConfig, Doc: "replace the configuration of a domain"},
			rest.Route{Method: "PATCH", Path: path, Handle: a.updateConfig, Doc: "update the configuration of a domain"},
			rest.Route{Method: "DELETE", Path: path, Handle: a.deleteConfig, Doc: "delete the configuration of a domain"})
	}
	return routes
}
