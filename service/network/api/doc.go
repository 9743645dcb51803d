// Package api is the HTTP face of the network service: the Networking API v2.0.
// routes.go is the table of all operations; a resource is one value of
// collection, which knows lists, bodies, links and bulk requests. What anything
// means is control's business.
package api
