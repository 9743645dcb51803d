// Package openapi holds answers against upstream's OpenAPI files: which operations
// there are, and whether an answer has the form that the file gives it. A test
// takes a Contract; a client takes a Transport; what another program asks goes
// through a Proxy, which the command openapi-proxy serves.
//
// The files describe more than one release and are not without faults of their
// own. What is known to be the file's fault stands in waivers.go, with its reason.
package openapi
