// Package api is the HTTP face of identity, version 3.14: routes.go is the table
// of what there is, body.go and view.go how requests are read and answers are
// written, and each resource has its file. It has no opinion of who may do what.
package api
