package control

import (
	"context"
	"errors"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// checkNewPassword says whether a password may be chosen at all.
func (c *Control) checkNewPassword(password string) error {
	if most := c.options.Identity.MaxPasswordLength; len(password) > most {
		return fault.Forbiddenf("The password length must be less than or equal to %d. The server could not comply with the request because the password is invalid.", most)
	}
	if password == "" {
		return fault.Invalidf("Password validation error: a password must not be empty.")
	}
	if c.pattern != nil && !c.pattern.MatchString(password) {
		return fault.Invalidf("The password does not match the requirements: %s.", c.options.Compliance.PasswordRegexDescription)
	}
	return nil
}

// setPassword gives a user a new password, in a transaction: u and l are
// changed, and written by the caller. own says that the user chose it.
func (c *Control) setPassword(ctx context.Context, tx *db.Tx, u *identity.User, l *store.Login, password string, hash string, own bool) error {
	rules, now := c.options.Compliance, c.now()
	if own && rules.MinimumPasswordAge > 0 {
		if left := l.HashedAt.Add(days(rules.MinimumPasswordAge)).Sub(now); l.Hash != "" && left > 0 {
			return fault.Invalidf("You cannot change your password at this time due to the minimum password age. Once you change your password, it must be used for %d day(s) before it can be changed. Please try again in %d day(s) or contact your administrator to reset your password.",
				rules.MinimumPasswordAge, int(left/(24*time.Hour))+1)
		}
	}
	if n := rules.UniqueLastPasswordCount; n > 0 && l.Hash != "" {
		former, err := store.FormerPasswords(ctx, tx, u.ID, n-1)
		if err != nil {
			return err
		}
		for _, h := range append(former, l.Hash) {
			if own && c.hash.Matches(h, password) {
				return fault.Invalidf("The new password cannot be identical to a previous password. The total number which includes the new password must be unique is %d.", n)
			}
		}
		if err := store.AddFormerPassword(ctx, tx, u.ID, l.Hash, n); err != nil {
			return err
		}
	}
	l.Hash, l.HashedAt, l.Failures, l.FailedAt = hash, db.At(now), 0, db.Time{}
	u.PasswordExpires = time.Time{}
	switch {
	case hash == "":
	case !own && rules.ChangeUponFirstUse && !u.Options.True(identity.IgnoreFirstUse):
		u.PasswordExpires = now
	case rules.PasswordExpiresDays > 0 && !u.Options.True(identity.IgnoreExpiry):
		u.PasswordExpires = now.Add(days(rules.PasswordExpiresDays))
	}
	return nil
}

// ChangePassword is how users change their own password: who knows the present
// one needs no token.
func (c *Control) ChangePassword(ctx context.Context, userID, original, password string) error {
	u, err := c.checkPassword(ctx, userID, original, true)
	if err != nil {
		return err
	}
	if err := c.readOnly(ctx, u.DomainID); err != nil {
		return err
	}
	if err := c.checkNewPassword(password); err != nil {
		return err
	}
	if u.Options.True(identity.LockPassword) {
		return fault.Invalidf("You cannot change your password at this time due to password policy disallowing password changes. Please contact your administrator to reset your password.")
	}
	hash, err := c.hash.Make(password)
	if err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		u, err := store.User(ctx, tx, userID)
		if err != nil {
			return found(err, "user", userID)
		}
		l, err := store.UserLogin(ctx, tx, userID)
		if err != nil {
			return err
		}
		if err := c.setPassword(ctx, tx, &u, &l, password, hash, true); err != nil {
			return err
		}
		return errors.Join(store.UpdateUser(ctx, tx, u), store.UpdateLogin(ctx, tx, u.ID, l), c.revoke(ctx, tx, revokedUser, u.ID))
	})
}

// checkPassword verifies the password of a user that may log in. A wrong one, an
// unknown user, a disabled one and one that is locked out are told alike and
// take alike. An expired password is told, to its user only, unless late.
func (c *Control) checkPassword(ctx context.Context, userID, password string, late bool) (identity.User, error) {
	u, l, err := c.login(ctx, userID)
	if err != nil {
		return u, err
	}
	home := u.DomainID
	if rest, ok := strings.CutPrefix(userID, nobodyIn); ok {
		home = rest
	}
	if dir, err := c.directoryOf(ctx, home); err != nil {
		return u, err
	} else if dir != nil {
		return c.checkInDirectory(ctx, dir, home, userID, password)
	}
	locked := c.lockedOut(u, l)
	right := c.hash.Matches(l.Hash, password)
	if locked || u.ID == "" {
		return u, unauthorized()
	}
	if !right {
		if err := c.noteFailure(ctx, u); err != nil {
			return u, err
		}
		return u, unauthorized()
	}
	domain, err := store.Project(ctx, c.db, u.DomainID)
	if err != nil {
		return u, err
	}
	if !u.Enabled || !domain.Enabled || c.inactive(u, l) {
		return u, unauthorized()
	}
	if !late && c.expired(u) {
		return u, fault.New(fault.Unauthenticated, "The password is expired and needs to be changed for user: %s.", u.ID)
	}
	return u, c.noteSuccess(ctx, u, l)
}

// login loads a user; a zero one when there is none.
func (c *Control) login(ctx context.Context, userID string) (u identity.User, l store.Login, err error) {
	if u, err = store.User(ctx, c.db, userID); err == nil {
		l, err = store.UserLogin(ctx, c.db, userID)
	}
	if errors.Is(err, db.ErrNoRow) {
		return identity.User{}, store.Login{}, nil
	}
	return u, l, err
}

func (c *Control) expired(u identity.User) bool {
	return !u.PasswordExpires.IsZero() && !c.now().Before(u.PasswordExpires) && !u.Options.True(identity.IgnoreExpiry)
}

func (c *Control) lockedOut(u identity.User, l store.Login) bool {
	o := c.options.Compliance
	return o.LockoutFailureAttempts > 0 && l.Failures >= o.LockoutFailureAttempts && !u.Options.True(identity.IgnoreLockout) &&
		c.now().Before(l.FailedAt.Add(seconds(o.LockoutDuration)))
}

func (c *Control) inactive(u identity.User, l store.Login) bool {
	n := c.options.Compliance.DisableInactiveDays
	return n > 0 && !l.ActiveAt.IsZero() && !u.Options.True(identity.IgnoreInactivity) && c.now().After(l.ActiveAt.Add(days(n)))
}

// noteFailure counts failures in a row where users can be locked out.
func (c *Control) noteFailure(ctx context.Context, u identity.User) error {
	o := c.options.Compliance
	if o.LockoutFailureAttempts == 0 || u.Options.True(identity.IgnoreLockout) {
		return nil
	}
	return c.db.Tx(ctx, func(tx *db.Tx) error {
		l, err := store.UserLogin(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		if l.Failures >= o.LockoutFailureAttempts { // a lock-out that has ended: count anew
			l.Failures = 0
		}
		l.Failures++
		l.FailedAt = db.At(c.now())
		return store.UpdateLogin(ctx, tx, u.ID, l)
	})
}

// noteSuccess writes only what has changed: nothing, usually.
func (c *Control) noteSuccess(ctx context.Context, u identity.User, before store.Login) error {
	today := c.now().Truncate(24 * time.Hour)
	seenToday := c.options.Compliance.DisableInactiveDays == 0 || before.ActiveAt.Equal(today)
	if before.Failures == 0 && seenToday {
		return nil
	}
	return c.db.Tx(ctx, func(tx *db.Tx) error {
		l, err := store.UserLogin(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		l.Failures, l.FailedAt, l.ActiveAt = 0, db.Time{}, db.At(today)
		return store.UpdateLogin(ctx, tx, u.ID, l)
	})
}
