package control

import (
	"context"
	"strconv"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/object"
)

// Account returns an account. One that nobody has written to is empty.
func (c *Control) Account(ctx context.Context, name, method string) (*object.Account, error) {
	if err := c.known(name); err != nil {
		return nil, err
	}
	owner, err := c.may(ctx, ask{Path: object.Path{Account: name}, Method: method})
	if err != nil {
		return nil, err
	}
	a, err := c.store.Account(ctx, c.store.DB, name)
	if err != nil {
		return nil, err
	}
	if a.CreatedAt.IsZero() {
		a.CreatedAt = c.now()
	}
	a.Headers = shown(a.Headers, owner)
	return a, nil
}

// UpdateAccount changes an account's metadata. Its quota is set by those who sell
// accounts.
func (c *Control) UpdateAccount(ctx context.Context, name, method string, sent object.Headers) error {
	if err := c.known(name); err != nil {
		return err
	}
	owner, err := c.may(ctx, ask{Path: object.Path{Account: name}, Method: method})
	if err != nil {
		return err
	}
	if err := c.checkQuotaChange(auth.From(ctx), sent); err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		a, err := c.store.AccountHead(ctx, tx, name)
		if err != nil {
			return err
		}
		if a.CreatedAt.IsZero() {
			a.CreatedAt = c.now()
		}
		if a.Headers, err = c.remember(ofAccounts, a.Headers, sent, owner); err != nil {
			return err
		}
		return c.store.SaveAccount(ctx, tx, a)
	})
}

func (c *Control) checkQuotaChange(caller *auth.Caller, sent object.Headers) error {
	value, set := sent[accountQuotaBytes]
	_, removed := sent[strings.Replace(accountQuotaBytes, "X-", "X-Remove-", 1)]
	if !set && !removed {
		return nil
	}
	if n, err := strconv.ParseInt(value, 10, 64); value != "" && (err != nil || n < 0) {
		return fault.Invalidf("Invalid bytes quota.")
	}
	if caller == nil || !caller.HasRole(strings.ToLower(c.o.ResellerAdminRole)) {
		return denied(caller)
	}
	return nil
}

// DeleteAccount removes an account that is empty.
func (c *Control) DeleteAccount(ctx context.Context, name string) error {
	if err := c.known(name); err != nil {
		return err
	}
	if _, err := c.may(ctx, ask{Path: object.Path{Account: name}, Method: "DELETE"}); err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		a, err := c.store.Account(ctx, tx, name)
		switch {
		case err != nil:
			return err
		case a.CreatedAt.IsZero():
			return notThere()
		case a.Containers > 0:
			return fault.Conflictf("The account %s has %d containers: they are deleted first.", name, a.Containers)
		}
		return c.store.DeleteAccount(ctx, tx, name)
	})
}
