package remote

import (
	"context"
	"net/url"

	"kilonova/internal/fault"
)

// Segments implements compute.Networks.
func (n *Networks) Segments(ctx context.Context, networkID, portID string) ([]string, error) {
	if portID != "" {
		var out struct{ Port port }
		if err := n.get(ctx, false, "ports/"+url.PathEscape(portID), nil, &out); err != nil {
			return nil, err
		}
		if len(out.Port.FixedIPs) > 0 {
			return n.segmentOf(ctx, out.Port.FixedIPs[0].SubnetID)
		}
	}
	var out struct{ Segments []struct{ ID string } }
	err := n.get(ctx, false, "segments", url.Values{"network_id": {networkID}}, &out)
	if fault.Is(err, fault.NotFound) { // no such extension
		return nil, nil
	}
	var ids []string
	for _, s := range out.Segments {
		ids = append(ids, s.ID)
	}
	return ids, err
}

func (n *Networks) segmentOf(ctx context.Context, subnetID string) ([]string, error) {
	var out struct {
		Subnet struct {
			SegmentID *string `json:"segment_id"`
		}
	}
	err := n.get(ctx, false, "subnets/"+url.PathEscape(subnetID), nil, &out)
	if err != nil || out.Subnet.SegmentID == nil {
		return nil, err
	}
	return []string{*out.Subnet.SegmentID}, nil
}
