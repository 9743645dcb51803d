package db

// MaxPrepared is maxPrepared, for the tests.
const MaxPrepared = maxPrepared

// Prepared counts the statements that are kept prepared.
func (d *DB) Prepared() int {
	kept := 0
	d.stmts.Range(func(any, any) bool { kept++; return true })
	return kept
}

// CheckpointEvery is checkpointEvery, for the tests.
const CheckpointEvery = checkpointEvery

// ErrBeside is errBeside, for the tests.
var ErrBeside = errBeside

// WaitTogether counts who waits to share a transaction.
func (d *DB) WaitTogether() int {
	d.together.mu.Lock()
	defer d.together.mu.Unlock()
	return len(d.together.waiting)
}

// PreparedWrites counts the statements for writing that are kept prepared; false
// where the driver does that.
func (d *DB) PreparedWrites() (int, bool) {
	if d.writer == nil {
		return 0, false
	}
	return len(d.writer.ready), true
}

// FailConnection closes the connection for writing behind the writer's back.
func (d *DB) FailConnection() {
	d.writer.turn <- struct{}{}
	defer d.writer.leave()
	d.writer.conn.Close()
}
