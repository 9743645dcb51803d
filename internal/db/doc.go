// Package db is a thin layer over database/sql for three databases: SQLite,
// PostgreSQL and MariaDB. Queries are SQL with ? for parameters, written once;
// a Dialect value covers the rest: how parameters look, which errors mean "try
// again", which mean "exists already", and the few words in which table
// definitions differ.
//
//	servers, err := db.Select[server](ctx, d, `SELECT * FROM servers WHERE project_id = ?`, id)
//	err = d.Tx(ctx, func(tx *db.Tx) error { ... })
//
// Columns meet struct fields by the tag `db:"column"`. There is no object layer
// and nothing hidden: a statement that is not in the text is not run.
//
// Each service has a database of its own; the tables of internal/task live in
// it too, so that a task is written in the transaction that makes it necessary.
package db
