// Package hypervisor is the contract between the compute agent and what runs
// guests: the Driver interface, the description of a guest that it takes, and
// the small optional interfaces for what a hypervisor may lack.
//
// It knows no hypervisor; the drivers are the folders below, and hypervisortest
// is the law that each of them obeys. It owns no state: what is desired comes
// from the agent in every call, what is real is the driver's to observe.
package hypervisor
