// Package store keeps placement's rows and decides claims: whether what a
// consumer asks for fits is looked up and written down in one transaction, under
// locks on the rows of the providers (PostgreSQL, MariaDB) or with the one
// writer that SQLite has. Whatever anybody else believes about free capacity is
// a hint.
//
// Each writing transaction ends by raising the row "providers" of the table
// revisions and by noting the new value at all providers that it has changed, so
// that a picture in memory learns with one look whether it is current, and with
// three short queries what has changed (changes.go).
//
// The room does not know who may do what, nor versions of the API.
package store
