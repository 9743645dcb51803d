// Package host runs programs of the host for drivers: with a context, a bounded
// output, an error that says what was run and what it answered, and a recording
// twin for tests. It knows no program.
package host
