// Package object is the vocabulary of the object store: accounts, containers and
// objects as this service speaks of them, and who may be let in by a container's
// access list. It does no I/O.
//
// Its rooms: api (Swift's REST API), s3 (Amazon's, on the same control), control
// (use cases), store (SQL), ring (which devices keep what: pure), device (where
// bytes lie, one driver a folder), pool (the copies on several devices), deliver
// (ranges and conditions of HTTP).
//
// The bytes of an object are a payload: written once under a key of its own, kept
// as copies on devices, and referred to by the rows of objects. Two objects may
// refer to one payload, so a copy within the store moves no bytes.
package object
