package api

import (
	"context"
	"strconv"

	"kilonova/internal/rest"
)

type topologyView struct {
	Nodes  []map[string]any `json:"nodes"`
	PageKB *int             `json:"pagesize_kb"`
}

// topology shows the NUMA nodes of a server that has some; on which of the host's
// they are is for operators.
func (a *api) topology(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	hold, operator, err := a.control.Topology(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	v := topologyView{Nodes: []map[string]any{}}
	for _, c := range hold.Cells {
		node := map[string]any{"vcpu_set": append([]int{}, c.CPUs...), "siblings": [][]int{}, "memory_mb": c.MemoryMB}
		if operator {
			pins := map[string]int{}
			for cpu, host := range c.Pins {
				pins[strconv.Itoa(cpu)] = host
			}
			node["host_node"], node["cpu_pinning"] = c.HostCell, pins
		}
		if c.PageKB != 0 {
			v.PageKB = &c.PageKB
		}
		v.Nodes = append(v.Nodes, node)
	}
	return rest.OK(&v), nil
}
