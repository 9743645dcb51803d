// Package fake is a dataplane without packets: a whole driver that keeps in
// memory what a host would carry. Faults and delays can be put in, devices can
// be withheld and plugged, and tests can read what the agent made and speak to
// its metadata proxy as a guest would. It has no goroutine while idle, so that
// one process can hold the hosts of a large cloud.
//
// A Driver is a host: after a "restart" of an agent, give the same Driver to the
// next one.
package fake
