// Package api is the image service's HTTP face: version 2 of the API as Glance
// has it, up to 2.17. It turns requests into calls of control and what these
// return into JSON, and decides nothing else.
package api
