// Package store keeps identity's records in SQL: one file a resource, functions
// that take a db.Querier to read, so that they serve inside of transactions and
// out of them, and a *db.Tx to write.
//
// It knows tables and keys, and what must go with what; it decides nothing and
// asks nobody who is calling. A record that does not exist is db.ErrNoRow, a
// key that exists already an error of which db.IsUnique is true.
package store
