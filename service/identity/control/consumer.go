package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Consumers lists consumers, without their secrets.
func (c *Control) Consumers(ctx context.Context, q identity.Query) ([]identity.Consumer, error) {
	if err := c.may(ctx, "identity:list_consumers", nil); err != nil {
		return nil, err
	}
	list, err := store.Consumers(ctx, c.db, q)
	for i := range list {
		list[i].Secret = ""
	}
	return list, err
}

// Consumer returns a consumer, without its secret.
func (c *Control) Consumer(ctx context.Context, id string) (identity.Consumer, error) {
	return c.consumer(ctx, c.db, id, "identity:get_consumer")
}

func (c *Control) consumer(ctx context.Context, q db.Querier, id, rule string) (identity.Consumer, error) {
	consumer, err := store.Consumer(ctx, q, id)
	if errors.Is(err, db.ErrNoRow) {
		err = fault.NotFoundf("Consumer not found")
	}
	err = c.seen(ctx, err, rule, nil)
	consumer.Secret = ""
	return consumer, err
}

// CreateConsumer makes a consumer; the answer alone has its secret.
func (c *Control) CreateConsumer(ctx context.Context, description *string, extra identity.Attributes) (identity.Consumer, error) {
	consumer := identity.Consumer{Description: description, Extra: extra}
	err := c.may(ctx, "identity:create_consumer", nil)
	if err != nil {
		return consumer, err
	}
	if consumer.ID, consumer.Secret, err = c.idAndSecret(); err != nil {
		return consumer, err
	}
	return consumer, c.changing(ctx, func(tx *db.Tx) error { return store.AddConsumer(ctx, tx, consumer) })
}

// UpdateConsumer changes a consumer's description; nil leaves it.
func (c *Control) UpdateConsumer(ctx context.Context, id string, description *string, extra identity.Attributes) (identity.Consumer, error) {
	consumer, err := c.consumer(ctx, c.db, id, "identity:update_consumer")
	if err != nil {
		return consumer, err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if consumer, err = store.Consumer(ctx, tx, id); err != nil {
			return found(err, "consumer", id)
		}
		if description != nil {
			consumer.Description = description
		}
		consumer.Extra = consumer.Extra.Merge(extra)
		return store.UpdateConsumer(ctx, tx, consumer)
	})
	consumer.Secret = ""
	return consumer, err
}

// DeleteConsumer removes a consumer; what users allowed it ends.
func (c *Control) DeleteConsumer(ctx context.Context, id string) error {
	if _, err := c.consumer(ctx, c.db, id, "identity:delete_consumer"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return found(store.DeleteConsumer(ctx, tx, id), "consumer", id) })
}

// AccessTokens lists the access tokens that a user has agreed to.
func (c *Control) AccessTokens(ctx context.Context, userID string) ([]identity.AccessToken, error) {
	if err := c.may(ctx, "identity:list_access_tokens", nil); err != nil {
		return nil, err
	}
	if _, err := c.mayDelegate(ctx, false); err != nil {
		return nil, err
	}
	return store.AccessTokens(ctx, c.db, userID)
}

// AccessToken returns an access token of a user.
func (c *Control) AccessToken(ctx context.Context, userID, id string) (identity.AccessToken, error) {
	return c.accessToken(ctx, userID, id, "identity:get_access_token")
}

func (c *Control) accessToken(ctx context.Context, userID, id, rule string) (identity.AccessToken, error) {
	t, err := store.AccessToken(ctx, c.db, id)
	if errors.Is(err, db.ErrNoRow) || err == nil && t.UserID != userID {
		err = fault.NotFoundf("Access token not found")
	}
	return t, c.seen(ctx, err, rule, nil)
}

// AccessTokenRoles lists the roles of an access token; single picks the rule for
// one of them.
func (c *Control) AccessTokenRoles(ctx context.Context, userID, id string, single bool) ([]identity.Role, error) {
	rule := "identity:list_access_token_roles"
	if single {
		rule = "identity:get_access_token_role"
	}
	t, err := c.accessToken(ctx, userID, id, rule)
	if err != nil {
		return nil, err
	}
	roles, err := store.Roles(ctx, c.db, identity.Query{}.Where("domain_id", ""))
	return slices.DeleteFunc(roles, func(r identity.Role) bool { return !slices.Contains(t.RoleIDs, r.ID) }), err
}

// DeleteAccessToken removes an access token, and with it its tokens.
func (c *Control) DeleteAccessToken(ctx context.Context, userID, id string) error {
	if _, err := c.accessToken(ctx, userID, id, "identity:delete_access_token"); err != nil {
		return err
	}
	if _, err := c.mayDelegate(ctx, false); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return found(store.DeleteAccessToken(ctx, tx, id), "access token", id) })
}
