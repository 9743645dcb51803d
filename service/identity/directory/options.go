package directory

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Options are those of a domain's section [ldap].
type Options struct {
	URLs     []string
	User     string // who searches; "": nobody, anonymously
	Password string
	Suffix   string
	Subtree  bool // search below the trees' own children, too
	PageSize uint32

	UserTree, UserFilter, UserClass                     string
	UserID, UserName, UserMail, UserDescription         string
	UserEnabled, UserEnabledDefault, UserDefaultProject string
	UserEnabledInvert, EnabledEmulation                 bool
	UserEnabledMask                                     int
	EnabledEmulationDN                                  string
	IgnoreEnabled                                       bool
	GroupTree, GroupFilter, GroupClass                  string
	GroupID, GroupName, GroupMember, GroupDescription   string
	GroupMembersAreIDs, GroupNesting, StartTLS          bool
	Timeout                                             time.Duration
	PoolSize                                            int
	tls                                                 *tls.Config
}

// reader takes options of a section by their names, as texts or as JSON's types.
type reader struct {
	section map[string]any
	err     error
}

func (r *reader) text(name, def string) string {
	switch v := r.section[name].(type) {
	case nil:
		return def
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	default:
		r.wrong(name, "a text")
		return def
	}
}

func (r *reader) wrong(name, want string) {
	if r.err == nil {
		r.err = fmt.Errorf("[ldap] %s must be %s", name, want)
	}
}

func (r *reader) flag(name string) bool {
	switch strings.ToLower(r.text(name, "false")) {
	case "true", "yes", "on", "1":
		return true
	case "false", "no", "off", "0", "":
		return false
	}
	r.wrong(name, "true or false")
	return false
}

func (r *reader) number(name string, def int) int {
	n, err := strconv.Atoi(r.text(name, strconv.Itoa(def)))
	if err != nil {
		r.wrong(name, "a whole number")
	}
	return n
}

// Parse reads a section. Its defaults are upstream's.
func Parse(section map[string]any) (Options, error) {
	r := &reader{section: section}
	o := Options{User: r.text("user", ""), Password: r.text("password", ""), Suffix: r.text("suffix", "cn=example,cn=com"),
		Subtree: r.text("query_scope", "one") == "sub", PageSize: uint32(max(0, r.number("page_size", 0))),
		UserFilter: r.text("user_filter", ""), UserClass: r.text("user_objectclass", "inetOrgPerson"), UserID: r.text("user_id_attribute", "cn"),
		UserName: r.text("user_name_attribute", "sn"), UserMail: r.text("user_mail_attribute", "mail"), UserDescription: r.text("user_description_attribute", "description"),
		UserEnabled: r.text("user_enabled_attribute", "enabled"), UserEnabledDefault: r.text("user_enabled_default", "True"), UserEnabledInvert: r.flag("user_enabled_invert"),
		UserEnabledMask: r.number("user_enabled_mask", 0), EnabledEmulation: r.flag("user_enabled_emulation"), EnabledEmulationDN: r.text("user_enabled_emulation_dn", ""),
		UserDefaultProject: r.text("user_default_project_id_attribute", ""),
		GroupFilter:        r.text("group_filter", ""), GroupClass: r.text("group_objectclass", "groupOfNames"), GroupID: r.text("group_id_attribute", "cn"),
		GroupName: r.text("group_name_attribute", "ou"), GroupMember: r.text("group_member_attribute", "member"), GroupDescription: r.text("group_desc_attribute", "description"),
		GroupMembersAreIDs: r.flag("group_members_are_ids"), GroupNesting: r.flag("group_ad_nesting"), StartTLS: r.flag("use_tls"),
		Timeout: time.Duration(r.number("connection_timeout", 10)) * time.Second, PoolSize: r.number("pool_size", 10)}
	if o.Timeout <= 0 || o.Timeout > time.Minute {
		o.Timeout = 10 * time.Second
	}
	o.PoolSize = min(max(o.PoolSize, 1), 100)
	o.UserTree = r.text("user_tree_dn", "ou=Users,"+o.Suffix)
	o.GroupTree = r.text("group_tree_dn", "ou=UserGroups,"+o.Suffix)
	for name := range strings.SplitSeq(r.text("user_attribute_ignore", ""), ",") {
		o.IgnoreEnabled = o.IgnoreEnabled || strings.TrimSpace(name) == "enabled"
	}
	if o.EnabledEmulation && o.EnabledEmulationDN == "" {
		o.EnabledEmulationDN = "cn=enabled_users," + o.UserTree
	}
	for address := range strings.SplitSeq(strings.ReplaceAll(r.text("url", "ldap://localhost"), "%(password)s", o.Password), ",") {
		address = strings.TrimSpace(address)
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" && u.Scheme != "ldapi" {
			r.wrong("url", "addresses that begin with ldap://, ldaps:// or ldapi://")
			continue
		}
		o.URLs = append(o.URLs, address)
	}
	for name, filter := range map[string]string{"user_filter": o.UserFilter, "group_filter": o.GroupFilter} {
		if filter != "" {
			if _, err := ldap.CompileFilter(filter); err != nil {
				r.wrong(name, "a filter as RFC 4515 has them")
			}
		}
	}
	for name, dn := range map[string]string{"user_tree_dn": o.UserTree, "group_tree_dn": o.GroupTree} {
		if _, err := ldap.ParseDN(dn); err != nil {
			r.wrong(name, "a distinguished name")
		}
	}
	o.tls = r.tls()
	return o, r.err
}

func (r *reader) tls() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := r.text("tls_cacertfile", ""); file != "" {
		data, err := os.ReadFile(file)
		c.RootCAs = x509.NewCertPool()
		if err != nil || !c.RootCAs.AppendCertsFromPEM(data) {
			r.wrong("tls_cacertfile", "a file with certificates that can be read")
		}
	}
	switch r.text("tls_req_cert", "demand") {
	case "demand":
	case "allow", "never":
		c.InsecureSkipVerify = true // what the operator asked for
	default:
		r.wrong("tls_req_cert", "demand, allow or never")
	}
	return c
}
