// Package hypervisortest is the law that every hypervisor driver obeys, as a
// test suite. A driver's own tests call Test with a Harness that says how to get
// a driver on an empty host and what a guest looks like there; what the suite
// does not ask for (XML, files, processes) is for the driver's own tests.
package hypervisortest
