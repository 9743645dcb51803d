package control

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// chosenID is what an operator may give as an id.
var chosenID = regexp.MustCompile(`^[a-zA-Z0-9-]{1,64}$`)

// chosen returns an operator's id, or a new one where it gives none.
func (c *Control) chosen(id string) (string, error) {
	if id == "" {
		return c.newID()
	}
	if !chosenID.MatchString(id) {
		return "", fault.Invalidf("%q is no id: it has 1 to 64 letters, digits and hyphens.", clip(id))
	}
	return id, nil
}

// SetUpProject makes a project of the default domain and says so, or that it was
// there. id is "" for a new one; one that has another id is a conflict.
func (c *Control) SetUpProject(ctx context.Context, name, id string) (said string, err error) {
	p := identity.Project{Name: name, DomainID: identity.DefaultDomainID, Description: "Bootstrap project for initializing the cloud."}
	if name == "" || len(name) > 64 {
		return "", fault.Invalidf("The name of a project has 1 to 64 characters.")
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		known, err := store.ProjectByName(ctx, tx, p.DomainID, name)
		if err == nil {
			said = fmt.Sprintf("project %s exists with id %s", name, known.ID)
			return otherID("project", name, known.ID, id)
		}
		if !errors.Is(err, db.ErrNoRow) {
			return err
		}
		if p.ID, err = c.chosen(id); err != nil {
			return err
		}
		s := &bootstrap{c: c, ctx: ctx, tx: tx}
		said = fmt.Sprintf("project %s made with id %s", name, s.project(p))
		return duplicate(s.err, "project", "the id %s is taken", p.ID)
	})
	return said, err
}

// SetUpUser makes a user of the default domain, or sets the password of the one
// there is, and says which. id as with SetUpProject.
func (c *Control) SetUpUser(ctx context.Context, name, password, id string) (said string, err error) {
	if name == "" || len(name) > 255 || password == "" {
		return "", fault.Invalidf("A user needs a name of 1 to 255 characters, and a password.")
	}
	hash, err := c.newHash(&password)
	if err != nil {
		return "", err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		s := &bootstrap{c: c, ctx: ctx, tx: tx}
		known, err := store.UserByName(ctx, tx, identity.DefaultDomainID, name)
		if err == nil {
			if err := otherID("user", name, known.ID, id); err != nil {
				return err
			}
			said = fmt.Sprintf("user %s exists with id %s, its password is set", name, s.user(ServiceUser{name, password}, hash))
			return s.err
		}
		if !errors.Is(err, db.ErrNoRow) {
			return err
		}
		u := identity.User{DomainID: identity.DefaultDomainID, Name: name, Enabled: true}
		if u.ID, err = c.chosen(id); err != nil {
			return err
		}
		now := db.At(c.now())
		said = fmt.Sprintf("user %s made with id %s", name, u.ID)
		return duplicate(store.AddUser(ctx, tx, u, store.Login{Hash: hash, HashedAt: now}, now), "user", "the id %s is taken", u.ID)
	})
	return said, err
}

// otherID is a conflict when a thing has another id than was asked for.
func otherID(what, name, has, want string) error {
	if want != "" && want != has {
		return fault.Conflictf("The %s %s exists, with the id %s.", what, clip(name), has)
	}
	return nil
}

// ResetLastActive takes all users of whom no log-in is known for active now, and
// returns how many: from now on the days count after which they are disabled.
func (c *Control) ResetLastActive(ctx context.Context) (int, error) {
	var n int64
	err := c.changing(ctx, func(tx *db.Tx) (err error) {
		n, err = store.ActivateUsers(ctx, tx, db.At(c.now()))
		return err
	})
	return int(n), err
}
