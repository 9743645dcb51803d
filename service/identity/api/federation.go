package api

import (
	"context"
	"encoding/json"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

func (a *api) federationRoutes() []rest.Route {
	const providers, protocols = "/v3/OS-FEDERATION/identity_providers", "/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols"
	const sso, providerSSO = "/v3/auth/OS-FEDERATION/websso/{protocol_id}", "/v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso"
	return []rest.Route{
		{Method: "GET", Path: providers, Handle: a.listProviders, Doc: "list identity providers"},
		{Method: "PUT", Path: providers + "/{idp_id}", Handle: a.createProvider, Doc: "create an identity provider"},
		{Method: "GET", Path: providers + "/{idp_id}", Handle: a.showProvider, Doc: "show an identity provider"},
		{Method: "PATCH", Path: providers + "/{idp_id}", Handle: a.updateProvider, Doc: "update an identity provider"},
		{Method: "DELETE", Path: providers + "/{idp_id}", Handle: a.deleteProvider, Doc: "delete an identity provider"},
		{Method: "GET", Path: protocols, Handle: a.listProtocols, Doc: "list the protocols of an identity provider"},
		{Method: "PUT", Path: protocols + "/{protocol_id}", Handle: a.createProtocol, Doc: "create a protocol of an identity provider"},
		{Method: "GET", Path: protocols + "/{protocol_id}", Handle: a.showProtocol, Doc: "show a protocol of an identity provider"},
		{Method: "PATCH", Path: protocols + "/{protocol_id}", Handle: a.updateProtocol, Doc: "update a protocol of an identity provider"},
		{Method: "DELETE", Path: protocols + "/{protocol_id}", Handle: a.deleteProtocol, Doc: "delete a protocol of an identity provider"},
		{Method: "GET", Path: protocols + "/{protocol_id}/auth", Public: true, Handle: a.federatedAuth, Doc: "log in by an identity provider"},
		{Method: "POST", Path: protocols + "/{protocol_id}/auth", Public: true, Handle: a.federatedAuth, Doc: "log in by an identity provider"},
		{Method: "GET", Path: sso, Public: true, Handle: a.webSSO, Doc: "log a browser in for a dashboard"},
		{Method: "POST", Path: sso, Public: true, Handle: a.webSSO, Doc: "log a browser in for a dashboard"},
		{Method: "GET", Path: providerSSO, Public: true, Handle: a.webSSO, Doc: "log a browser in for a dashboard, by one identity provider"},
		{Method: "POST", Path: providerSSO, Public: true, Handle: a.webSSO, Doc: "log a browser in for a dashboard, by one identity provider"},
		{Method: "GET", Path: "/v3/OS-FEDERATION/saml2/metadata", Public: true, Handle: a.samlMetadata, Doc: "show the metadata of this cloud as a SAML identity provider"},
		{Method: "POST", Path: "/v3/auth/OS-FEDERATION/saml2", Public: true, Handle: a.samlResponse, Doc: "have a token's user vouched for at another cloud"},
		{Method: "POST", Path: "/v3/auth/OS-FEDERATION/saml2/ecp", Public: true, Handle: a.samlEnvelope, Doc: "the same for an enhanced client"},

		{Method: "GET", Path: "/v3/OS-FEDERATION/mappings", Handle: a.listMappings, Doc: "list mappings"},
		{Method: "PUT", Path: "/v3/OS-FEDERATION/mappings/{mapping_id}", Handle: a.createMapping, Doc: "create a mapping"},
		{Method: "GET", Path: "/v3/OS-FEDERATION/mappings/{mapping_id}", Handle: a.showMapping, Doc: "show a mapping"},
		{Method: "PATCH", Path: "/v3/OS-FEDERATION/mappings/{mapping_id}", Handle: a.updateMapping, Doc: "update a mapping"},
		{Method: "DELETE", Path: "/v3/OS-FEDERATION/mappings/{mapping_id}", Handle: a.deleteMapping, Doc: "delete a mapping"},

		{Method: "GET", Path: "/v3/OS-FEDERATION/service_providers", Handle: a.listServiceProviders, Doc: "list service providers"},
		{Method: "PUT", Path: "/v3/OS-FEDERATION/service_providers/{sp_id}", Handle: a.createServiceProvider, Doc: "create a service provider"},
		{Method: "GET", Path: "/v3/OS-FEDERATION/service_providers/{sp_id}", Handle: a.showServiceProvider, Doc: "show a service provider"},
		{Method: "PATCH", Path: "/v3/OS-FEDERATION/service_providers/{sp_id}", Handle: a.updateServiceProvider, Doc: "update a service provider"},
		{Method: "DELETE", Path: "/v3/OS-FEDERATION/service_providers/{sp_id}", Handle: a.deleteServiceProvider, Doc: "delete a service provider"},
	}
}

// given is decode for what gets its id from the address.
func given[T any](r *rest.Request, key, param string) (id string, b T, err error) {
	b, extra, err := decode[T](r, key)
	if err == nil && extra["id"] == r.Path(param) {
		delete(extra, "id")
	}
	if len(r.Path(param)) > 64 {
		return "", b, fault.Invalidf("The id of a %s has 64 characters at most.", key)
	}
	return r.Path(param), b, only(extra, err)
}

// pointer is an attribute that may be set to null: nil when absent.
func pointer[T any](o rest.Opt[T]) **T {
	if !o.Set {
		return nil
	}
	var p *T
	if !o.Null {
		p = &o.V
	}
	return &p
}

type providerBody struct {
	Enabled     rest.Opt[rest.Bool] `json:"enabled"`
	Description rest.Opt[string]    `json:"description" check:"len=0..4096"`
	DomainID    rest.Opt[string]    `json:"domain_id" check:"len=1..64"`
	TTL         rest.Opt[int64]     `json:"authorization_ttl" check:"range=0..5256000"`
	RemoteIDs   rest.Opt[[]string]  `json:"remote_ids"`
}

func (b providerBody) change() (identity.IdentityProviderChange, error) {
	c := identity.IdentityProviderChange{DomainID: nullable(b.DomainID), Enabled: flag(b.Enabled), Description: pointer(b.Description), AuthorizationTTL: pointer(b.TTL)}
	if b.RemoteIDs.Set {
		c.RemoteIDs = &b.RemoteIDs.V
	}
	seen := map[string]bool{}
	for _, id := range b.RemoteIDs.V {
		if id == "" || len(id) > 255 || seen[id] || len(b.RemoteIDs.V) > 1000 {
			return c, fault.Invalidf("Invalid input for field 'remote_ids': each has between 1 and 255 characters and is there once; at most 1000.")
		}
		seen[id] = true
	}
	return c, nil
}

func providerView(r *rest.Request, p *identity.IdentityProvider) map[string]any {
	v := object(r, "/OS-FEDERATION/identity_providers/"+p.ID, nil, map[string]any{"id": p.ID, "enabled": p.Enabled, "description": p.Description, "domain_id": p.DomainID,
		"authorization_ttl": p.AuthorizationTTL, "remote_ids": tags(p.RemoteIDs)})
	links := v["links"].(map[string]string)
	links["protocols"] = links["self"] + "/protocols"
	return v
}

func (a *api) listProviders(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "id", "enabled")
	if err != nil {
		return nil, err
	}
	list, err := a.c.IdentityProviders(ctx, q)
	return collection(r, "identity_providers", list, q, providerView, func(p *identity.IdentityProvider) string { return p.ID }), err
}

func (a *api) showProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, err := a.c.IdentityProvider(ctx, r.Path("idp_id"))
	return one(r, "identity_provider", &p, providerView, http.StatusOK), err
}

func (a *api) createProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, b, err := given[providerBody](r, "identity_provider", "idp_id")
	if err != nil {
		return nil, err
	}
	change, err := b.change()
	if err != nil {
		return nil, err
	}
	p, err := a.c.CreateIdentityProvider(ctx, id, change)
	return one(r, "identity_provider", &p, providerView, http.StatusCreated), err
}

func (a *api) updateProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, b, err := given[providerBody](r, "identity_provider", "idp_id")
	if err != nil {
		return nil, err
	}
	if b.DomainID.Set {
		return nil, fault.Invalidf("The domain of an identity provider cannot be changed.")
	}
	change, err := b.change()
	if err != nil {
		return nil, err
	}
	p, err := a.c.UpdateIdentityProvider(ctx, id, change)
	return one(r, "identity_provider", &p, providerView, http.StatusOK), err
}

func (a *api) deleteProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteIdentityProvider(ctx, r.Path("idp_id"))
}

type protocolBody struct {
	MappingID rest.Opt[string] `json:"mapping_id" check:"len=1..64"`
	Attribute rest.Opt[string] `json:"remote_id_attribute" check:"len=0..64"`
}

func protocolView(r *rest.Request, p *identity.FederationProtocol) map[string]any {
	provider := "/OS-FEDERATION/identity_providers/" + p.IdentityProvider
	v := object(r, provider+"/protocols/"+p.ID, nil, map[string]any{"id": p.ID, "mapping_id": p.MappingID})
	if p.RemoteIDAttribute != "" {
		v["remote_id_attribute"] = p.RemoteIDAttribute
	}
	v["links"].(map[string]string)["identity_provider"] = r.Link("/v3" + provider)
	return v
}

func (a *api) listProtocols(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.Protocols(ctx, r.Path("idp_id"))
	return collection(r, "protocols", list, identity.Query{}, protocolView, func(p *identity.FederationProtocol) string { return p.ID }), err
}

func (a *api) showProtocol(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, err := a.c.Protocol(ctx, r.Path("idp_id"), r.Path("protocol_id"))
	return one(r, "protocol", &p, protocolView, http.StatusOK), err
}

func (a *api) createProtocol(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, b, err := given[protocolBody](r, "protocol", "protocol_id")
	if err != nil {
		return nil, err
	}
	if err := need("mapping_id", b.MappingID.V); err != nil {
		return nil, err
	}
	p, err := a.c.CreateProtocol(ctx, identity.FederationProtocol{ID: id, IdentityProvider: r.Path("idp_id"), MappingID: b.MappingID.V, RemoteIDAttribute: b.Attribute.V})
	return one(r, "protocol", &p, protocolView, http.StatusCreated), err
}

func (a *api) updateProtocol(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, b, err := given[protocolBody](r, "protocol", "protocol_id")
	if err != nil {
		return nil, err
	}
	p, err := a.c.UpdateProtocol(ctx, r.Path("idp_id"), id, nullable(b.MappingID), nullable(b.Attribute))
	return one(r, "protocol", &p, protocolView, http.StatusOK), err
}

func (a *api) deleteProtocol(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteProtocol(ctx, r.Path("idp_id"), r.Path("protocol_id"))
}

type mappingBody struct {
	Rules         json.RawMessage  `json:"rules"`
	SchemaVersion rest.Opt[string] `json:"schema_version" check:"len=1..5"`
}

func mappingView(r *rest.Request, m *identity.Mapping) map[string]any {
	return object(r, "/OS-FEDERATION/mappings/"+m.ID, nil, map[string]any{"id": m.ID, "rules": json.RawMessage(m.Rules), "schema_version": m.SchemaVersion})
}

func (a *api) listMappings(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.Mappings(ctx)
	return collection(r, "mappings", list, identity.Query{}, mappingView, func(m *identity.Mapping) string { return m.ID }), err
}

func (a *api) showMapping(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	m, err := a.c.Mapping(ctx, r.Path("mapping_id"))
	return one(r, "mapping", &m, mappingView, http.StatusOK), err
}

func (a *api) createMapping(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.setMapping(ctx, r, true)
}

func (a *api) updateMapping(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return a.setMapping(ctx, r, false)
}

func (a *api) setMapping(ctx context.Context, r *rest.Request, create bool) (*rest.Response, error) {
	id, b, err := given[mappingBody](r, "mapping", "mapping_id")
	if err != nil {
		return nil, err
	}
	if len(b.Rules) == 0 {
		return nil, fault.Invalidf("'rules' is a required property")
	}
	m, err := a.c.SetMapping(ctx, identity.Mapping{ID: id, SchemaVersion: b.SchemaVersion.V, Rules: string(b.Rules)}, create)
	status := http.StatusOK
	if create {
		status = http.StatusCreated
	}
	if err != nil {
		return nil, err
	}
	return one(r, "mapping", &m, mappingView, status), nil
}

func (a *api) deleteMapping(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteMapping(ctx, r.Path("mapping_id"))
}

type serviceProviderBody struct {
	AuthURL     rest.Opt[string]    `json:"auth_url" check:"len=1..256"`
	URL         rest.Opt[string]    `json:"sp_url" check:"len=1..256"`
	Description rest.Opt[string]    `json:"description" check:"len=0..4096"`
	Enabled     rest.Opt[rest.Bool] `json:"enabled"`
	Prefix      rest.Opt[string]    `json:"relay_state_prefix" check:"len=0..256"`
}

func (b serviceProviderBody) change() (identity.ServiceProviderChange, error) {
	for name, u := range map[string]rest.Opt[string]{"auth_url": b.AuthURL, "sp_url": b.URL} {
		if u.Set && !isURL(u.V) {
			return identity.ServiceProviderChange{}, fault.Invalidf("Invalid input for field '%s': '%.255s' is not a URL.", name, u.V)
		}
	}
	return identity.ServiceProviderChange{AuthURL: nullable(b.AuthURL), URL: nullable(b.URL), RelayStatePrefix: nullable(b.Prefix),
		Description: pointer(b.Description), Enabled: flag(b.Enabled)}, nil
}

func serviceProviderView(r *rest.Request, p *identity.ServiceProvider) map[string]any {
	return object(r, "/OS-FEDERATION/service_providers/"+p.ID, nil, map[string]any{"id": p.ID, "auth_url": p.AuthURL, "sp_url": p.URL, "description": p.Description,
		"enabled": p.Enabled, "relay_state_prefix": p.RelayStatePrefix})
}

func (a *api) listServiceProviders(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "id", "enabled")
	if err != nil {
		return nil, err
	}
	list, err := a.c.ServiceProviders(ctx, q)
	return collection(r, "service_providers", list, q, serviceProviderView, func(p *identity.ServiceProvider) string { return p.ID }), err
}

func (a *api) showServiceProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, err := a.c.ServiceProvider(ctx, r.Path("sp_id"))
	return one(r, "service_provider", &p, serviceProviderView, http.StatusOK), err
}

func (a *api) createServiceProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, b, err := given[serviceProviderBody](r, "service_provider", "sp_id")
	if err != nil {
		return nil, err
	}
	if err := need("auth_url", b.AuthURL.V, "sp_url", b.URL.V); err != nil {
		return nil, err
	}
	change, err := b.change()
	if err != nil {
		return nil, err
	}
	p, err := a.c.CreateServiceProvider(ctx, id, change)
	return one(r, "service_provider", &p, serviceProviderView, http.StatusCreated), err
}

func (a *api) updateServiceProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, b, err := given[serviceProviderBody](r, "service_provider", "sp_id")
	if err != nil {
		return nil, err
	}
	change, err := b.change()
	if err != nil {
		return nil, err
	}
	p, err := a.c.UpdateServiceProvider(ctx, id, change)
	return one(r, "service_provider", &p, serviceProviderView, http.StatusOK), err
}

func (a *api) deleteServiceProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteServiceProvider(ctx, r.Path("sp_id"))
}
