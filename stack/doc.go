// Package stack puts the program together: it reads the configuration, starts
// the roles that it names, and connects them. It is the map of the program;
// start reading at Start, then roles.go.
//
// Everything is plain Go in order: a service is a store, a control over it and
// an API over that, made by struct literals in services.go. Drivers are named in
// drivers.go and nowhere else. The same Start serves the tests, whole or split
// over several stacks that reach each other by TCP.
package stack
