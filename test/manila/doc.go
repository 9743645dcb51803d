// Package manila is a stand-in of the Shared File Systems service for tests: shares,
// their export locations, access rules and the locks on those, with upstream's
// states and refusals as far as compute sees them. It keeps all in memory and
// believes every token.
package manila
