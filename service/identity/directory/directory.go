package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// MaxEntries bounds what is taken of a directory: its users, or its groups.
const MaxEntries = 20000

// ErrNone says that the directory has no such entry.
var ErrNone = errors.New("directory: there is no such entry")

// User is a user of the directory.
type User struct {
	ID, DN, Name, Email, Description, DefaultProject string
	Enabled                                          bool
}

// Group is a group of the directory. Members are distinguished names, or ids of
// users where the options say so.
type Group struct {
	ID, DN, Name, Description string
	Members                   []string
}

// Directory is one domain's. It keeps connections for its searches.
type Directory struct {
	Options
	idle chan *ldap.Conn
}

// New returns the directory of some options.
func New(o Options) *Directory {
	return &Directory{Options: o, idle: make(chan *ldap.Conn, o.PoolSize)}
}

// Close ends idle connections.
func (d *Directory) Close() {
	for {
		select {
		case c := <-d.idle:
			c.Close()
		default:
			return
		}
	}
}

func (d *Directory) dial() (*ldap.Conn, error) {
	var failures error
	for _, address := range d.URLs {
		config := d.tls.Clone()
		if u, err := url.Parse(address); err == nil {
			config.ServerName = u.Hostname()
		}
		c, err := ldap.DialURL(address, ldap.DialWithDialer(&net.Dialer{Timeout: d.Timeout}), ldap.DialWithTLSConfig(config))
		if err == nil {
			c.SetTimeout(d.Timeout)
			if !d.StartTLS || strings.HasPrefix(address, "ldaps:") {
				return c, nil
			}
			if err = startTLS(c, config); err == nil {
				return c, nil
			}
			c.Close()
		}
		failures = errors.Join(failures, err)
	}
	return nil, failures
}

func startTLS(c *ldap.Conn, config *tls.Config) error { return c.StartTLS(config) }

// search runs a search with a connection of the user that searches. A connection
// that has been idle may have been cut by the server: then it is tried anew, once.
func (d *Directory) search(ctx context.Context, req *ldap.SearchRequest) ([]*ldap.Entry, error) {
	for {
		c, fresh, err := d.connection()
		if err != nil {
			return nil, fmt.Errorf("directory: %w", err)
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		var res *ldap.SearchResult
		if d.PageSize > 0 && req.SizeLimit != 1 {
			res, err = c.SearchWithPaging(req, d.PageSize)
		} else {
			res, err = c.Search(req)
		}
		stop()
		if err == nil {
			d.keep(c)
			return res.Entries, nil
		}
		c.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if ldap.IsErrorWithCode(err, ldap.ErrorNetwork) && !fresh {
			continue
		}
		return nil, fmt.Errorf("directory: search of %s: %w", req.BaseDN, err)
	}
}

func (d *Directory) connection() (c *ldap.Conn, fresh bool, err error) {
	select {
	case c := <-d.idle:
		return c, false, nil
	default:
	}
	if c, err = d.dial(); err != nil {
		return nil, false, err
	}
	if d.User != "" {
		if err := c.Bind(d.User, d.Password); err != nil {
			c.Close()
			return nil, false, fmt.Errorf("bind as the user that searches: %w", err)
		}
	}
	return c, true, nil
}

func (d *Directory) keep(c *ldap.Conn) {
	select {
	case d.idle <- c:
	default:
		c.Close()
	}
}

// Check reports whether a password is an entry's. An empty one never is: servers
// take a bind without a password for an anonymous one, and let it succeed.
func (d *Directory) Check(_ context.Context, dn, password string) (bool, error) {
	if dn == "" || password == "" {
		return false, nil
	}
	c, err := d.dial()
	if err != nil {
		return false, fmt.Errorf("directory: %w", err)
	}
	defer c.Close()
	err = c.Bind(dn, password)
	if ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultUnwillingToPerform,
		ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultConstraintViolation, ldap.LDAPResultInsufficientAccessRights) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("directory: bind: %w", err)
	}
	return true, nil
}

func (d *Directory) scope() int {
	if d.Subtree {
		return ldap.ScopeWholeSubtree
	}
	return ldap.ScopeSingleLevel
}

// both joins conditions.
func both(conditions ...string) string {
	var b strings.Builder
	for _, c := range conditions {
		if c != "" {
			b.WriteString(c)
		}
	}
	return "(&" + b.String() + ")"
}

func equals(attribute, value string) string {
	return "(" + attribute + "=" + ldap.EscapeFilter(value) + ")"
}

// request is a search of a tree; an entry more than allowed is asked for, to tell.
func (d *Directory) request(tree string, scope int, filter string, attributes ...string) *ldap.SearchRequest {
	var wanted []string
	for _, a := range attributes {
		if a != "" {
			wanted = append(wanted, a)
		}
	}
	return ldap.NewSearchRequest(tree, scope, ldap.NeverDerefAliases, 0, int(d.Timeout/time.Second), false, filter, wanted, nil)
}

func (d *Directory) userRequest(condition string) *ldap.SearchRequest {
	return d.request(d.UserTree, d.scope(), both(equals("objectClass", d.UserClass), d.UserFilter, condition), d.UserID, d.UserName, d.UserMail, d.UserDescription,
		d.UserEnabled, d.UserDefaultProject)
}

// Users lists the users.
func (d *Directory) Users(ctx context.Context) ([]User, error) {
	return d.users(ctx, d.userRequest(""))
}

// UserByName returns the user with a name; ErrNone when there is none, or not
// exactly one.
func (d *Directory) UserByName(ctx context.Context, name string) (User, error) {
	return d.oneUser(ctx, d.userRequest(equals(d.UserName, name)))
}

// UserByID returns the user with an id of the directory's; ErrNone when there is none.
func (d *Directory) UserByID(ctx context.Context, id string) (User, error) {
	return d.oneUser(ctx, d.userRequest(equals(d.UserID, id)))
}

func (d *Directory) oneUser(ctx context.Context, req *ldap.SearchRequest) (User, error) {
	list, err := d.users(ctx, req)
	if err == nil && len(list) != 1 {
		err = ErrNone
	}
	if err != nil {
		return User{}, err
	}
	return list[0], nil
}

func (d *Directory) users(ctx context.Context, req *ldap.SearchRequest) ([]User, error) {
	entries, err := d.search(ctx, req)
	if err != nil {
		return nil, err
	}
	if len(entries) > MaxEntries {
		return nil, fmt.Errorf("directory: there are more than %d users below %s", MaxEntries, d.UserTree)
	}
	on, err := d.emulated(ctx)
	if err != nil {
		return nil, err
	}
	var list []User
	for _, e := range entries {
		u := User{ID: e.GetAttributeValue(d.UserID), DN: e.DN, Name: e.GetAttributeValue(d.UserName), Email: e.GetAttributeValue(d.UserMail),
			Description: e.GetAttributeValue(d.UserDescription)}
		if d.UserDefaultProject != "" {
			u.DefaultProject = e.GetAttributeValue(d.UserDefaultProject)
		}
		u.Enabled = d.enabled(e.GetAttributeValue(d.UserEnabled))
		if d.EnabledEmulation {
			u.Enabled = on[normal(e.DN)]
		}
		if u.ID != "" && u.Name != "" && len(u.ID) <= 255 && len(u.Name) <= 255 {
			list = append(list, u)
		}
	}
	return list, nil
}

// enabled reads the attribute of that name, which is a text in any spelling, or
// bits of a number.
func (d *Directory) enabled(text string) bool {
	if d.IgnoreEnabled {
		return true
	}
	if text == "" {
		text = d.UserEnabledDefault
	}
	if d.UserEnabledMask != 0 {
		n, err := strconv.Atoi(text)
		return err == nil && n&d.UserEnabledMask != d.UserEnabledMask
	}
	on := strings.EqualFold(text, "true")
	return on != d.UserEnabledInvert
}

// emulated are the users that are enabled, where a group has them; nil elsewhere.
func (d *Directory) emulated(ctx context.Context) (map[string]bool, error) {
	if !d.EnabledEmulation {
		return nil, nil
	}
	entries, err := d.search(ctx, d.request(d.EnabledEmulationDN, ldap.ScopeBaseObject, "(objectClass=*)", d.GroupMember))
	if err != nil {
		return nil, err
	}
	on := map[string]bool{}
	for _, e := range entries {
		for _, dn := range e.GetAttributeValues(d.GroupMember) {
			on[normal(dn)] = true
		}
	}
	return on, nil
}

// normal is a distinguished name in one spelling.
func normal(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return strings.ToLower(dn)
	}
	return strings.ToLower(parsed.String())
}

// Groups lists the groups.
func (d *Directory) Groups(ctx context.Context) ([]Group, error) { return d.groups(ctx, "") }

// GroupsOf lists the groups that a user is in.
func (d *Directory) GroupsOf(ctx context.Context, u User) ([]Group, error) {
	member := u.DN
	if d.GroupMembersAreIDs {
		member = u.ID
	}
	attribute := d.GroupMember
	if d.GroupNesting { // Active Directory then follows groups in groups
		attribute += ":1.2.840.113556.1.4.1941:"
	}
	return d.groups(ctx, equals(attribute, member))
}

func (d *Directory) groups(ctx context.Context, condition string) ([]Group, error) {
	entries, err := d.search(ctx, d.request(d.GroupTree, d.scope(), both(equals("objectClass", d.GroupClass), d.GroupFilter, condition),
		d.GroupID, d.GroupName, d.GroupMember, d.GroupDescription))
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) { // a directory without groups
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(entries) > MaxEntries {
		return nil, fmt.Errorf("directory: there are more than %d groups below %s", MaxEntries, d.GroupTree)
	}
	var list []Group
	for _, e := range entries {
		g := Group{ID: e.GetAttributeValue(d.GroupID), DN: e.DN, Name: e.GetAttributeValue(d.GroupName), Description: e.GetAttributeValue(d.GroupDescription),
			Members: e.GetAttributeValues(d.GroupMember)}
		if g.ID != "" && g.Name != "" && len(g.ID) <= 255 && len(g.Name) <= 64 {
			list = append(list, g)
		}
	}
	return list, nil
}

// MemberOf returns the user that a group's member is, of those by distinguished
// name and by id.
func (d *Directory) MemberOf(member string, byDN, byID map[string]string) string {
	if d.GroupMembersAreIDs {
		return byID[member]
	}
	return byDN[normal(member)]
}

// Key is a distinguished name as a key of MemberOf.
func Key(dn string) string { return normal(dn) }

// Same reports whether the directory has just these options.
func (d *Directory) Same(o Options) bool {
	a, b := d.Options, o
	a.tls, b.tls = nil, nil
	return d.tls.InsecureSkipVerify == o.tls.InsecureSkipVerify && d.tls.RootCAs.Equal(o.tls.RootCAs) && reflect.DeepEqual(a, b)
}
