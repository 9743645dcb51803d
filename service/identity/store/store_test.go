package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/service/identity"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// each runs a test on every database, on a domain "d" with a user "u", a group
// "g" and a role "r" in it.
func each(t *testing.T, test func(t *testing.T, s *Store)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, err := New(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		in(t, s, func(ctx context.Context, tx *db.Tx) error {
			return errors.Join(
				AddProject(ctx, tx, identity.Project{ID: "d", Name: "d", Path: "d", IsDomain: true, Enabled: true}),
				AddUser(ctx, tx, identity.User{ID: "u", DomainID: "d", Name: "u", Enabled: true}, Login{}, db.At(epoch)),
				AddGroup(ctx, tx, identity.Group{ID: "g", DomainID: "d", Name: "g"}),
				AddRole(ctx, tx, identity.Role{ID: "r", Name: "r"}))
		})
		test(t, s)
	})
}

// in runs f in a transaction and fails the test if that fails.
func in(t *testing.T, s *Store, f func(ctx context.Context, tx *db.Tx) error) {
	t.Helper()
	ctx := context.Background()
	if err := s.DB.Tx(ctx, func(tx *db.Tx) error { return f(ctx, tx) }); err != nil {
		t.Error(err)
	}
}

// together runs f n times at once, each in a transaction of its own.
func together(t *testing.T, s *Store, n int, f func(ctx context.Context, tx *db.Tx, i int) error) {
	t.Helper()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { in(t, s, func(ctx context.Context, tx *db.Tx) error { return f(ctx, tx, i) }) })
	}
	all.Wait()
}

// What is there already when many say it at once is no error.
func TestSaidByManyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		together(t, s, 12, func(ctx context.Context, tx *db.Tx, i int) error {
			return errors.Join(
				AddGrant(ctx, tx, identity.Grant{ActorID: "u", TargetID: "d", TargetKind: identity.OnDomain, RoleID: "r"}),
				AddMember(ctx, tx, "g", "u"),
				SetDomainConfig(ctx, tx, "d", []DomainOption{{"d", "ldap", "url", db.AsJSON[any](i)}}),
				SetProjectTags(ctx, tx, "d", []string{"a", "b"}),
				Revoke(ctx, tx, Revocation{"user", "u", db.At(epoch), db.At(epoch)}))
		})
		ctx := t.Context()
		if has, err := HasGrant(ctx, s.DB, identity.Grant{ActorID: "u", TargetID: "d", TargetKind: identity.OnDomain, RoleID: "r"}); err != nil || !has {
			t.Error(has, err)
		}
		if is, err := IsMember(ctx, s.DB, "g", "u"); err != nil || !is {
			t.Error(is, err)
		}
		if tags, err := ProjectTags(ctx, s.DB, "d"); err != nil || !slices.Equal(tags, []string{"a", "b"}) {
			t.Error(tags, err)
		}
		if at, err := RevokedUpTo(ctx, s.DB, []string{"u", "other"}); err != nil || !at.Equal(epoch) {
			t.Error(at, err)
		}
	})
}

// Failures to log in that come at once are all counted: who is locked out after
// some is locked out after some.
func TestFailuresAreCountedExactly(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		together(t, s, 20, func(ctx context.Context, tx *db.Tx, _ int) error {
			l, err := UserLogin(ctx, tx, "u")
			if err != nil {
				return err
			}
			l.Failures++
			return UpdateLogin(ctx, tx, "u", l)
		})
		if l, err := UserLogin(t.Context(), s.DB, "u"); err != nil || l.Failures != 20 {
			t.Error(l.Failures, err)
		}
	})
}

// Nothing is hung on what is being deleted.
func TestNothingIsHungOnWhatGoes(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		busy, ctx := errors.New("has children"), t.Context()
		for i := range 6 {
			parent := fmt.Sprint("p", i)
			in(t, s, func(ctx context.Context, tx *db.Tx) error {
				return AddProject(ctx, tx, identity.Project{ID: parent, DomainID: "d", ParentID: "d", Name: parent, Path: "d/" + parent})
			})
			var made, deleted error
			var both sync.WaitGroup
			both.Go(func() {
				made = s.DB.Tx(ctx, func(tx *db.Tx) error {
					p, err := ProjectHead(ctx, tx, parent)
					if err != nil {
						return err
					}
					return AddProject(ctx, tx, identity.Project{ID: parent + "c", DomainID: "d", ParentID: parent, Name: parent + "c", Path: p.Path + "/" + parent + "c"})
				})
			})
			both.Go(func() {
				deleted = s.DB.Tx(ctx, func(tx *db.Tx) error {
					p, err := Project(ctx, tx, parent)
					if err != nil {
						return err
					}
					if below, err := Subtree(ctx, tx, p); err != nil || len(below) > 0 {
						return errors.Join(err, busy)
					}
					return DeleteProject(ctx, tx, parent)
				})
			})
			both.Wait()
			first := made == nil && errors.Is(deleted, busy)
			second := deleted == nil && errors.Is(made, db.ErrNoRow)
			if first == second {
				t.Errorf("made: %v; deleted: %v", made, deleted)
			}
		}
	})
}

// Paths are compared by their bytes: what only sorts near is not below.
func TestSubtreeIsWhatLiesBelow(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for _, path := range []string{"d/p", "d/p/c", "d/p/C", "d/p/c/x", "d/p2", "d/P", "d/p-c", "d/p0"} {
			in(t, s, func(ctx context.Context, tx *db.Tx) error {
				return AddProject(ctx, tx, identity.Project{ID: path, DomainID: "d", Name: path, Path: path})
			})
		}
		below, err := Subtree(ctx, s.DB, identity.Project{Path: "d/p"})
		var got []string
		for _, p := range below {
			got = append(got, p.ID)
		}
		slices.Sort(got)
		if want := []string{"d/p/C", "d/p/c", "d/p/c/x"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, want %v (%v)", got, want, err)
		}
	})
}

// Pages are the whole list, also where some rows have nothing to sort by.
func TestPagesAreTheWholeList(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		in(t, s, func(ctx context.Context, tx *db.Tx) error {
			for i := range 11 {
				u := identity.User{ID: fmt.Sprint("u", i), DomainID: "d", Name: fmt.Sprint("n", i*7%11)}
				if i%3 == 0 {
					u.PasswordExpires = epoch.Add(time.Duration(i%2) * time.Hour)
				}
				if err := AddUser(ctx, tx, u, Login{}, db.At(epoch)); err != nil {
					return err
				}
			}
			return nil
		})
		for _, q := range []identity.Query{{}, {Desc: true}, {SortKey: "name"}, {SortKey: "password_expires_at"}, {SortKey: "password_expires_at", Desc: true},
			{SortKey: "enabled", Desc: true}} {
			whole, err := Users(ctx, s.DB, q)
			if err != nil || len(whole) != 12 {
				t.Fatal(len(whole), err)
			}
			var pages []string
			for q.Limit = 5; ; {
				page, err := Users(ctx, s.DB, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range page {
					pages = append(pages, u.ID)
				}
				if len(page) < q.Limit {
					break
				}
				q.Marker = page[len(page)-1].ID
			}
			if !slices.EqualFunc(whole, pages, func(u identity.User, id string) bool { return u.ID == id }) {
				t.Errorf("%+v: pages are %v", q, pages)
			}
		}
	})
}

func TestEveryAttributeFiltersAndSorts(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		probe[identity.Project](t, s, "projects", projectColumns)
		probe[userRow](t, s, "users", userColumns)
		probe[identity.Group](t, s, "user_groups", groupColumns)
		probe[identity.Role](t, s, "roles", roleColumns)
		probe[identity.Region](t, s, "regions", regionColumns)
		probe[identity.Service](t, s, "services", serviceColumns)
		probe[identity.Endpoint](t, s, "endpoints", endpointColumns)
		probe[identity.EndpointGroup](t, s, "endpoint_groups", endpointGroupColumns)
		probe[identity.Policy](t, s, "policies", policyColumns)
		probe[identity.Credential](t, s, "credentials", credentialColumns)
		probe[identity.RegisteredLimit](t, s, "registered_limits", registeredLimitColumns)
		probe[identity.Limit](t, s, "limits", limitColumns)
		probe[appCredRow](t, s, "app_credentials", appCredColumns)
		probe[trustRow](t, s, "trusts", trustColumns)
		probe[identity.Consumer](t, s, "consumers", consumerColumns)
		probe[identity.IdentityProvider](t, s, "identity_providers", idpColumns)
		probe[identity.ServiceProvider](t, s, "service_providers", spColumns)
	})
}

// probe filters by every attribute with every comparison, and sorts by it.
func probe[R any](t *testing.T, s *Store, table string, attributes map[string]string) {
	t.Helper()
	run := func(q identity.Query) {
		t.Helper()
		if _, err := list[R](t.Context(), s.DB, table, attributes, q, clause{}); err != nil {
			t.Errorf("%s: %+v: %v", table, q, err)
		}
	}
	for name := range attributes {
		ops := []identity.Op{identity.Equal, identity.NotEqual, identity.Less, identity.LessEq, identity.Greater, identity.GreaterEq}
		var value any = "Größe_%!"
		switch name {
		case "enabled", "is_domain":
			value, ops = true, ops[:2]
		case "password_expires_at":
			value = db.At(epoch)
		default:
			ops = append(ops, identity.Contains, identity.StartsWith, identity.EndsWith, identity.IContains, identity.IStarts, identity.IEnds, identity.IEqual)
		}
		for _, op := range ops {
			run(identity.Query{Filters: []identity.Filter{{Attribute: name, Op: op, Value: value}}})
		}
		for _, down := range []bool{true, false} {
			run(identity.Query{SortKey: name, Desc: down, Limit: 2, Marker: "u"})
		}
	}
}

// Who comes in from elsewhere is the same user, and in his groups for their time.
func TestFederation(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		f := identity.FederatedUser{UserID: "u", IdentityProvider: "idp", Protocol: "oidc", UniqueID: "42", DisplayName: "Ü"}
		in(t, s, func(ctx context.Context, tx *db.Tx) error {
			return errors.Join(
				AddIdentityProvider(ctx, tx, identity.IdentityProvider{ID: "idp", DomainID: "d", Enabled: true, RemoteIDs: []string{"https://b", "https://a"}}),
				AddMapping(ctx, tx, identity.Mapping{ID: "m", SchemaVersion: "1.0", Rules: "[]"}),
				AddProtocol(ctx, tx, identity.FederationProtocol{ID: "oidc", IdentityProvider: "idp", MappingID: "m"}),
				AddFederatedUser(ctx, tx, f),
				AddGrant(ctx, tx, identity.Grant{ActorID: "g", IsGroup: true, TargetID: "d", TargetKind: identity.OnDomain, RoleID: "r"}),
				SetFederatedMemberships(ctx, tx, "u", "idp", []string{"g"}, epoch.Add(time.Hour)))
		})
		if p, err := IdentityProvider(ctx, s.DB, "idp"); err != nil || !slices.Equal(p.RemoteIDs, []string{"https://a", "https://b"}) {
			t.Error(p, err)
		}
		if id, err := ProviderByRemoteID(ctx, s.DB, "https://a"); err != nil || id != "idp" {
			t.Error(id, err)
		}
		if got, err := FederatedUser(ctx, s.DB, "idp", "oidc", "42"); err != nil || got != f {
			t.Error(got, err)
		}
		roles := func(a Actor) int {
			list, err := RolesOn(ctx, s.DB, a, identity.OnDomain, "d", nil)
			if err != nil {
				t.Error(err)
			}
			return len(list)
		}
		for want, a := range map[int][]Actor{1: {{UserID: "u", Now: epoch}, {UserID: "x", Groups: []string{"h", "g"}, Now: epoch}}, 0: {{UserID: "u", Now: epoch.Add(time.Hour)}, {UserID: "x", Now: epoch}}} {
			for _, actor := range a {
				if got := roles(actor); got != want {
					t.Errorf("%+v has %d roles, want %d", actor, got, want)
				}
			}
		}
		before, err := Changes(ctx, s.DB)
		if err != nil {
			t.Fatal(err)
		}
		together(t, s, 8, func(ctx context.Context, tx *db.Tx, _ int) error { return CountChange(ctx, tx) })
		if after, err := Changes(ctx, s.DB); err != nil || after != before+8 {
			t.Error(before, after, err)
		}
		in(t, s, func(ctx context.Context, tx *db.Tx) error { return DeleteIdentityProvider(ctx, tx, "idp") })
		if _, err := FederatedUser(ctx, s.DB, "idp", "oidc", "42"); !errors.Is(err, db.ErrNoRow) {
			t.Error("a user of a provider that is gone:", err)
		}
	})
}
