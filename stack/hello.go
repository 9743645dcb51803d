package stack

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
)

// Hello boots a server called name as demo on the private network, gives it a
// floating IP and returns that when the server is ACTIVE. What is there already
// is used.
func (s *Seeder) Hello(ctx context.Context, name, flavor string) (netip.Addr, error) {
	none := netip.Addr{}
	private, err := find(ctx, s.demoNet, "/v2.0/networks?name=private", "networks")
	if err != nil {
		return none, err
	}
	image, err := find(ctx, s.image, "/v2/images?name="+s.ImageName+"&status=active", "images")
	if err != nil {
		return none, err
	}
	s.Progress("  booting server %s", name)
	server := object{"name": name, "flavorRef": flavor, "imageRef": image, "networks": []object{{"uuid": private}}}
	if s.KeyFile != "" {
		server["key_name"] = "demo"
	}
	id, err := ensure(ctx, s.demo, "/v2.1/servers?name=%5E"+name+"%24", "servers", "/v2.1/servers", "server", server)
	if err != nil {
		return none, err
	}
	if err := s.active(ctx, id); err != nil {
		return none, err
	}
	return s.floating(ctx, id)
}

// active waits until a server is ACTIVE, starting it if it is off.
func (s *Seeder) active(ctx context.Context, id string) error {
	last := ""
	for {
		var out struct {
			Server struct {
				Status string
				Fault  struct{ Message string }
			}
		}
		if err := s.demo.Do(ctx, peer.Call{Method: "GET", Path: "/v2.1/servers/" + id, Out: &out}); err != nil {
			return err
		}
		if out.Server.Status != last {
			last = out.Server.Status
			s.Progress("  server is %s", last)
		}
		switch last {
		case "ACTIVE":
			return nil
		case "ERROR":
			return fault.New(fault.Unavailable, "The server is in error: %s", out.Server.Fault.Message)
		case "SHUTOFF":
			err := s.demo.Do(ctx, peer.Call{Method: "POST", Path: "/v2.1/servers/" + id + "/action", In: object{"os-start": nil}})
			if err != nil && !fault.Is(err, fault.Conflict) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("server %s is still %s: %w", id, last, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// floating returns the floating IP of a server's first port.
func (s *Seeder) floating(ctx context.Context, serverID string) (netip.Addr, error) {
	port, err := find(ctx, s.demoNet, "/v2.0/ports?device_id="+serverID, "ports")
	if err != nil {
		return netip.Addr{}, err
	}
	public, err := find(ctx, s.demoNet, "/v2.0/networks?name=public", "networks")
	if err != nil {
		return netip.Addr{}, err
	}
	id, err := ensure(ctx, s.demoNet, "/v2.0/floatingips?port_id="+port, "floatingips", "/v2.0/floatingips", "floatingip",
		object{"floating_network_id": public, "port_id": port})
	if err != nil {
		return netip.Addr{}, err
	}
	var out struct {
		FloatingIP struct {
			Address netip.Addr `json:"floating_ip_address"`
		}
	}
	err = s.demoNet.Do(ctx, peer.Call{Method: "GET", Path: "/v2.0/floatingips/" + id, Out: &out})
	return out.FloatingIP.Address, err
}
