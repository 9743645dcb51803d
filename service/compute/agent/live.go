package agent

import (
	"context"
	"sync"

	"kilonova/internal/bus"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// transfers are how far the guests have come that are being carried elsewhere.
type transfers struct {
	mu  sync.Mutex
	all map[string]compute.Transfer
}

func (t *transfers) set(id string, now compute.Transfer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[string]compute.Transfer{}
	}
	t.all[id] = now
}

func (t *transfers) end(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, id)
}

func (t *transfers) of(id string) (compute.Transfer, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, ok := t.all[id]
	return now, ok
}

// liveMover is the driver's side of live moves; fault.Unsupported if it has none.
func (a *Agent) liveMover() (hypervisor.LiveMigrator, error) {
	if m, ok := a.Driver.(hypervisor.LiveMigrator); ok {
		return m, nil
	}
	return nil, fault.New(fault.Unsupported, "The hypervisor of %s cannot carry guests while they run.", a.Host)
}

// liveServes are the calls of live moves.
func (a *Agent) liveServes(ctx context.Context) []func() (bus.Unserve, error) {
	return []func() (bus.Unserve, error){
		serve(a, ctx, compute.CarryGuest, a.carry),
		serve(a, ctx, compute.TakeUpGuest, a.takeUp),
		func() (bus.Unserve, error) { return compute.ExpectGuest.Serve(a.Bus, a.Host, a.expect) },
		func() (bus.Unserve, error) { return compute.HandGuest.Serve(a.Bus, a.Host, a.hand) },
		func() (bus.Unserve, error) { return compute.SteerCarry.Serve(a.Bus, a.Host, a.steer) },
	}
}

// expect readies this host for a guest: its image, its devices. They are not
// waited for: the network service wires them when the guest is here.
func (a *Agent) expect(ctx context.Context, r compute.ExpectRequest) (compute.ExpectReply, error) {
	var reply compute.ExpectReply
	defer a.locks.on(r.Server.ID)()
	m, err := a.liveMover()
	if err != nil {
		return reply, err
	}
	guest, err := a.guest(ctx, &r.Server)
	if err != nil {
		return reply, err
	}
	if p, ok := a.Driver.(hypervisor.Plugger); ok {
		for _, n := range guest.NICs {
			if err := p.Plug(ctx, n); err != nil {
				return reply, err
			}
		}
	}
	reply.Ticket, err = m.Expect(ctx, guest)
	return reply, err
}

// carry brings a guest to another host.
func (a *Agent) carry(ctx context.Context, r compute.CarryRequest) (compute.Power, error) {
	defer a.locks.on(r.ServerID)()
	m, err := a.liveMover()
	if err != nil {
		return 0, err
	}
	a.transfers.set(r.ServerID, compute.Transfer{})
	defer a.transfers.end(r.ServerID)
	hand := func(ctx context.Context, load []byte) error {
		_, err := compute.HandGuest.Do(ctx, a.Bus, r.To, compute.HandRequest{ServerID: r.ServerID, Load: load})
		return err
	}
	return compute.PowerNone, m.MigrateLive(ctx, r.ServerID, r.Ticket, hand, func(now compute.Transfer) { a.transfers.set(r.ServerID, now) })
}

func (a *Agent) hand(ctx context.Context, r compute.HandRequest) (struct{}, error) {
	defer a.locks.on(r.ServerID)()
	m, err := a.liveMover()
	if err != nil {
		return struct{}{}, err
	}
	return struct{}{}, m.Arrive(ctx, r.ServerID, r.Load)
}

// takeUp has the ports of a guest that has come wired. Without them it runs all
// the same: that is no reason to call the move a failure.
func (a *Agent) takeUp(ctx context.Context, r compute.TakeUpRequest) (compute.Power, error) {
	id := r.Server.ID
	defer a.locks.on(id)()
	if _, err := a.Driver.State(ctx, id); err != nil {
		return 0, err
	}
	nics := make([]hypervisor.NIC, len(r.Server.Networks))
	for i, n := range r.Server.Networks {
		nics[i] = nic(n)
	}
	if err := a.plug(ctx, nics, id); err != nil {
		a.Log.Warn("compute agent: a guest has come, but its ports are not wired", "server", id, "error", err)
	}
	return a.powerOf(ctx, id), nil
}

func (a *Agent) steer(ctx context.Context, r compute.SteerRequest) (compute.Transfer, error) {
	now, carried := a.transfers.of(r.ServerID)
	m, err := a.liveMover()
	switch {
	case err != nil:
		return now, err
	case !carried:
		return now, fault.NotFoundf("Guest %s is not being carried away from %s.", r.ServerID, a.Host)
	}
	switch r.Wish {
	case compute.AbortWish:
		err = m.AbortLive(ctx, r.ServerID)
	case compute.CompleteWish:
		err = m.CompleteLive(ctx, r.ServerID)
	}
	return now, err
}
