package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kilonova/service/identity"
	"kilonova/service/identity/directory"
	"kilonova/service/identity/store"
)

// certificateNotice is how long before its end a certificate is spoken of.
const certificateNotice = 30 * 24 * time.Hour

// Symptoms are what in the options, keys and records an operator should look at, a
// sentence each. What would keep the service from starting is not among them: it
// has started.
func (c *Control) Symptoms(ctx context.Context) ([]string, error) {
	var all []string
	found := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	o := &c.options
	c.keySymptoms(found)
	if age, expires := o.Compliance.MinimumPasswordAge, o.Compliance.PasswordExpiresDays; age > 0 && expires > 0 && age >= expires {
		found("[security_compliance] minimum_password_age (%d days) is not less than password_expires_days (%d): nobody can change a password before it expires.", age, expires)
	}
	if o.Compliance.PasswordRegex != "" && o.Compliance.PasswordRegexDescription == "" {
		found("[security_compliance] password_regex has no password_regex_description: whose password it refuses is not told what is wrong.")
	}
	if c.saml != nil {
		ends, err := c.saml.Ends()
		if err != nil {
			return nil, err
		}
		if ends.Before(c.now().Add(certificateNotice)) {
			found("The certificate of [saml] certfile ends at %s: other clouds will believe none of our assertions.", ends.UTC().Format(time.RFC3339))
		}
	}
	if err := c.recordSymptoms(ctx, found); err != nil {
		return nil, err
	}
	return all, c.directorySymptoms(ctx, found)
}

// keySymptoms looks at the folders with keys: each has its own, which nobody else
// can read, with a staged key in it.
func (c *Control) keySymptoms(found func(string, ...any)) {
	o := &c.options
	folders := []struct{ section, path string }{{"fernet_tokens", o.Fernet.KeyRepository}, {"fernet_receipts", o.Receipts.KeyRepository}, {"credential", o.Credential.KeyRepository}}
	for i, f := range folders {
		for _, other := range folders[:i] {
			if filepath.Clean(f.path) == filepath.Clean(other.path) {
				found("[%s] and [%s] share the keys in %s: to rotate one makes the other unreadable.", other.section, f.section, f.path)
			}
		}
		if _, err := os.Stat(filepath.Join(f.path, "0")); errors.Is(err, fs.ErrNotExist) {
			found("[%s] has no staged key in %s: after a rotation other processes do not know the new key at once.", f.section, f.path)
		}
		err := filepath.WalkDir(f.path, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				found("[%s] keeps secrets in %s, which others on this host can open (mode %o).", f.section, path, info.Mode().Perm())
			}
			return err
		})
		if err != nil {
			found("[%s] key_repository cannot be read: %v.", f.section, err)
		}
	}
}

func (c *Control) recordSymptoms(ctx context.Context, found func(string, ...any)) error {
	old, err := c.oldCredentials(ctx)
	if err != nil {
		return err
	}
	if len(old) > 0 {
		found("%d credentials are not encrypted with the primary key: credential-migrate does so, and without it no rotation is possible.", len(old))
	}
	if days := c.options.Compliance.DisableInactiveDays; days > 0 {
		n, err := store.NeverActive(ctx, c.db)
		if err != nil {
			return err
		}
		if n > 0 {
			found("Of %d users no log-in is known, so that [security_compliance] disable_user_account_days_inactive does not count for them: reset-last-active starts their %d days.", n, days)
		}
	}
	return nil
}

// directorySymptoms asks each directory for a user.
func (c *Control) directorySymptoms(ctx context.Context, found func(string, ...any)) error {
	domains, err := store.Projects(ctx, c.db, identity.Query{}.Where("is_domain", true), identity.TagQuery{}, nil)
	if err != nil {
		return err
	}
	slices.SortFunc(domains, func(a, b identity.Project) int { return strings.Compare(a.Name, b.Name) })
	for _, domain := range domains {
		d, err := c.directoryOf(ctx, domain.ID)
		if err == nil && d != nil {
			_, err = d.UserByName(ctx, "nobody of this name")
			if errors.Is(err, directory.ErrNone) {
				err = nil
			}
		}
		if err != nil {
			found("The directory of the domain %s cannot be used: %v.", clip(domain.Name), err)
		}
	}
	return nil
}
