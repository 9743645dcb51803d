package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"sort"
	"strings"
)

// Migrate brings the database to the newest of the numbered .sql files in dir of
// files. Each file is run once, statement by statement, in its own transaction,
// and noted in schema_migrations; each statement is safe to repeat, since
// MariaDB commits table definitions one by one. set names who migrates, so that
// several sets of files can share a database.
//
// Statements end with a semicolon at the end of a line. The words @serial@,
// @text@ and @double@ stand for the dialect's types, ADD COLUMN @absent@ for what
// may be repeated.
//
// Any number of processes may migrate one database at once: they take turns.
func (d *DB) Migrate(ctx context.Context, set string, files fs.FS, dir string) error {
	names, err := fs.Glob(files, dir+"/*.sql")
	if err != nil {
		return err
	}
	sort.Strings(names)
	end, err := d.turn(ctx)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", set, err)
	}
	defer end()
	err = d.Tx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
			name VARCHAR(190) NOT NULL PRIMARY KEY)`)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrate %s: %w", set, err)
	}
	done, err := Select[string](ctx, d, `SELECT name FROM schema_migrations`)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", set, err)
	}
	applied := map[string]bool{}
	for _, name := range done {
		applied[name] = true
	}
	for _, file := range names {
		key := set + "/" + strings.TrimPrefix(file, dir+"/")
		if applied[key] {
			continue
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return err
		}
		if err := d.apply(ctx, key, string(text)); err != nil {
			return fmt.Errorf("migrate %s: %w", key, err)
		}
	}
	return nil
}

// turn waits until nobody else migrates this database. SQLite needs no lock: each
// file is applied in one transaction, and there is one writer.
func (d *DB) turn(ctx context.Context) (end func(), err error) {
	if d.Dialect.lock == "" {
		return func() {}, nil
	}
	conn, err := d.write.Conn(ctx) // the lock is the connection's, and ends with it
	if err != nil {
		return nil, err
	}
	var got sql.NullInt64
	if err = conn.QueryRowContext(ctx, d.Dialect.lock).Scan(&got); err == nil && got.Int64 != 1 {
		err = errors.New("another process has been changing this database's tables for five minutes")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return func() {
		var given any
		if conn.QueryRowContext(context.WithoutCancel(ctx), d.Dialect.unlock).Scan(&given) != nil {
			// The lock may stand: the pool must not keep its connection.
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		conn.Close()
	}, nil
}

func (d *DB) apply(ctx context.Context, key, text string) error {
	return d.Tx(ctx, func(tx *Tx) error {
		if n, err := Get[int](ctx, tx, `SELECT COUNT(*) FROM schema_migrations WHERE name = ?`, key); err != nil || n > 0 {
			return err // applied by another process while this one waited
		}
		for _, statement := range statements(d.Dialect.translate(text)) {
			if strings.HasPrefix(statement, "CREATE TABLE") {
				statement += d.Dialect.tableEnd
			}
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%w (statement: %s)", err, firstLine(statement))
			}
		}
		_, err := tx.Exec(ctx, `INSERT INTO schema_migrations (name) VALUES (?)`, key)
		return err
	})
}

var (
	word    = regexp.MustCompile(`@([a-z]+)@`)
	keyType = regexp.MustCompile(`VARCHAR\(\d+\)`)
)

func (d Dialect) translate(text string) string {
	text = keyType.ReplaceAllString(text, "${0}"+d.keyEnd)
	return word.ReplaceAllStringFunc(text, func(w string) string {
		if t, ok := d.words[strings.Trim(w, "@")]; ok {
			return t
		}
		return w
	})
}

// statements cuts a file at semicolons that end a line, without comments.
func statements(text string) []string {
	var out []string
	var b strings.Builder
	for line := range strings.Lines(text) {
		code, _, _ := strings.Cut(line, "--")
		b.WriteString(strings.TrimRight(code, " \t\r\n") + "\n")
		if strings.HasSuffix(strings.TrimSpace(code), ";") {
			out = append(out, strings.TrimSuffix(strings.TrimSpace(b.String()), ";"))
			b.Reset()
		}
	}
	if rest := strings.TrimSpace(b.String()); rest != "" {
		out = append(out, rest)
	}
	return out
}
