// Command bench measures a cloud from outside and prints one JSON document: how
// soon it is ready, what memory it takes, how long its calls take and what they
// cost in CPU time.
//
//	make bench                       # test/bench/run.sh: builds and measures ours
//	test/bench/run.sh --quick        # a tenth of the samples
//	test/bench/run.sh --fleet 1000,10000,100000 --fleet-only
//	KILONOVA_BENCH_PEER="$(cat openrc)" test/bench/run.sh --peer
//	KILONOVA_BENCH_PEER="$(cat openrc)" test/bench/run.sh --peer --candidates-only --providers 10000
//
// It starts `kilonova dev` as a child process with a folder and a port of its own,
// and speaks with it as any client does: plain HTTP on the loopback, endpoints
// from the catalog. With --peer it measures another OpenStack cloud in the same
// run by the same code, and says how many times faster ours was. The other cloud
// is described by the OS_* assignments in KILONOVA_BENCH_PEER; its account has to
// be an administrator's, with a flavor m1.nano and an image cirros. Where that
// cloud runs on this host, KILONOVA_BENCH_PEER_PIDS names a folder with the pid
// files of its processes, and memory and CPU time of those are measured as well.
//
// Before that it measures how soon and how often it is decided where servers go,
// in clouds of this process with as many pretended hosts as -fleet says; see
// fleet.go and scheduling.go. How the cost of a decision grows with the hosts is in
// the figures of several sizes; filling 100,000 hosts takes some minutes. It also
// measures what reading costs with few and with many servers in the database, in two
// clouds beside each other, see scale.go, and with -image the way of an image
// beside cat.
//
// Progress goes to stderr. Every loop has a bound in count and in time. What a run
// makes in a cloud it removes again. Nothing here fails because something is slow:
// the document names the goals and the machine was what it was.
package main
