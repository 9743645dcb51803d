// Package agent runs on a host and makes real what control says the host has to
// carry: it compares that state with what the dataplane driver finds, and takes
// one idempotent step after the other until they agree. It also proxies guests'
// requests for metadata.
//
// It has no database. What it is told, it must be able to find out: hints only
// make it look sooner. While control does not answer, nothing on the host is
// touched; after a restart it adopts what is there, and guests notice nothing.
package agent
