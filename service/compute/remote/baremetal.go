package remote

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// BareMetal is the Bare Metal service; its root is without a version.
type BareMetal struct{ Client *peer.Client }

var _ compute.BareMetal = (*BareMetal)(nil)

// bareMetalVersion is one that tells all states apart (1.2 and newer do).
var bareMetalVersion = http.Header{"X-Openstack-Ironic-Api-Version": {"1.38"}}

func (b *BareMetal) get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return b.Client.Do(ctx, peer.Call{Method: http.MethodGet, Path: "/v1/" + path, Header: bareMetalVersion, Out: out})
}

type bareNode struct {
	UUID       string                     `json:"uuid"`
	Instance   *string                    `json:"instance_uuid"`
	State      *string                    `json:"provision_state"`
	Properties map[string]json.RawMessage `json:"properties"`
}

// property reads what users have written as a number or as text.
func (x bareNode) property(name string) string {
	text := strings.Trim(string(x.Properties[name]), `"`)
	if text == "" || text == "null" {
		return "0"
	}
	return text
}

func (x bareNode) node() compute.BareNode {
	return compute.BareNode{ID: x.UUID, ServerID: textOf(x.Instance), State: textOf(x.State), CPUs: x.property("cpus"), MemoryMB: x.property("memory_mb"),
		DiskGB: x.property("local_gb")}
}

// maxBareNodes bounds a list, whatever the service goes on to give.
const maxBareNodes = 100_000

// Nodes implements compute.BareMetal.
func (b *BareMetal) Nodes(ctx context.Context) ([]compute.BareNode, error) {
	var all []compute.BareNode
	for query := (url.Values{}); len(all) < maxBareNodes; {
		var page struct {
			Nodes []bareNode `json:"nodes"`
			Next  string     `json:"next"`
		}
		if err := b.get(ctx, "nodes/detail", query, &page); err != nil {
			return nil, err
		}
		for _, x := range page.Nodes {
			all = append(all, x.node())
		}
		if page.Next == "" || len(page.Nodes) == 0 {
			break
		}
		query.Set("marker", page.Nodes[len(page.Nodes)-1].UUID)
	}
	return all, nil
}

// Node implements compute.BareMetal.
func (b *BareMetal) Node(ctx context.Context, id string) (compute.BareNode, error) {
	var x bareNode
	err := b.get(ctx, "nodes/"+url.PathEscape(id), nil, &x)
	if fault.Is(err, fault.NotFound) {
		return compute.BareNode{}, fault.NotFoundf("Node %.255s could not be found.", id)
	}
	if err != nil {
		return compute.BareNode{}, err
	}
	var ports struct {
		Ports []struct {
			Address string `json:"address"`
		} `json:"ports"`
	}
	if err := b.get(ctx, "ports", url.Values{"node": {x.UUID}}, &ports); err != nil {
		return compute.BareNode{}, err
	}
	node := x.node()
	for _, p := range ports.Ports {
		node.MACs = append(node.MACs, p.Address)
	}
	return node, nil
}
