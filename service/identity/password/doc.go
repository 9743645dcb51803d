// Package password makes and checks the hashes that passwords are kept as. It
// makes bcrypt, scrypt or PBKDF2 hashes in the forms in which Keystone keeps them,
// and checks any of these, whichever it makes: a database that Keystone has filled
// can be taken over.
package password
