// Package peer reaches the other services, always through their public REST
// API: by a pipe when the service lives in this process, by TCP when it does
// not. Which of the two is a line in the dial table, and nothing else differs:
// handler, token check, policy and version are the same.
//
// The room knows how to reach a service, who to be there (the caller, or this
// service's own user) and how to read its refusals; what to say is the business
// of service/*/remote.
package peer
