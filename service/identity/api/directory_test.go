package api

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// slapd is a throw-away LDAP server on a socket of its own.
type slapd struct {
	t    *testing.T
	url  string
	cmd  *exec.Cmd
	conn *ldap.Conn
}

const (
	ldapBase  = "dc=example,dc=org"
	ldapAdmin = "cn=admin," + ldapBase
	ldapPass  = "the directory's secret"
)

func startSlapd(t *testing.T) *slapd {
	t.Helper()
	program := "/usr/sbin/slapd"
	if _, err := os.Stat(program); err != nil {
		t.Skip("there is no slapd: install the package slapd")
	}
	dir, err := os.MkdirTemp("", "slapd") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf := fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %[1]s/pid
database mdb
suffix "%[2]s"
rootdn "%[3]s"
rootpw "%[4]s"
directory %[1]s
access to attrs=userPassword by anonymous auth by * none
access to * by users read by anonymous auth
`, dir, ldapBase, ldapAdmin, ldapPass)
	file, socket := filepath.Join(dir, "slapd.conf"), filepath.Join(dir, "s")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &slapd{t: t, url: "ldapi://" + socket}
	var said bytes.Buffer
	s.cmd = exec.Command(program, "-d", "0", "-f", file, "-h", "ldapi://"+strings.ReplaceAll(socket, "/", "%2F"))
	s.cmd.Stdout, s.cmd.Stderr = &said, &said
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	for end := time.After(20 * time.Second); ; {
		if s.conn, err = ldap.DialURL(s.url); err == nil {
			break
		}
		select {
		case <-end:
			t.Fatalf("slapd does not answer: %v\n%s", err, said.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := s.conn.Bind(ldapAdmin, ldapPass); err != nil {
		t.Fatal(err)
	}
	s.add(ldapBase, "objectClass", "dcObject", "objectClass", "organization", "dc", "example", "o", "Example")
	s.add("ou=people,"+ldapBase, "objectClass", "organizationalUnit", "ou", "people")
	s.add("ou=groups,"+ldapBase, "objectClass", "organizationalUnit", "ou", "groups")
	return s
}

func (s *slapd) stop() {
	if s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
}

func (s *slapd) add(dn string, pairs ...string) {
	s.t.Helper()
	values := map[string][]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = append(values[pairs[i]], pairs[i+1])
	}
	req := ldap.NewAddRequest(dn, nil)
	for name, v := range values {
		req.Attribute(name, v)
	}
	if err := s.conn.Add(req); err != nil {
		s.t.Fatal(dn, err)
	}
}

func person(uid string) string { return "uid=" + uid + ",ou=people," + ldapBase }

func (s *slapd) person(uid, enabled string) {
	s.t.Helper()
	s.add(person(uid), "objectClass", "inetOrgPerson", "uid", uid, "cn", uid+" name", "sn", uid, "mail", uid+"@example.org", "userPassword", uid+"'s word", "employeeType", enabled)
}

func (s *slapd) set(dn, attribute string, values ...string) {
	s.t.Helper()
	req := ldap.NewModifyRequest(dn, nil)
	req.Replace(attribute, values)
	if err := s.conn.Modify(req); err != nil {
		s.t.Fatal(err)
	}
}

// inDirectory is a cloud with a domain whose users are in a directory.
func inDirectory(t *testing.T) (*cloud, *slapd, string) {
	s := startSlapd(t)
	s.person("ann", "TRUE")
	s.person("bob", "FALSE")
	s.person("cyd", "true")
	s.add("cn=staff,ou=groups,"+ldapBase, "objectClass", "groupOfNames", "cn", "staff", "ou", "Staff", "member", person("ann"), "member", person("bob"))
	k := newCloud(t)
	domain := k.must(201, "POST", "/v3/domains", doc{"domain": doc{"name": "corp"}}).str("domain", "id")
	k.must(201, "PUT", "/v3/domains/"+domain+"/config", doc{"config": doc{"identity": doc{"driver": "ldap"}, "ldap": doc{"url": s.url, "user": ldapAdmin, "password": ldapPass,
		"suffix": ldapBase, "user_tree_dn": "ou=people," + ldapBase, "user_id_attribute": "uid", "user_name_attribute": "uid", "user_enabled_attribute": "employeeType",
		"group_tree_dn": "ou=groups," + ldapBase}}})
	return k, s, domain
}

func inDomain(user, pass, domain string, scope any) doc {
	auth := doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{"name": user, "domain": doc{"id": domain}, "password": pass}}}}
	if scope != nil {
		auth["scope"] = scope
	}
	return doc{"auth": auth}
}

func TestDirectoryUsersLogIn(t *testing.T) {
	k, s, domain := inDirectory(t)
	login := func(user, pass string, scope any) answer {
		return k.do("", "POST", "/v3/auth/tokens", inDomain(user, pass, domain, scope))
	}
	a := login("ann", "ann's word", nil)
	if a.status != 201 || a.str("token", "user", "domain", "id") != domain {
		t.Fatal(a.status, a.body)
	}
	// OSSA-2013-015: a bind without a password is an anonymous one, which succeeds.
	// OSSA-2026-007: "FALSE" is not true.
	for what, got := range map[string]answer{"a wrong password": login("ann", "x", nil), "no password": login("ann", "", nil), "nobody": login("eve", "eve's word", nil),
		"a pattern": login("an*", "ann's word", nil), "a filter": login("ann)(uid=*", "ann's word", nil), "a disabled user": login("bob", "bob's word", nil)} {
		if got.status != 401 && got.status != 400 {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	byID := doc{"auth": doc{"identity": doc{"methods": []string{"password"}, "password": doc{"user": doc{"id": a.str("token", "user", "id"), "password": "ann's word"}}}}}
	k.wants(k.do("", "POST", "/v3/auth/tokens", byID), 201, "by id")

	groups := k.must(200, "GET", "/v3/groups?domain_id="+domain, nil).list("groups")
	if len(groups) != 1 || groups[0].(doc)["name"] != "Staff" {
		t.Fatal(groups)
	}
	group := groups[0].(doc)["id"].(string)
	users := k.must(200, "GET", "/v3/users?domain_id="+domain, nil).list("users")
	if len(users) != 3 {
		t.Error(users)
	}
	for _, u := range users {
		if u := u.(doc); u["enabled"] != (u["name"] != "bob") || u["email"] != u["name"].(string)+"@example.org" {
			t.Error(u)
		}
		if u.(doc)["id"] == group { // OSSA-2014-015
			t.Error("a user and a group have the same id")
		}
	}
	if in := k.must(200, "GET", "/v3/groups/"+group+"/users", nil).list("users"); len(in) != 2 {
		t.Error("members:", in)
	}
	p := k.must(201, "POST", "/v3/projects", doc{"project": doc{"name": "work"}}).str("project", "id")
	k.must(204, "PUT", "/v3/projects/"+p+"/groups/"+group+"/roles/"+k.role("member"), nil)
	scoped := login("ann", "ann's word", projectByID(p))
	k.wants(scoped, 201, "with a role by a group of the directory")
	k.wants(login("cyd", "cyd's word", projectByID(p)), 401, "without it")

	// What changes there counts here within a minute.
	s.set("cn=staff,ou=groups,"+ldapBase, "member", person("bob"))
	k.now = k.now.Add(2 * time.Minute)
	if got := k.valid(scoped.token); got != 401 {
		t.Error("out of the group:", got)
	}
	if got := k.valid(a.token); got != 200 {
		t.Error("the unscoped token:", got)
	}
	if err := s.conn.Del(ldap.NewDelRequest(person("ann"), nil)); err != nil {
		t.Fatal(err)
	}
	k.now = k.now.Add(2 * time.Minute)
	if got := k.valid(a.token); got != 401 {
		t.Error("gone from the directory:", got)
	}
	k.wants(login("ann", "ann's word", nil), 401, "gone from the directory")
	s.person("ann", "TRUE")
	k.wants(login("ann", "ann's word", nil), 201, "back again")
}

func TestDirectoriesAreOnlyRead(t *testing.T) {
	k, _, domain := inDirectory(t)
	users := k.must(200, "GET", "/v3/users?domain_id="+domain, nil).list("users")
	user := "/v3/users/" + users[0].(doc)["id"].(string)
	group := "/v3/groups/" + k.must(200, "GET", "/v3/groups?domain_id="+domain, nil).list("groups")[0].(doc)["id"].(string)
	k.must(403, "POST", "/v3/users", doc{"user": doc{"name": "new", "domain_id": domain}})
	k.must(403, "PATCH", user, doc{"user": doc{"password": "x"}})
	k.must(403, "DELETE", user, nil)
	k.must(403, "POST", "/v3/groups", doc{"group": doc{"name": "new", "domain_id": domain}})
	k.must(403, "PATCH", group, doc{"group": doc{"description": "x"}})
	k.must(403, "DELETE", group, nil)
	k.must(403, "PUT", group+strings.TrimPrefix(user, "/v3"), nil)
	for _, u := range users {
		if u := u.(doc); u["name"] == "ann" {
			k.wants(k.do("", "POST", "/v3/users/"+u["id"].(string)+"/password", doc{"user": doc{"original_password": "ann's word", "password": "other"}}), 403, "one's own password")
		}
	}
	for _, text := range []string{k.must(200, "GET", "/v3/domains/"+domain+"/config", nil).body, k.log.String()} {
		if strings.Contains(text, ldapPass) {
			t.Error("the directory's password is shown:", text)
		}
	}
}

// A directory that is away costs nobody his token, for a while.
func TestDirectoryAway(t *testing.T) {
	k, s, domain := inDirectory(t)
	a := k.do("", "POST", "/v3/auth/tokens", inDomain("ann", "ann's word", domain, nil))
	k.wants(a, 201, "log in")
	s.stop()
	k.wants(k.do("", "POST", "/v3/auth/tokens", inDomain("ann", "ann's word", domain, nil)), 503, "log in without the directory")
	k.must(503, "GET", "/v3/users?domain_id="+domain, nil)
	k.now = k.now.Add(5 * time.Minute)
	if got := k.valid(a.token); got != 200 {
		t.Error("after five minutes:", got)
	}
	k.now = k.now.Add(15 * time.Minute)
	if got := k.valid(a.token); got != 503 {
		t.Error("after twenty minutes:", got)
	}
	if strings.Contains(k.log.String(), "ann's word") || strings.Contains(k.log.String(), ldapPass) {
		t.Error("a password is in the log")
	}
	k.must(200, "GET", "/v3/users?domain_id=default", nil)
}
