package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/fernet"
	"kilonova/service/identity/store"
)

// What an operator does on a host, beside the API, is not asked for a token: who
// can read the keys and the database could do it anyway.

// Maintaining is a context in which use cases see an administrator.
func Maintaining(ctx context.Context) context.Context {
	return auth.With(ctx, &auth.Caller{UserID: "operator", UserName: "operator", Roles: []string{"admin"}, System: "all"})
}

// RotateCredentialKeys makes the staged key of the credential keys the primary
// one. It is refused while a credential is encrypted with an older key: that one
// might be forgotten.
func (c *Control) RotateCredentialKeys(ctx context.Context) error {
	old, err := c.oldCredentials(ctx)
	if err != nil {
		return err
	}
	if len(old) > 0 {
		return fault.Conflictf("%d credentials are not encrypted with the primary key: migrate them first.", len(old))
	}
	return c.credKeys.Rotate(c.options.Fernet.MaxActiveKeys)
}

// oldCredentials are those that are not encrypted with the primary key.
func (c *Control) oldCredentials(ctx context.Context) ([]identity.Credential, error) {
	primary, err := c.credKeys.Primary()
	if err != nil {
		return nil, err
	}
	all, err := store.Credentials(ctx, c.db, identity.Query{})
	return slices.DeleteFunc(all, func(cred identity.Credential) bool {
		_, _, err := fernet.Open([]fernet.Key{primary}, cred.Blob)
		return err == nil
	}), err
}

// MigrateCredentials encrypts all credentials with the primary key, and returns
// how many were not. It may be ended at any moment, and be run again.
func (c *Control) MigrateCredentials(ctx context.Context) (int, error) {
	old, err := c.oldCredentials(ctx)
	if err != nil {
		return 0, err
	}
	for i, cred := range old {
		err := c.db.Tx(ctx, func(tx *db.Tx) error {
			now, err := store.Credential(ctx, tx, cred.ID)
			if errors.Is(err, db.ErrNoRow) { // deleted meanwhile
				return nil
			}
			if err != nil {
				return err
			}
			if err := c.decrypt(&now); err != nil {
				return err
			}
			if now.Blob, err = c.encrypt(now.Blob); err != nil {
				return err
			}
			return store.UpdateCredential(ctx, tx, now)
		})
		if err != nil {
			return i, err
		}
	}
	return len(old), nil
}

// TrustFilter selects trusts; "" does not. Before is when they must have ended.
type TrustFilter struct {
	ProjectID, TrustorID, TrusteeID string
	Before                          time.Time
}

// FlushTrusts removes trusts that have ended, and returns how many.
func (c *Control) FlushTrusts(ctx context.Context, f TrustFilter) (n int, err error) {
	err = c.changing(ctx, func(tx *db.Tx) error {
		n = 0
		all, err := store.Trusts(ctx, tx, identity.Query{})
		if err != nil {
			return err
		}
		for _, t := range all {
			if t.Expires.IsZero() || !t.Expires.Before(f.Before) || f.ProjectID != "" && t.ProjectID != f.ProjectID ||
				f.TrustorID != "" && t.TrustorID != f.TrustorID || f.TrusteeID != "" && t.TrusteeID != f.TrusteeID {
				continue
			}
			if err := store.DeleteTrust(ctx, tx, t.ID); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// EntryFilter selects entries of directories; "" does not.
type EntryFilter struct{ DomainName, PublicID, LocalID, Kind string }

// PurgeDirectory forgets users and groups of directories with all that hangs on
// them, and returns how many. Those that are still there come anew when they log
// in or are listed.
func (c *Control) PurgeDirectory(ctx context.Context, f EntryFilter) (n int, err error) {
	domainID := ""
	if f.DomainName != "" {
		if domainID, err = c.domainNamed(ctx, f.DomainName); err != nil {
			return 0, err
		}
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		n = 0
		entries, err := store.Entries(ctx, tx, domainID, f.Kind)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if f.PublicID != "" && e.ID != f.PublicID || f.LocalID != "" && e.LocalID != f.LocalID {
				continue
			}
			if err := c.purgeEntry(ctx, tx, e); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	c.directories.mu.Lock()
	clear(c.directories.listed)
	c.directories.mu.Unlock()
	return n, err
}

func (c *Control) purgeEntry(ctx context.Context, tx *db.Tx, e store.Entry) error {
	var err error
	if e.Kind == userEntry {
		if err = c.revoke(ctx, tx, revokedUser, e.ID); err == nil {
			err = store.DeleteUser(ctx, tx, e.ID)
		}
	} else {
		err = store.DeleteGroup(ctx, tx, e.ID)
	}
	if err != nil && !errors.Is(err, db.ErrNoRow) {
		return err
	}
	return store.DeleteEntry(ctx, tx, e.ID)
}

// PopulateDirectory brings all users and groups of a domain's directory in.
func (c *Control) PopulateDirectory(ctx context.Context, domainName string) error {
	id, err := c.domainNamed(ctx, domainName)
	if err != nil {
		return err
	}
	if d, err := c.directoryOf(ctx, id); err != nil || d == nil {
		return orFault(err, fault.NotFoundf("The domain %s has no directory.", clip(domainName)))
	}
	return c.listDirectory(ctx, id)
}

func orFault(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// ConfigureDomain replaces the configuration of a domain, by its name.
func (c *Control) ConfigureDomain(ctx context.Context, domainName string, config DomainConfig) error {
	id, err := c.domainNamed(ctx, domainName)
	if err != nil {
		return err
	}
	_, _, err = c.SetDomainConfig(Maintaining(ctx), id, config)
	return err
}

func (c *Control) domainNamed(ctx context.Context, name string) (string, error) {
	d, err := c.domain(ctx, identity.DomainRef{Name: name})
	if err == nil && d.ID == "" {
		err = notFound("domain", name)
	}
	return d.ID, err
}
