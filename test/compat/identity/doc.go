// Package identity holds the identity service against upstream's contract: its
// tests alone are of interest.
package identity
