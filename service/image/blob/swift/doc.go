// Package swift keeps images in a container of OpenStack's object store.
//
// A blob KEY is a static large object KEY over segments KEY/ATTEMPT/NUMBER; an
// attempt that is not committed yet is known by the object KEY/ATTEMPT/begun.
// The container may hold other things: the driver looks only at names whose first
// part is a key. The proxy must have the middleware slo, as it does by default.
package swift
