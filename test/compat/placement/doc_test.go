// Package placement_test holds the placement service against upstream's own
// functional tests: the gabbits, YAML files with 1,316 requests and what must
// come back. They are read from KILONOVA_CONTRACTS; the runner for them, the
// fixtures that they name and the little of JSONPath that they use are made
// here again.
//
// passed.txt lists the requests that have passed once, as file and name. One of
// them that fails fails the test; KILONOVA_RATCHET=write adds the new ones.
package placement_test
