package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Bootstrap is what a cloud needs before anybody can log in, as keystone-manage
// bootstrap makes it, with the users that services run as.
type Bootstrap struct {
	AdminUser     string // "": admin
	AdminPassword string
	AdminProject  string // "": admin
	Region        string // "": RegionOne
	Services      []BootstrapService
	ServiceUsers  []ServiceUser
	Roles         []string // that services ask for, besides the default ones
}

// BootstrapService is a service of the catalog with its three addresses; an
// address that is "" gets no endpoint.
type BootstrapService struct {
	Type, Name              string
	Public, Internal, Admin string
}

// ServiceUser is what a service logs in as, on the project "service".
type ServiceUser struct{ Name, Password string }

// The default roles; each implies the next one, service none.
var defaultRoles = []string{"admin", "manager", "member", "reader"}

const serviceRole = "service"

// Bootstrap makes what is missing, and brings passwords and addresses up to
// date; whatever else there is stays as it is. A password that is right already
// is left alone, with its tokens.
func (c *Control) Bootstrap(ctx context.Context, b Bootstrap) error {
	if b.AdminPassword == "" {
		return errors.New("bootstrap: the administrator needs a password")
	}
	b.AdminUser, b.AdminProject, b.Region = orElse(b.AdminUser, "admin"), orElse(b.AdminProject, "admin"), orElse(b.Region, "RegionOne")
	users := append([]ServiceUser{{b.AdminUser, b.AdminPassword}}, b.ServiceUsers...)
	hashes, err := c.bootstrapHashes(ctx, users)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		s := &bootstrap{c: c, ctx: ctx, tx: tx}
		s.project(identity.Project{ID: identity.DefaultDomainID, Name: "Default", Description: "The default domain", IsDomain: true})
		admin := s.project(identity.Project{Name: b.AdminProject, Description: "Bootstrap project for initializing the cloud.", DomainID: identity.DefaultDomainID})
		services := s.project(identity.Project{Name: "service", Description: "Project of the users that services run as.", DomainID: identity.DefaultDomainID})
		roles := s.roles(b.Roles)
		for i, u := range users {
			id := s.user(u, hashes[u.Name])
			if i == 0 {
				s.grant(id, identity.OnProject, admin, roles["admin"])
				s.grant(id, identity.OnSystem, identity.SystemID, roles["admin"])
				continue
			}
			s.grant(id, identity.OnProject, services, roles["admin"])
			s.grant(id, identity.OnProject, services, roles[serviceRole])
		}
		s.catalog(b)
		return db.Raced(s.err) // by another process that starts at the same moment
	})
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// bootstrapHashes hashes those passwords that are new, outside of the
// transaction since it takes long.
func (c *Control) bootstrapHashes(ctx context.Context, users []ServiceUser) (map[string]string, error) {
	hashes := map[string]string{}
	for _, u := range users {
		known, err := store.UserByName(ctx, c.db, identity.DefaultDomainID, u.Name)
		if err != nil && !errors.Is(err, db.ErrNoRow) {
			return nil, err
		}
		if err == nil {
			l, err := store.UserLogin(ctx, c.db, known.ID)
			if err != nil {
				return nil, err
			}
			if c.hash.Matches(l.Hash, u.Password) {
				continue
			}
		}
		if hashes[u.Name], err = c.hash.Make(u.Password); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

// bootstrap does the steps until one fails.
type bootstrap struct {
	c   *Control
	ctx context.Context
	tx  *db.Tx
	err error
}

func (s *bootstrap) note(err error) bool {
	if s.err == nil {
		s.err = err
	}
	return s.err == nil
}

func (s *bootstrap) newID() string {
	id, err := s.c.newID()
	s.note(err)
	return id
}

// project finds or makes a project or domain, and returns its id.
func (s *bootstrap) project(p identity.Project) string {
	known, err := store.ProjectByName(s.ctx, s.tx, p.DomainID, p.Name)
	if p.IsDomain {
		known, err = store.ProjectHead(s.ctx, s.tx, p.ID)
	}
	if !errors.Is(err, db.ErrNoRow) {
		s.note(err)
		return known.ID
	}
	p.Enabled = true
	if p.ID == "" {
		p.ID = s.newID()
	}
	p.Path = p.ID
	if !p.IsDomain {
		p.ParentID = p.DomainID
		p.Path = p.DomainID + "/" + p.ID
	}
	if s.err == nil {
		s.note(store.AddProject(s.ctx, s.tx, p))
	}
	return p.ID
}

// roles finds or makes the default roles and others, and returns the ids of all.
func (s *bootstrap) roles(others []string) map[string]string {
	ids := map[string]string{}
	all, err := store.Roles(s.ctx, s.tx, identity.Query{}.Where("domain_id", ""))
	s.note(err)
	for _, r := range all {
		ids[r.Name] = r.ID
	}
	for _, name := range append(slices.Clone(defaultRoles), serviceRole) {
		if s.err == nil && ids[name] == "" {
			ids[name] = s.newID()
			s.note(store.AddRole(s.ctx, s.tx, identity.Role{ID: ids[name], Name: name, Options: identity.Attributes{identity.Immutable: true}}))
		}
	}
	for _, name := range others {
		if s.err == nil && ids[name] == "" {
			ids[name] = s.newID()
			s.note(store.AddRole(s.ctx, s.tx, identity.Role{ID: ids[name], Name: name}))
		}
	}
	have, err := store.Implications(s.ctx, s.tx)
	s.note(err)
	for i, name := range defaultRoles[1:] {
		implied := store.Implication{PriorID: ids[defaultRoles[i]], ImpliedID: ids[name]}
		if s.err == nil && !slices.Contains(have, implied) {
			s.note(store.AddImplication(s.ctx, s.tx, implied))
		}
	}
	return ids
}

// user finds or makes a user, gives it the password of hash unless that is "",
// enables it, and returns its id.
func (s *bootstrap) user(want ServiceUser, hash string) string {
	u, err := store.UserByName(s.ctx, s.tx, identity.DefaultDomainID, want.Name)
	if errors.Is(err, db.ErrNoRow) {
		u = identity.User{ID: s.newID(), DomainID: identity.DefaultDomainID, Name: want.Name, Enabled: true}
		l := store.Login{Hash: hash, HashedAt: db.At(s.c.now())}
		if s.err == nil {
			s.note(store.AddUser(s.ctx, s.tx, u, l, db.At(s.c.now())))
		}
		return u.ID
	}
	if !s.note(err) || hash == "" && u.Enabled {
		return u.ID
	}
	l, err := store.UserLogin(s.ctx, s.tx, u.ID)
	if !s.note(err) {
		return u.ID
	}
	if hash != "" {
		s.note(s.c.setPassword(s.ctx, s.tx, &u, &l, want.Password, hash, false))
		s.note(s.c.revoke(s.ctx, s.tx, revokedUser, u.ID))
	}
	u.Enabled, u.PasswordExpires = true, time.Time{}
	s.note(store.UpdateUser(s.ctx, s.tx, u))
	s.note(store.UpdateLogin(s.ctx, s.tx, u.ID, l))
	return u.ID
}

func (s *bootstrap) grant(userID string, kind identity.TargetKind, target, roleID string) {
	if s.err == nil {
		s.note(store.AddGrant(s.ctx, s.tx, identity.Grant{ActorID: userID, TargetKind: kind, TargetID: target, RoleID: roleID}))
	}
}

// catalog finds or makes the region, the services and their endpoints.
func (s *bootstrap) catalog(b Bootstrap) {
	if _, err := store.Region(s.ctx, s.tx, b.Region); errors.Is(err, db.ErrNoRow) {
		s.note(store.AddRegion(s.ctx, s.tx, identity.Region{ID: b.Region}))
	} else {
		s.note(err)
	}
	for _, want := range b.Services {
		if s.err != nil {
			return
		}
		known, err := store.Services(s.ctx, s.tx, identity.Query{Limit: 1}.Where("type", want.Type).Where("name", want.Name))
		if !s.note(err) {
			return
		}
		if len(known) == 0 {
			known = []identity.Service{{ID: s.newID(), Type: want.Type, Name: want.Name, Enabled: true}}
			s.note(store.AddService(s.ctx, s.tx, known[0]))
		}
		for _, e := range []struct{ face, url string }{{identity.Public, want.Public}, {identity.Internal, want.Internal}, {identity.Admin, want.Admin}} {
			if e.url != "" && s.err == nil {
				s.endpoint(known[0].ID, b.Region, e.face, e.url)
			}
		}
	}
}

func (s *bootstrap) endpoint(serviceID, region, face, url string) {
	if !s.note(checkURL(url)) {
		return
	}
	known, err := store.Endpoints(s.ctx, s.tx, identity.Query{Limit: 1}.Where("service_id", serviceID).Where("region_id", region).Where("interface", face))
	if !s.note(err) {
		return
	}
	if len(known) == 0 {
		e := identity.Endpoint{ID: s.newID(), ServiceID: serviceID, RegionID: region, Interface: face, URL: url, Enabled: true}
		s.note(store.AddEndpoint(s.ctx, s.tx, e))
	} else if known[0].URL != url {
		known[0].URL = url
		s.note(store.UpdateEndpoint(s.ctx, s.tx, known[0]))
	}
}
