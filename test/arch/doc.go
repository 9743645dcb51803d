// Package arch holds the architecture of the program as tests: who may import
// whom, and a few names and functions that are not wanted anywhere. Each rule
// has its reason; it is what a failing test prints.
//
// The rules are those of docs/architecture.md. The linter (.golangci.yml) has
// most of them too, by file and for direct imports only; here they hold through
// any number of imports, and without a tool beside Go.
package arch
