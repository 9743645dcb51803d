// Package cloud tests the whole cloud from outside, with gophercloud instead of
// a client of our own, so that one misreading cannot hide on both sides. Every
// test runs twice: with all roles in one process's stack, and split over four
// stacks that reach each other by TCP only. Hypervisors and networks are the
// fake drivers.
package cloud
