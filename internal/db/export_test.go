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
