package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/mapping"
	"kilonova/service/identity/store"
)

// revokedProvider ends the tokens of those that an identity provider vouched for.
const revokedProvider = "idp"

// IdentityProviders lists identity providers.
func (c *Control) IdentityProviders(ctx context.Context, q identity.Query) ([]identity.IdentityProvider, error) {
	if err := c.may(ctx, "identity:list_identity_providers", nil); err != nil {
		return nil, err
	}
	return store.IdentityProviders(ctx, c.db, q)
}

// IdentityProvider returns an identity provider.
func (c *Control) IdentityProvider(ctx context.Context, id string) (identity.IdentityProvider, error) {
	return c.identityProvider(ctx, id, "identity:get_identity_provider")
}

func (c *Control) identityProvider(ctx context.Context, id, rule string) (identity.IdentityProvider, error) {
	p, err := store.IdentityProvider(ctx, c.db, id)
	return p, c.seen(ctx, found(err, "Identity Provider", id), rule, nil)
}

func applyProvider(p *identity.IdentityProvider, change identity.IdentityProviderChange) {
	p.Enabled = value(change.Enabled, p.Enabled)
	p.Description = value(change.Description, p.Description)
	p.AuthorizationTTL = value(change.AuthorizationTTL, p.AuthorizationTTL)
	if change.RemoteIDs != nil {
		p.RemoteIDs = slices.Clone(*change.RemoteIDs)
		slices.Sort(p.RemoteIDs)
	}
}

// CreateIdentityProvider makes an identity provider; without a domain it gets one
// of its own.
func (c *Control) CreateIdentityProvider(ctx context.Context, id string, change identity.IdentityProviderChange) (identity.IdentityProvider, error) {
	p := identity.IdentityProvider{ID: id, DomainID: value(change.DomainID, "")}
	if err := c.may(ctx, "identity:create_identity_provider", nil); err != nil {
		return p, err
	}
	applyProvider(&p, change)
	own, err := c.newID()
	if err != nil {
		return p, err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if value(change.DomainID, "") == "" {
			p.DomainID = own
			d := identity.Project{ID: own, Path: own, Name: own, IsDomain: true, Enabled: true,
				Description: "Auto generated federated domain for Identity Provider: " + id}
			if err := store.AddProject(ctx, tx, d); err != nil {
				return err
			}
		} else if err := c.inDomain(ctx, tx, p.DomainID); err != nil {
			return err
		}
		return store.AddIdentityProvider(ctx, tx, p)
	})
	return p, duplicate(err, "identity_provider", "Duplicate entry found with ID %s, or one of its remote ids is another's", clip(id))
}

// UpdateIdentityProvider changes an identity provider. To disable it ends the
// tokens of those that it vouched for.
func (c *Control) UpdateIdentityProvider(ctx context.Context, id string, change identity.IdentityProviderChange) (identity.IdentityProvider, error) {
	p, err := c.identityProvider(ctx, id, "identity:update_identity_provider")
	if err != nil {
		return p, err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if p, err = store.IdentityProvider(ctx, tx, id); err != nil {
			return found(err, "Identity Provider", id)
		}
		was := p.Enabled
		applyProvider(&p, change)
		if was && !p.Enabled {
			if err := c.revoke(ctx, tx, revokedProvider, id); err != nil {
				return err
			}
		}
		return store.UpdateIdentityProvider(ctx, tx, p)
	})
	return p, duplicate(err, "identity_provider", "one of the remote ids is another identity provider's")
}

// DeleteIdentityProvider removes an identity provider, and ends the tokens of
// those that it vouched for.
func (c *Control) DeleteIdentityProvider(ctx context.Context, id string) error {
	if _, err := c.identityProvider(ctx, id, "identity:delete_identity_provider"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		return errors.Join(c.revoke(ctx, tx, revokedProvider, id), found(store.DeleteIdentityProvider(ctx, tx, id), "Identity Provider", id))
	})
}

// Protocols lists the protocols of an identity provider.
func (c *Control) Protocols(ctx context.Context, idp string) ([]identity.FederationProtocol, error) {
	if _, err := c.identityProvider(ctx, idp, "identity:list_protocols"); err != nil {
		return nil, err
	}
	return store.Protocols(ctx, c.db, idp)
}

// Protocol returns a protocol of an identity provider.
func (c *Control) Protocol(ctx context.Context, idp, id string) (identity.FederationProtocol, error) {
	return c.protocol(ctx, idp, id, "identity:get_protocol")
}

func (c *Control) protocol(ctx context.Context, idp, id, rule string) (identity.FederationProtocol, error) {
	p, err := store.Protocol(ctx, c.db, idp, id)
	if errors.Is(err, db.ErrNoRow) {
		err = fault.NotFoundf("Could not find federated protocol %s for Identity Provider: %s.", clip(id), clip(idp))
	}
	return p, c.seen(ctx, err, rule, nil)
}

// CreateProtocol has users come in from a provider by a protocol and a mapping.
func (c *Control) CreateProtocol(ctx context.Context, p identity.FederationProtocol) (identity.FederationProtocol, error) {
	if _, err := c.identityProvider(ctx, p.IdentityProvider, "identity:create_protocol"); err != nil {
		return p, err
	}
	err := c.changing(ctx, func(tx *db.Tx) error {
		if err := c.hasMapping(ctx, tx, p.MappingID); err != nil {
			return err
		}
		return store.AddProtocol(ctx, tx, p)
	})
	return p, duplicate(err, "federation_protocol", "Duplicate entry found with ID %s", clip(p.ID))
}

// hasMapping refuses protocols whose mapping is not there.
func (c *Control) hasMapping(ctx context.Context, q db.Querier, id string) error {
	_, err := store.Mapping(ctx, q, id)
	if errors.Is(err, db.ErrNoRow) {
		return fault.Invalidf("Could not find mapping: %s.", clip(id))
	}
	return err
}

// UpdateProtocol changes the mapping of a protocol, or where its assertions name
// the provider; nil leaves it.
func (c *Control) UpdateProtocol(ctx context.Context, idp, id string, mappingID, attribute *string) (identity.FederationProtocol, error) {
	p, err := c.protocol(ctx, idp, id, "identity:update_protocol")
	if err != nil {
		return p, err
	}
	p.MappingID, p.RemoteIDAttribute = value(mappingID, p.MappingID), value(attribute, p.RemoteIDAttribute)
	return p, c.changing(ctx, func(tx *db.Tx) error {
		if err := c.hasMapping(ctx, tx, p.MappingID); err != nil {
			return err
		}
		return found(store.UpdateProtocol(ctx, tx, p), "federated protocol", id)
	})
}

// DeleteProtocol removes a protocol of an identity provider, and ends the tokens
// of those that the provider vouched for.
func (c *Control) DeleteProtocol(ctx context.Context, idp, id string) error {
	if _, err := c.protocol(ctx, idp, id, "identity:delete_protocol"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		return errors.Join(c.revoke(ctx, tx, revokedProvider, idp), found(store.DeleteProtocol(ctx, tx, idp, id), "federated protocol", id))
	})
}

// Mappings lists mappings.
func (c *Control) Mappings(ctx context.Context) ([]identity.Mapping, error) {
	if err := c.may(ctx, "identity:list_mappings", nil); err != nil {
		return nil, err
	}
	return store.Mappings(ctx, c.db)
}

// Mapping returns a mapping.
func (c *Control) Mapping(ctx context.Context, id string) (identity.Mapping, error) {
	return c.mapping(ctx, id, "identity:get_mapping")
}

func (c *Control) mapping(ctx context.Context, id, rule string) (identity.Mapping, error) {
	m, err := store.Mapping(ctx, c.db, id)
	return m, c.seen(ctx, found(err, "mapping", id), rule, nil)
}

// SetMapping makes a mapping, or changes one.
func (c *Control) SetMapping(ctx context.Context, m identity.Mapping, create bool) (identity.Mapping, error) {
	rule := "identity:create_mapping"
	if !create {
		rule = "identity:update_mapping"
	}
	var err error
	if create {
		err = c.may(ctx, rule, nil)
	} else {
		var old identity.Mapping
		old, err = c.mapping(ctx, m.ID, rule)
		m.SchemaVersion = orElse(m.SchemaVersion, old.SchemaVersion)
		m.Rules = orElse(m.Rules, old.Rules)
	}
	if err != nil {
		return m, err
	}
	m.SchemaVersion = orElse(m.SchemaVersion, "1.0")
	if _, err := mapping.Parse(m.SchemaVersion, []byte(m.Rules)); err != nil {
		return m, fault.Wrap(err, fault.Invalid, "The mapping %s cannot be used: %v.", clip(m.ID), err)
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if create {
			return store.AddMapping(ctx, tx, m)
		}
		return found(store.UpdateMapping(ctx, tx, m), "mapping", m.ID)
	})
	return m, duplicate(err, "mapping", "Duplicate entry found with ID %s", clip(m.ID))
}

// DeleteMapping removes a mapping.
func (c *Control) DeleteMapping(ctx context.Context, id string) error {
	if _, err := c.mapping(ctx, id, "identity:delete_mapping"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return found(store.DeleteMapping(ctx, tx, id), "mapping", id) })
}

// ServiceProviders lists service providers.
func (c *Control) ServiceProviders(ctx context.Context, q identity.Query) ([]identity.ServiceProvider, error) {
	if err := c.may(ctx, "identity:list_service_providers", nil); err != nil {
		return nil, err
	}
	return store.ServiceProviders(ctx, c.db, q)
}

// ServiceProvider returns a service provider.
func (c *Control) ServiceProvider(ctx context.Context, id string) (identity.ServiceProvider, error) {
	return c.serviceProvider(ctx, id, "identity:get_service_provider")
}

func (c *Control) serviceProvider(ctx context.Context, id, rule string) (identity.ServiceProvider, error) {
	p, err := store.ServiceProvider(ctx, c.db, id)
	return p, c.seen(ctx, found(err, "Service Provider", id), rule, nil)
}

func applyServiceProvider(p *identity.ServiceProvider, change identity.ServiceProviderChange) {
	p.AuthURL, p.URL = value(change.AuthURL, p.AuthURL), value(change.URL, p.URL)
	p.RelayStatePrefix = value(change.RelayStatePrefix, p.RelayStatePrefix)
	p.Description, p.Enabled = value(change.Description, p.Description), value(change.Enabled, p.Enabled)
}

// CreateServiceProvider makes a service provider.
func (c *Control) CreateServiceProvider(ctx context.Context, id string, change identity.ServiceProviderChange) (identity.ServiceProvider, error) {
	p := identity.ServiceProvider{ID: id, RelayStatePrefix: c.options.SAML.RelayStatePrefix}
	if err := c.may(ctx, "identity:create_service_provider", nil); err != nil {
		return p, err
	}
	applyServiceProvider(&p, change)
	err := c.changing(ctx, func(tx *db.Tx) error { return store.AddServiceProvider(ctx, tx, p) })
	return p, duplicate(err, "service_provider", "Duplicate entry found with ID %s", clip(id))
}

// UpdateServiceProvider changes a service provider.
func (c *Control) UpdateServiceProvider(ctx context.Context, id string, change identity.ServiceProviderChange) (identity.ServiceProvider, error) {
	p, err := c.serviceProvider(ctx, id, "identity:update_service_provider")
	if err != nil {
		return p, err
	}
	applyServiceProvider(&p, change)
	return p, c.changing(ctx, func(tx *db.Tx) error { return found(store.UpdateServiceProvider(ctx, tx, p), "Service Provider", id) })
}

// DeleteServiceProvider removes a service provider.
func (c *Control) DeleteServiceProvider(ctx context.Context, id string) error {
	if _, err := c.serviceProvider(ctx, id, "identity:delete_service_provider"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		return found(store.DeleteServiceProvider(ctx, tx, id), "Service Provider", id)
	})
}
