// Package forest is a picture of all resource providers in memory, and the
// search through it: which providers match a filter, and in which ways a request
// can be satisfied.
//
// The picture is made of trees. A tree is never changed: when a provider in it
// changes, a new tree takes its place, so that a search goes through what it has
// begun with, without locks, while the next picture is being made. Pictures are
// numbered, and each tree's place says in which it came there: of a search that is
// asked for again only what has changed since its last answer is looked at and told
// (answers.go). The room does not know where changes come from; it has no I/O.
package forest
