// Package ironic is a stand-in of the Bare Metal service for tests: nodes and their
// ports, to be read as compute reads them. It keeps all in memory and believes every
// token.
package ironic
