package api

import (
	"fmt"
	"sync"
	"testing"
)

// atOnce calls f n times at once and counts the statuses that it returns.
func atOnce(n int, f func(i int) int) map[int]int {
	statuses := make([]int, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { statuses[i] = f(i) })
	}
	all.Wait()
	count := map[int]int{}
	for _, s := range statuses {
		count[s]++
	}
	return count
}

// Of subnets that overlap, made at once for different projects, a network gets one.
func TestSubnetsMadeAtOnceDoNotOverlap(t *testing.T) {
	c := newCloud(t, nil)
	n := c.network("admin", object{"name": "n"})
	count := atOnce(8, func(i int) int {
		status, _ := c.do("admin", "POST", "/v2.0/subnets", object{"subnet": object{"network_id": n["id"], "ip_version": 4,
			"cidr": fmt.Sprintf("10.0.%d.0/16", i), "project_id": fmt.Sprint("p", i)}})
		return status
	})
	if count[201] != 1 || count[400] != 7 {
		t.Errorf("%v", count)
	}
}

// Nor does a router join two subnets that overlap.
func TestInterfacesAddedAtOnceDoNotOverlap(t *testing.T) {
	c := newCloud(t, nil)
	r := c.create("alice", "routers", "router", object{"name": "r"})
	var subnets []any
	for range 6 {
		subnets = append(subnets, c.subnet("alice", c.network("alice", object{}), "10.1.0.0/16", nil)["id"])
	}
	count := atOnce(len(subnets), func(i int) int {
		status, _ := c.do("alice", "PUT", path("routers", r["id"], "add_router_interface"), object{"subnet_id": subnets[i]})
		return status
	})
	if count[200] != 1 || count[400] != 5 {
		t.Errorf("%v", count)
	}
}

// A subnet that is deleted while ports are made on it: either it goes, or a port
// has its address and holds it. No port is left without the address that it got.
func TestSubnetDeletedWhilePortsAreMade(t *testing.T) {
	c := newCloud(t, nil)
	for range 4 {
		n := c.network("alice", object{})
		s := c.subnet("alice", n, "10.2.0.0/24", nil)
		count := atOnce(6, func(i int) int {
			if i == 0 {
				status, _ := c.do("alice", "DELETE", path("subnets", s["id"]), nil)
				return status
			}
			status, _ := c.do("alice", "POST", "/v2.0/ports", object{"port": object{"network_id": n["id"],
				"fixed_ips": []object{{"subnet_id": s["id"], "ip_address": fmt.Sprintf("10.2.0.%d", 10+i)}}}})
			return status
		})
		ports := c.list("alice", "ports?network_id="+n["id"].(string), "ports")
		switch {
		case count[204] == 1 && len(ports) == 0:
		case count[409] == 1 && len(ports) == count[201] && count[201] > 0:
			for _, p := range ports {
				if len(p["fixed_ips"].([]any)) != 1 {
					t.Errorf("a port without its address: %v", p)
				}
			}
		default:
			t.Errorf("%v, %d ports", count, len(ports))
		}
	}
}
