package store

import (
	"context"
	"time"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

var (
	idpColumns = map[string]string{"id": "id", "enabled": "enabled"}
	spColumns  = map[string]string{"id": "id", "enabled": "enabled"}
)

type remoteID struct {
	RemoteID string `db:"remote_id"`
	IDP      string `db:"idp_id"`
}

// IdentityProvider returns an identity provider with its remote ids.
func IdentityProvider(ctx context.Context, q db.Querier, id string) (identity.IdentityProvider, error) {
	p, err := pick[identity.IdentityProvider](ctx, q, "identity_providers", id)
	if err != nil {
		return p, err
	}
	p.RemoteIDs, err = db.Select[string](ctx, q, `SELECT remote_id FROM remote_ids WHERE idp_id = ? ORDER BY remote_id`, id)
	return p, err
}

// IdentityProviders lists identity providers with their remote ids.
func IdentityProviders(ctx context.Context, q db.Querier, query identity.Query) ([]identity.IdentityProvider, error) {
	all, err := list[identity.IdentityProvider](ctx, q, "identity_providers", idpColumns, query, clause{})
	if err != nil || len(all) == 0 {
		return all, err
	}
	rows, err := db.Select[remoteID](ctx, q, `SELECT remote_id, idp_id FROM remote_ids ORDER BY remote_id`)
	for i := range all {
		for _, r := range rows {
			if r.IDP == all[i].ID {
				all[i].RemoteIDs = append(all[i].RemoteIDs, r.RemoteID)
			}
		}
	}
	return all, err
}

// ProviderByRemoteID returns the id of the provider that calls itself so.
func ProviderByRemoteID(ctx context.Context, q db.Querier, remote string) (string, error) {
	return db.Get[string](ctx, q, `SELECT idp_id FROM remote_ids WHERE remote_id = ?`, remote)
}

// AddIdentityProvider writes a new identity provider.
func AddIdentityProvider(ctx context.Context, tx *db.Tx, p identity.IdentityProvider) error {
	if err := db.Insert(ctx, tx, "identity_providers", p); err != nil {
		return err
	}
	return setRemoteIDs(ctx, tx, p)
}

// UpdateIdentityProvider writes a changed identity provider.
func UpdateIdentityProvider(ctx context.Context, tx *db.Tx, p identity.IdentityProvider) error {
	if err := update(ctx, tx, "identity_providers", p); err != nil {
		return err
	}
	return setRemoteIDs(ctx, tx, p)
}

func setRemoteIDs(ctx context.Context, tx *db.Tx, p identity.IdentityProvider) error {
	if _, err := tx.Exec(ctx, `DELETE FROM remote_ids WHERE idp_id = ?`, p.ID); err != nil {
		return err
	}
	var rows []remoteID
	for _, r := range p.RemoteIDs {
		rows = append(rows, remoteID{r, p.ID})
	}
	return db.Insert(ctx, tx, "remote_ids", rows...)
}

// DeleteIdentityProvider removes an identity provider with its protocols and with
// who users are to it.
func DeleteIdentityProvider(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "identity_providers", id)
}

// Protocols lists the protocols of a provider.
func Protocols(ctx context.Context, q db.Querier, idp string) ([]identity.FederationProtocol, error) {
	return db.Select[identity.FederationProtocol](ctx, q, `SELECT `+columns[identity.FederationProtocol]()+` FROM federation_protocols WHERE idp_id = ? ORDER BY id`, idp)
}

// Protocol returns a protocol of a provider.
func Protocol(ctx context.Context, q db.Querier, idp, id string) (identity.FederationProtocol, error) {
	return db.Get[identity.FederationProtocol](ctx, q, `SELECT `+columns[identity.FederationProtocol]()+` FROM federation_protocols WHERE idp_id = ? AND id = ?`, idp, id)
}

// AddProtocol writes a new protocol.
func AddProtocol(ctx context.Context, tx *db.Tx, p identity.FederationProtocol) error {
	return db.Insert(ctx, tx, "federation_protocols", p)
}

// UpdateProtocol writes a changed protocol.
func UpdateProtocol(ctx context.Context, tx *db.Tx, p identity.FederationProtocol) error {
	return touch(tx.Exec(ctx, `UPDATE federation_protocols SET mapping_id = ?, remote_id_attribute = ? WHERE idp_id = ? AND id = ?`,
		p.MappingID, p.RemoteIDAttribute, p.IdentityProvider, p.ID))
}

// DeleteProtocol removes a protocol, and with it who users are by it.
func DeleteProtocol(ctx context.Context, tx *db.Tx, idp, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM federated_users WHERE idp_id = ? AND protocol_id = ?`, idp, id); err != nil {
		return err
	}
	return touch(tx.Exec(ctx, `DELETE FROM federation_protocols WHERE idp_id = ? AND id = ?`, idp, id))
}

// Mapping returns a mapping.
func Mapping(ctx context.Context, q db.Querier, id string) (identity.Mapping, error) {
	return pick[identity.Mapping](ctx, q, "mappings", id)
}

// Mappings lists mappings.
func Mappings(ctx context.Context, q db.Querier) ([]identity.Mapping, error) {
	return db.Select[identity.Mapping](ctx, q, `SELECT `+columns[identity.Mapping]()+` FROM mappings ORDER BY id`)
}

// AddMapping writes a new mapping.
func AddMapping(ctx context.Context, tx *db.Tx, m identity.Mapping) error {
	return db.Insert(ctx, tx, "mappings", m)
}

// UpdateMapping writes a changed mapping.
func UpdateMapping(ctx context.Context, tx *db.Tx, m identity.Mapping) error {
	return update(ctx, tx, "mappings", m)
}

// DeleteMapping removes a mapping.
func DeleteMapping(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "mappings", id)
}

// ServiceProvider returns a service provider.
func ServiceProvider(ctx context.Context, q db.Querier, id string) (identity.ServiceProvider, error) {
	return pick[identity.ServiceProvider](ctx, q, "service_providers", id)
}

// ServiceProviders lists service providers.
func ServiceProviders(ctx context.Context, q db.Querier, query identity.Query) ([]identity.ServiceProvider, error) {
	return list[identity.ServiceProvider](ctx, q, "service_providers", spColumns, query, clause{})
}

// AddServiceProvider writes a new service provider.
func AddServiceProvider(ctx context.Context, tx *db.Tx, p identity.ServiceProvider) error {
	return db.Insert(ctx, tx, "service_providers", p)
}

// UpdateServiceProvider writes a changed service provider.
func UpdateServiceProvider(ctx context.Context, tx *db.Tx, p identity.ServiceProvider) error {
	return update(ctx, tx, "service_providers", p)
}

// DeleteServiceProvider removes a service provider.
func DeleteServiceProvider(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "service_providers", id)
}

// FederatedUser returns who somebody is here that a provider vouches for.
func FederatedUser(ctx context.Context, q db.Querier, idp, protocol, unique string) (identity.FederatedUser, error) {
	return db.Get[identity.FederatedUser](ctx, q, `SELECT `+columns[identity.FederatedUser]()+
		` FROM federated_users WHERE idp_id = ? AND protocol_id = ? AND unique_id = ?`, idp, protocol, unique)
}

// FederatedAs lists who users are to providers.
func FederatedAs(ctx context.Context, q db.Querier, userIDs []string) ([]identity.FederatedUser, error) {
	in, args := db.In(userIDs)
	return db.Select[identity.FederatedUser](ctx, q, `SELECT `+columns[identity.FederatedUser]()+` FROM federated_users WHERE user_id IN `+in+
		` ORDER BY user_id, idp_id, protocol_id, unique_id`, args...)
}

// AddFederatedUser writes who a user is to a provider.
func AddFederatedUser(ctx context.Context, tx *db.Tx, f identity.FederatedUser) error {
	return db.Insert(ctx, tx, "federated_users", f)
}

// RenameFederatedUser notes the name that a provider now has for a user.
func RenameFederatedUser(ctx context.Context, tx *db.Tx, f identity.FederatedUser) error {
	return touch(tx.Exec(ctx, `UPDATE federated_users SET display_name = ? WHERE idp_id = ? AND protocol_id = ? AND unique_id = ?`,
		f.DisplayName, f.IdentityProvider, f.Protocol, f.UniqueID))
}

// DeleteFederatedUser forgets who a user is to any provider.
func DeleteFederatedUser(ctx context.Context, tx *db.Tx, userID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM federated_users WHERE user_id = ?`, userID)
	return err
}

// SetFederatedMemberships puts a user into groups until an instant, and out of
// others that the same provider has put it into.
func SetFederatedMemberships(ctx context.Context, tx *db.Tx, userID, idp string, groups []string, until time.Time) error {
	type row struct {
		UserID  string  `db:"user_id"`
		GroupID string  `db:"group_id"`
		IDP     string  `db:"idp_id"`
		Expires db.Time `db:"expires_at"`
	}
	if _, err := tx.Exec(ctx, `DELETE FROM federated_memberships WHERE user_id = ? AND idp_id = ?`, userID, idp); err != nil {
		return err
	}
	var rows []row
	for _, g := range groups {
		rows = append(rows, row{userID, g, idp, db.At(until)})
	}
	return db.Raced(db.Insert(ctx, tx, "federated_memberships", rows...))
}

// FederatedMemberships returns the groups that providers have put a user into, with
// the ends of these memberships that lie behind now.
func FederatedMemberships(ctx context.Context, q db.Querier, userID string, now time.Time) (map[string]time.Time, error) {
	type row struct {
		GroupID string  `db:"group_id"`
		Expires db.Time `db:"expires_at"`
	}
	rows, err := db.Select[row](ctx, q, `SELECT group_id, expires_at FROM federated_memberships WHERE user_id = ? AND expires_at > ?`, userID, db.At(now))
	ends := map[string]time.Time{}
	for _, r := range rows {
		if r.Expires.After(ends[r.GroupID]) {
			ends[r.GroupID] = r.Expires.Time
		}
	}
	return ends, err
}

// PruneFederatedMemberships removes those that have ended.
func PruneFederatedMemberships(ctx context.Context, tx *db.Tx, now time.Time) (int64, error) {
	return tx.Exec(ctx, `DELETE FROM federated_memberships WHERE expires_at < ?`, db.At(now))
}

// GroupByName returns the group with a name in a domain.
func GroupByName(ctx context.Context, q db.Querier, domainID, name string) (identity.Group, error) {
	return db.Get[identity.Group](ctx, q, `SELECT `+columns[identity.Group]()+` FROM user_groups WHERE domain_id = ? AND name = ?`, domainID, name)
}
