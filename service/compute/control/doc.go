// Package control is the compute service's use cases: it authorizes, decides,
// writes, and has the rest done by durable tasks. One file a verb.
//
// A request ends with one transaction: the rows as they shall be, and a task for
// what has to happen in the world. Tasks (tasks.go names them all) ask the
// agents, over the calls of package compute, and the neighbours, over its
// interfaces. What agents say of themselves comes in by report.go.
//
// It knows neither HTTP nor SQL text nor any hypervisor.
package control
