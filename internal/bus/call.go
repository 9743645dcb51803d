package bus

import (
	"context"
	"encoding/json"

	"kilonova/internal/fault"
)

// Call is a request that is answered: what a service's control asks of an agent,
// or an agent of control. Declare it once, as a variable, beside its messages:
//
//	var Build = bus.Call[BuildRequest, BuildReply]{Name: "compute.build"}
type Call[Req, Rep any] struct{ Name string }

// Do asks the one that serves the call as to: an agent's host name, or a role's
// name. It waits for the answer until ctx ends, a minute if ctx has no deadline.
func (c Call[Req, Rep]) Do(ctx context.Context, b *Bus, to string, req Req) (Rep, error) {
	var rep Rep
	err := b.request(ctx, c.Name, to, req, &rep)
	return rep, err
}

// Serve answers the call as to. Several that serve the same to share the work.
func (c Call[Req, Rep]) Serve(b *Bus, to string, h func(context.Context, Req) (Rep, error)) (Unserve, error) {
	return b.serve(c.Name, to, "servers", func(ctx context.Context, data []byte) (any, error) {
		var req Req
		if err := json.Unmarshal(data, &req); err != nil {
			return nil, fault.New(fault.Invalid, "%s: the request cannot be read: %w", c.Name, err)
		}
		return h(ctx, req)
	})
}

// Hint is a message without an answer, to everybody who listens: something has
// changed, look. It may be lost.
type Hint[M any] struct{ Name string }

// Send tells all that listen as to.
func (h Hint[M]) Send(b *Bus, to string, m M) error { return b.send(h.Name, to, m) }

// Listen calls f for each message to to.
func (h Hint[M]) Listen(b *Bus, to string, f func(context.Context, M)) (Unserve, error) {
	return b.serve(h.Name, to, "", func(ctx context.Context, data []byte) (any, error) {
		var m M
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, err
		}
		f(ctx, m)
		return nil, nil
	})
}
