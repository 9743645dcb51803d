// Package jws is the form of tokens that are signed and not encrypted: JSON Web
// Signatures with ES256, as Keystone's provider "jws" makes them, so that who has
// the public key can read and check them. It holds the keys, too: one private key,
// and the public keys of all that may sign.
package jws
