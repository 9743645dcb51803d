// Package mapping turns what an identity provider says of a user into who the
// user is here: Keystone's rules, in their schemas 1.0, 2.0 and 3.0. It is pure:
// it looks nothing up and makes nothing; service/identity/control does that with
// the Result.
//
// A rule applies when all of its remote conditions hold. Each condition that only
// names an attribute, or filters its values, yields a list of values; {0}, {1} and
// so on in the local part stand for these lists in order. The values of an
// attribute are kept apart all the way: no character in a value can make two of it.
package mapping
