// Package image is the vocabulary of the image service: images with their
// states and the one table of how these follow each other, members, locations
// and tasks, as this service speaks of them. It does no I/O.
//
// Its rooms: api (HTTP), control (use cases: who may, what follows, uploads and
// imports), store (SQL), blob (where the bytes lie, one driver a folder) and
// binarycurve (signatures that the standard library cannot verify).
// What a disk image is by its content is internal/diskimage's.
package image
