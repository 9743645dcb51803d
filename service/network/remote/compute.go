package remote

import (
	"context"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/network"
)

// Compute is the compute service as a network.Compute.
type Compute struct{ client *peer.Client }

// NewCompute returns the compute service of the dial table. own is this service's
// user there, who must be allowed to send external events.
func NewCompute(t peer.Table, own peer.Tokens) (*Compute, error) {
	client, err := t.Client("compute", own)
	return &Compute{client}, err
}

// eventsVersion is the oldest version of the compute API that knows all the
// events that are sent here.
const eventsVersion = "compute 2.51"

// Notify implements network.Compute.
func (c *Compute) Notify(ctx context.Context, e network.Event) error {
	body := map[string]any{"events": []network.Event{e}}
	err := c.client.Do(ctx, peer.Call{Method: http.MethodPost, Path: "/v2.1/os-server-external-events", In: body, Version: eventsVersion})
	if fault.Is(err, fault.NotFound) { // none of the servers is known (any more)
		return nil
	}
	return err
}
