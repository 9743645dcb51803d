package control

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// announceMove tells the network service where a server's ports will be, which
// has them bound there as well, not yet to be used.
func (c *Control) announceMove(ctx context.Context, s *compute.Server, host string) error {
	return eachPort(s, func(portID string) error {
		if err := c.Networks.Announce(ctx, portID, host); err != nil {
			return err
		}
		return c.Networks.BindAside(ctx, portID, host)
	})
}

// switchPorts has a server's ports used where its guest has come to, and takes
// them from where it was.
func (c *Control) switchPorts(ctx context.Context, s *compute.Server, from, to string) error {
	err := eachPort(s, func(portID string) error { return c.Networks.UseOn(ctx, portID, to) })
	if err != nil {
		return err
	}
	if err := c.bindPorts(ctx, s, to, s.ID); err != nil { // also where there is no binding aside, and for the zone
		return err
	}
	return c.unannounceMove(ctx, s, from)
}

// unannounceMove takes a server's ports from a host where they are not in use, or
// not any more; "" is none.
func (c *Control) unannounceMove(ctx context.Context, s *compute.Server, from string) error {
	if from == "" {
		return nil
	}
	return eachPort(s, func(portID string) error {
		if err := c.Networks.Announce(ctx, portID, ""); err != nil {
			return err
		}
		return c.Networks.UnbindFrom(ctx, portID, from)
	})
}

// eachPort does something with each port of a server that is still there.
func eachPort(s *compute.Server, do func(portID string) error) error {
	for _, p := range s.Networks {
		if err := do(p.PortID); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}
