// Package api is placement's HTTP face: the routes, what bodies and queries look
// like at each version, and the words in which something is refused.
//
// Placement checks bodies in the words of JSON Schema ("'total' is a required
// property") and clients have come to depend on them, so this room has a decoder
// of its own (decode.go) beside internal/rest's; the tags of the structs are the
// same.
package api
