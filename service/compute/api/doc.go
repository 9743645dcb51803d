// Package api is the compute API: it turns HTTP into compute's vocabulary and
// back. routes.go is the table of operations, versions.go the list of
// microversions, then one file a resource with its requests, views and handlers.
//
// The shape of a resource at each microversion stands in the tags of its structs
// (see internal/rest); what a request means is control's.
package api
