// Package notify words what other programs are told of compute: the versioned
// notifications of upstream (nova/notifications/objects) and the unversioned
// compute.instance.* that came before them. Names, members and object versions are
// upstream's; consumers like Ceilometer, Masakari and Watcher parse them.
//
// It is pure: servers, flavors and the like in, messages out. Which step of which
// verb is told, and under which name, stands in the one table of events.go. That a
// message is written in the transaction of what it tells of, and delivered at least
// once, is control's.
package notify
