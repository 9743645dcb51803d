// Package schedule decides on which host a server is built: candidates in,
// ordered hosts and an explanation out. It is pure: it reads no clock, no
// database and no configuration file, and its randomness is handed in.
//
//	s, err := schedule.New(schedule.Defaults(), rand.IntN)
//	result, err := s.Select(hosts, &schedule.Request{...})
//
// Filters refuse hosts one after the other, weighers order those that are left.
// Both have upstream's names (nova/scheduler/filters, nova/scheduler/weights) and
// stand in one table each: filters.go and weighers.go. A filter is made anew for
// each request, so that whatever depends on the request alone is worked out once;
// per host it costs a few comparisons and no allocation.
//
// The room ends at the choice. Who asks Placement for candidates, claims the
// chosen host and goes on to the next one when the claim is lost is control.
package schedule
