// Package control is what the identity service does: who may do what (policy.go),
// logging in (authenticate.go), tokens (token.go), and one file for each
// resource. It decides and writes; how a request looked and how the answer looks
// is for service/identity/api.
//
// A token says who and what for; everything else is looked up each time it is
// used, so that a user, project or grant that is gone takes its tokens along at
// once. What cannot be seen from the records, such as a password that has been
// changed since, is a revocation: no token of this subject issued before.
//
// Calls from within, whose context carries no caller, pass no policy: Bootstrap
// is the only one.
package control
