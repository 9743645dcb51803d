// Package dataplanetest is the law that every dataplane driver obeys, as a suite
// of tests: what the comments of dataplane.Driver promise about repetition,
// change, order, restart and cleaning. Whether packets flow is for each driver's
// own tests.
package dataplanetest
