package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/directory"
	"kilonova/service/identity/store"
)

// Users and groups of a domain with a directory have rows here like all others:
// what was last seen of them there. They are looked up anew when they log in, when
// a token of theirs is used and they have not been seen for refreshAfter, and, all
// of a domain, when they are listed.
//
// Who is gone from the directory is disabled here and not removed, since a
// directory that is wrongly configured for a while would else cost all that hangs
// on its users; PurgeDirectory removes them.
const (
	refreshAfter = time.Minute
	listAfter    = 30 * time.Second
	believeFor   = 15 * time.Minute // without the directory being reached
)

// The kinds of entries.
const (
	userEntry  = "user"
	groupEntry = "group"
)

// directories are those of the domains that have one, at one number of changes.
type directories struct {
	mu      sync.Mutex
	changes int64
	loaded  bool
	byID    map[string]*directory.Directory
	broken  map[string]error     // domains whose options cannot be used
	listed  map[string]time.Time // when all of a domain was last seen
}

// directoryOf returns a domain's directory; nil when its users live here.
func (c *Control) directoryOf(ctx context.Context, domainID string) (*directory.Directory, error) {
	changes, err := c.changes(ctx, c.now())
	if err != nil {
		return nil, err
	}
	s := &c.directories
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.loaded || s.changes != changes {
		if err := c.loadDirectories(ctx); err != nil {
			return nil, err
		}
		s.loaded, s.changes = true, changes
	}
	if err := s.broken[domainID]; err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The directory of domain %s is not configured rightly.", domainID)
	}
	return s.byID[domainID], nil
}

// loadDirectories reads which domains have a directory. One whose options are as
// they were is kept, with its connections.
func (c *Control) loadDirectories(ctx context.Context) error {
	s := &c.directories
	chosen, err := store.ConfiguredDomains(ctx, c.db, "identity", "driver")
	if err != nil {
		return err
	}
	byID, broken := map[string]*directory.Directory{}, map[string]error{}
	for _, o := range chosen {
		if o.Value.V != "ldap" {
			continue
		}
		rows, err := store.DomainConfig(ctx, c.db, o.DomainID)
		if err != nil {
			return err
		}
		section := map[string]any{}
		for _, r := range rows {
			if r.Section == "ldap" {
				section[r.Name] = r.Value.V
			}
		}
		options, err := directory.Parse(section)
		if err != nil {
			c.log.Error("identity: the directory of a domain is not configured rightly", "domain", o.DomainID, "error", err)
			broken[o.DomainID] = err
			continue
		}
		if old := s.byID[o.DomainID]; old != nil && old.Same(options) {
			byID[o.DomainID] = old
			continue
		}
		byID[o.DomainID] = directory.New(options)
		delete(s.listed, o.DomainID)
	}
	for id, old := range s.byID {
		if byID[id] != old {
			old.Close()
		}
	}
	s.byID, s.broken = byID, broken
	if s.listed == nil {
		s.listed = map[string]time.Time{}
	}
	return nil
}

// readOnly refuses changes of users and groups that a directory has.
func (c *Control) readOnly(ctx context.Context, domainID string) error {
	d, err := c.directoryOf(ctx, domainID)
	if err == nil && d != nil {
		err = fault.Forbiddenf("You are not authorized to perform the requested action: the users and groups of domain %s are in a directory, which is only read.", domainID)
	}
	return err
}

// publicID is the id here of an entry, as Keystone makes it.
func publicID(domainID, kind, localID string) string {
	sum := sha256.Sum256([]byte(domainID + kind + localID))
	return hex.EncodeToString(sum[:])
}

// unreachable is the fault for a directory that does not answer.
func unreachable(err error, domainID string) error {
	return fault.Wrap(err, fault.Unavailable, "The directory of domain %s cannot be reached now.", domainID)
}

// adoptByName looks a user up in its directory and brings its row up to date; ""
// when there is none.
func (c *Control) adoptByName(ctx context.Context, d *directory.Directory, domainID, name string) (string, error) {
	u, err := d.UserByName(ctx, name)
	if errors.Is(err, directory.ErrNone) {
		return "", nil
	}
	if err != nil {
		return "", unreachable(err, domainID)
	}
	return c.adopt(ctx, d, domainID, u)
}

func (c *Control) adopt(ctx context.Context, d *directory.Directory, domainID string, u directory.User) (string, error) {
	groups, err := d.GroupsOf(ctx, u)
	if err != nil {
		return "", unreachable(err, domainID)
	}
	id := publicID(domainID, userEntry, u.ID)
	return id, c.changingIf(ctx, func(tx *db.Tx) (changed bool, err error) {
		var ids []string
		for _, g := range groups {
			groupID, ch, err := c.adoptGroup(ctx, tx, domainID, g)
			if err != nil {
				return false, err
			}
			if changed = changed || ch; groupID != "" {
				ids = append(ids, groupID)
			}
		}
		ch, ok, err := c.adoptUser(ctx, tx, domainID, u)
		if err != nil || !ok {
			return false, err
		}
		changed = changed || ch
		have, err := store.GroupsOfUser(ctx, tx, id, identity.Query{}.Where("domain_id", domainID))
		if err != nil {
			return false, err
		}
		if sameGroups(have, ids) {
			return changed, nil
		}
		return true, store.SetMemberships(ctx, tx, id, domainID, ids)
	})
}

func sameGroups(have []identity.Group, want []string) bool {
	want = slices.Compact(slices.Sorted(slices.Values(want)))
	var is []string
	for _, g := range have {
		is = append(is, g.ID)
	}
	slices.Sort(is)
	return slices.Equal(is, want)
}

// changingIf is changing for transactions that find out whether they change what
// tokens stand for.
func (c *Control) changingIf(ctx context.Context, fn func(tx *db.Tx) (changed bool, err error)) error {
	return c.db.Tx(ctx, func(tx *db.Tx) error {
		changed, err := fn(tx)
		if err != nil || !changed {
			return err
		}
		tx.OnCommit(c.known.forget)
		return store.CountChange(ctx, tx)
	})
}

// adoptUser brings the row of a user up to date; not ok when somebody else has
// its name.
func (c *Control) adoptUser(ctx context.Context, tx *db.Tx, domainID string, u directory.User) (changed, ok bool, err error) {
	id := publicID(domainID, userEntry, u.ID)
	named, err := store.UserByName(ctx, tx, domainID, u.Name)
	if err != nil && !errors.Is(err, db.ErrNoRow) {
		return false, false, err
	}
	if err == nil && named.ID != id {
		c.log.Warn("identity: two users of a directory have the same name; the later one is passed over", "domain", domainID, "name", u.Name)
		return false, false, nil
	}
	extra := identity.Attributes{}
	for name, v := range map[string]string{"email": u.Email, "description": u.Description} {
		if v != "" {
			extra[name] = v
		}
	}
	now := c.now()
	row, err := store.User(ctx, tx, id)
	switch {
	case errors.Is(err, db.ErrNoRow):
		row = identity.User{ID: id, DomainID: domainID, Name: u.Name, Enabled: u.Enabled, DefaultProjectID: u.DefaultProject, Extra: extra}
		if err := store.AddUser(ctx, tx, row, store.Login{}, db.At(now)); err != nil {
			return false, false, db.Raced(err)
		}
		changed = true
	case err != nil:
		return false, false, err
	case row.Name != u.Name || row.Enabled != u.Enabled || row.DefaultProjectID != u.DefaultProject || row.Extra["email"] != extra["email"] || row.Extra["description"] != extra["description"]:
		if row.Enabled && !u.Enabled {
			if err := c.revoke(ctx, tx, revokedUser, id); err != nil {
				return false, false, err
			}
		}
		row.Name, row.Enabled, row.DefaultProjectID, row.Extra = u.Name, u.Enabled, u.DefaultProject, extra
		if err := store.UpdateUser(ctx, tx, row); err != nil {
			return false, false, err
		}
		changed = true
	}
	return changed, true, store.SetEntry(ctx, tx, store.Entry{ID: id, DomainID: domainID, Kind: userEntry, LocalID: u.ID, RefreshedAt: db.At(now)})
}

// adoptGroup brings the row of a group up to date; "" when another has its name.
func (c *Control) adoptGroup(ctx context.Context, tx *db.Tx, domainID string, g directory.Group) (id string, changed bool, err error) {
	id = publicID(domainID, groupEntry, g.ID)
	named, err := store.GroupByName(ctx, tx, domainID, g.Name)
	if err != nil && !errors.Is(err, db.ErrNoRow) {
		return "", false, err
	}
	if err == nil && named.ID != id {
		c.log.Warn("identity: two groups of a directory have the same name; the later one is passed over", "domain", domainID, "name", g.Name)
		return "", false, nil
	}
	row, err := store.Group(ctx, tx, id)
	switch {
	case errors.Is(err, db.ErrNoRow):
		err, changed = db.Raced(store.AddGroup(ctx, tx, identity.Group{ID: id, DomainID: domainID, Name: g.Name, Description: g.Description})), true
	case err == nil && (row.Name != g.Name || row.Description != g.Description):
		row.Name, row.Description, changed = g.Name, g.Description, true
		err = store.UpdateGroup(ctx, tx, row)
	}
	if err != nil {
		return "", false, err
	}
	return id, changed, store.SetEntry(ctx, tx, store.Entry{ID: id, DomainID: domainID, Kind: groupEntry, LocalID: g.ID, RefreshedAt: db.At(c.now())})
}

// refresh looks a user up in its directory, if it has one and was not seen there
// lately, and returns it as it is then.
func (c *Control) refresh(ctx context.Context, u identity.User) (identity.User, error) {
	d, err := c.directoryOf(ctx, u.DomainID)
	if err != nil || d == nil {
		return u, err
	}
	e, err := store.EntryByID(ctx, c.db, u.ID)
	if errors.Is(err, db.ErrNoRow) { // of the time before the domain had a directory
		u.Enabled = false
		return u, nil
	}
	age := c.now().Sub(e.RefreshedAt.Time)
	if err != nil || age < refreshAfter {
		return u, err
	}
	is, err := d.UserByID(ctx, e.LocalID)
	switch {
	case errors.Is(err, directory.ErrNone):
		return u, c.gone(ctx, &u)
	case err != nil && age < believeFor:
		c.log.Warn("identity: a directory cannot be reached; what was last seen of a user is believed", "domain", u.DomainID, "user", u.ID, "error", err)
		return u, nil
	case err != nil:
		return u, unreachable(err, u.DomainID)
	}
	if _, err := c.adopt(ctx, d, u.DomainID, is); err != nil {
		return u, err
	}
	return store.User(ctx, c.db, u.ID)
}

// gone disables a user that its directory no longer has.
func (c *Control) gone(ctx context.Context, u *identity.User) error {
	if !u.Enabled {
		return nil
	}
	u.Enabled = false
	return c.changing(ctx, func(tx *db.Tx) error {
		return errors.Join(c.revoke(ctx, tx, revokedUser, u.ID), store.UpdateUser(ctx, tx, *u))
	})
}

// checkInDirectory checks the password of a user that a directory has. Nobody is
// bound as in vain, so that it takes as long to tell.
func (c *Control) checkInDirectory(ctx context.Context, d *directory.Directory, domainID, userID, password string) (identity.User, error) {
	dn := "cn=nobody," + d.UserTree
	e, err := store.EntryByID(ctx, c.db, userID)
	if err != nil && !errors.Is(err, db.ErrNoRow) {
		return identity.User{}, err
	}
	known := err == nil && e.Kind == userEntry
	if known {
		is, err := d.UserByID(ctx, e.LocalID)
		if err != nil && !errors.Is(err, directory.ErrNone) {
			return identity.User{}, unreachable(err, domainID)
		}
		if known = err == nil; known {
			dn = is.DN
			if _, err := c.adopt(ctx, d, domainID, is); err != nil {
				return identity.User{}, err
			}
		}
	}
	right, err := d.Check(ctx, dn, password)
	if err != nil {
		return identity.User{}, unreachable(err, domainID)
	}
	if !right || !known {
		return identity.User{}, unauthorized()
	}
	u, _, err := c.standingUser(ctx, userID)
	if isRefusal(err) {
		err = unauthorized()
	}
	return u, err
}

// listDirectory brings all users and groups of a domain up to date, if it has a
// directory and that was not listed lately.
func (c *Control) listDirectory(ctx context.Context, domainID string) error {
	if domainID == "" {
		return nil
	}
	d, err := c.directoryOf(ctx, domainID)
	if err != nil || d == nil {
		return err
	}
	s := &c.directories
	s.mu.Lock()
	fresh := c.now().Sub(s.listed[domainID]) < listAfter
	s.mu.Unlock()
	if fresh {
		return nil
	}
	users, err := d.Users(ctx)
	if err != nil {
		return unreachable(err, domainID)
	}
	groups, err := d.Groups(ctx)
	if err != nil {
		return unreachable(err, domainID)
	}
	if err := c.adoptAll(ctx, d, domainID, users, groups); err != nil {
		return err
	}
	s.mu.Lock()
	s.listed[domainID] = c.now()
	s.mu.Unlock()
	return nil
}

func (c *Control) adoptAll(ctx context.Context, d *directory.Directory, domainID string, users []directory.User, groups []directory.Group) error {
	byDN, byID, present := map[string]string{}, map[string]string{}, map[string]bool{}
	for _, u := range users {
		id := publicID(domainID, userEntry, u.ID)
		byDN[directory.Key(u.DN)], byID[u.ID], present[id] = id, id, true
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		in := map[string][]string{} // user -> groups
		for _, g := range groups {
			id, _, err := c.adoptGroup(ctx, tx, domainID, g)
			if err != nil {
				return err
			}
			for _, m := range g.Members {
				if user := d.MemberOf(m, byDN, byID); id != "" && user != "" {
					in[user] = append(in[user], id)
				}
			}
		}
		for _, u := range users {
			id := publicID(domainID, userEntry, u.ID)
			_, ok, err := c.adoptUser(ctx, tx, domainID, u)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			mine := slices.Compact(slices.Sorted(slices.Values(in[id])))
			if err := store.SetMemberships(ctx, tx, id, domainID, mine); err != nil {
				return err
			}
		}
		return c.disableMissing(ctx, tx, domainID, present)
	})
}

// disableMissing disables the users of a domain that its directory does not have.
func (c *Control) disableMissing(ctx context.Context, tx *db.Tx, domainID string, present map[string]bool) error {
	rows, err := store.Users(ctx, tx, identity.Query{}.Where("domain_id", domainID).Where("enabled", true))
	if err != nil {
		return err
	}
	for _, u := range rows {
		if present[u.ID] {
			continue
		}
		u.Enabled = false
		if err := errors.Join(c.revoke(ctx, tx, revokedUser, u.ID), store.UpdateUser(ctx, tx, u)); err != nil {
			return err
		}
	}
	return nil
}

// domainOf is the domain that a list is about; "" for all.
func domainOf(q identity.Query) string {
	for _, f := range q.Filters {
		if id, ok := f.Value.(string); ok && f.Attribute == "domain_id" && f.Op == identity.Equal {
			return id
		}
	}
	return ""
}
