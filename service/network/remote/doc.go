// Package remote is what the network service asks of other services, over their
// REST APIs.
package remote
