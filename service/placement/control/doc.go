// Package control is what may be done with placement, and by whom: the policy
// table, the use cases, and the picture of all providers that is kept for the
// search for candidates.
//
// Who calls is judged by Authorize, which the api room asks for each route
// before it reads the body: a caller who may not do a thing learns nothing from
// what is wrong with it. The methods after it do not ask again.
//
// Whether a claim fits is not decided here but in store, in the claim's own
// transaction; the picture only says where to try.
package control
