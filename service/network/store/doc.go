// Package store keeps the network service's resources in SQL, one file a
// resource, and gives them back as the vocabulary's types. It decides nothing:
// what may be written is control's business, except for what only a unique key
// can promise (an address, a MAC address, a segment).
package store
