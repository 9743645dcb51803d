// Package directory reads users and groups from an LDAP server, as the options of
// a domain say, under Keystone's names for them. It only reads, and binds to check
// passwords; who the entries are here is for service/identity/control.
package directory
