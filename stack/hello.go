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
	if err := s.removeFailed(ctx, name); err != nil {
		return none, err
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

// removeFailed deletes servers called name that are in error: what kept an earlier
// try from success may be mended.
func (s *Seeder) removeFailed(ctx context.Context, name string) error {
	var out struct{ Servers []struct{ ID string } }
	if err := s.demo.Do(ctx, peer.Call{Method: "GET", Path: "/v2.1/servers?status=ERROR&name=%5E" + name + "%24", Out: &out}); err != nil {
		return err
	}
	for _, server := range out.Servers {
		s.Progress("  removing server %s, which is in error", server.ID)
		if err := s.demo.Do(ctx, peer.Call{Method: "DELETE", Path: "/v2.1/servers/" + server.ID}); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		for {
			err := s.demo.Do(ctx, peer.Call{Method: "GET", Path: "/v2.1/servers/" + server.ID})
			if fault.Is(err, fault.NotFound) {
				break
			}
			if err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("server %s is not gone yet: %w", server.ID, ctx.Err())
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	return nil
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
