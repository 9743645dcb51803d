// Package fernet is the form of tokens and the keys they are made with. A token
// is a Fernet message (https://github.com/fernet/spec) around a MessagePack
// list, laid out as Keystone's, so that two identity services that share a key
// directory accept each other's tokens.
//
// The key directory is Keystone's too: files named 0, 1, 2, … with a key each.
// The highest makes new tokens, 0 is the one that will be the highest after the
// next rotation, and all are accepted; so hosts may copy the directory around
// one after the other.
//
// The room knows form and keys. Whether a token is still good is for
// service/identity/control to say.
package fernet
