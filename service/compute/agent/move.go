package agent

import (
	"context"
	"errors"
	"io"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// mover is the driver's side of cold moves; fault.Unsupported if it has none.
func (a *Agent) mover() (hypervisor.ColdMigrator, error) {
	if m, ok := a.Driver.(hypervisor.ColdMigrator); ok {
		return m, nil
	}
	return nil, fault.New(fault.Unsupported, "The hypervisor of %s cannot carry guests to another place.", a.Host)
}

// park shuts a guest down and puts it aside. If it leaves the host, its devices
// go with it.
func (a *Agent) park(ctx context.Context, r compute.ParkRequest) (compute.Power, error) {
	defer a.locks.on(r.Server.ID)()
	m, err := a.mover()
	if err != nil {
		return 0, err
	}
	if err := a.stop(ctx, compute.PowerRequest{Server: r.Server, Grace: r.Grace}); err != nil {
		return 0, err
	}
	if err := m.Park(ctx, r.Server.ID); err != nil {
		return 0, err
	}
	if !r.Leaving {
		return compute.PowerShutdown, nil
	}
	return compute.PowerShutdown, a.unplug(ctx, r.Server.Networks)
}

func (a *Agent) unplug(ctx context.Context, ports []compute.Interface) error {
	p, ok := a.Driver.(hypervisor.Plugger)
	if !ok {
		return nil
	}
	var errs []error
	for _, n := range ports {
		errs = append(errs, p.Unplug(ctx, nic(n)))
	}
	return errors.Join(errs...)
}

// arrive makes a guest from what is parked elsewhere, or here.
func (a *Agent) arrive(ctx context.Context, r compute.ArriveRequest) (compute.Power, error) {
	s := &r.Server
	defer a.locks.on(s.ID)()
	m, err := a.mover()
	if err != nil {
		return 0, err
	}
	guest, err := a.guest(ctx, s)
	if err != nil {
		return 0, err
	}
	guest.PowerOn = r.On
	if err := a.plug(ctx, guest.NICs, s.ID); err != nil {
		return 0, err
	}
	parcel, err := compute.Parcel.Do(ctx, a.Bus, r.From, compute.ParcelRequest{ServerID: s.ID})
	if err != nil {
		return 0, err
	}
	open := func(ctx context.Context, name string) (io.ReadCloser, error) {
		if r.From == a.Host {
			f, err := m.OpenParcel(ctx, s.ID, name)
			return &localFile{f, 0}, err
		}
		return &remoteFile{ctx: ctx, agent: a, from: r.From, id: s.ID, name: name}, nil
	}
	if err := m.Receive(ctx, guest, parcel.Files, open); err != nil {
		return 0, err
	}
	if err := a.Driver.Create(ctx, guest); err != nil {
		return 0, err
	}
	return a.powerOf(ctx, s.ID), nil
}

// unpark takes a parked guest back.
func (a *Agent) unpark(ctx context.Context, r compute.UnparkRequest) (compute.Power, error) {
	s := &r.Server
	defer a.locks.on(s.ID)()
	m, err := a.mover()
	if err != nil {
		return 0, err
	}
	if err := m.Unpark(ctx, s.ID); err != nil {
		return 0, err
	}
	guest, err := a.guest(ctx, s)
	if err != nil {
		return 0, err
	}
	guest.PowerOn = r.On
	if err := a.plug(ctx, guest.NICs, s.ID); err != nil {
		return 0, err
	}
	if err := a.Driver.Create(ctx, guest); err != nil {
		return 0, err
	}
	return a.powerOf(ctx, s.ID), nil
}

// unparkLost takes a guest back whose move was cut off by its host's failure: it
// is parked, and nothing else is here.
func (a *Agent) unparkLost(ctx context.Context, id string) error {
	m, ok := a.Driver.(hypervisor.ColdMigrator)
	if !ok {
		return nil
	}
	if err := m.Unpark(ctx, id); err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Conflict) {
		return err
	}
	return nil
}

// dropParked removes a parked guest.
func (a *Agent) dropParked(ctx context.Context, r compute.DropRequest) (compute.Power, error) {
	defer a.locks.on(r.ServerID)()
	m, err := a.mover()
	if err != nil {
		return 0, err
	}
	return compute.PowerNone, m.Drop(ctx, r.ServerID)
}

// rebuild makes a guest anew: what it was is removed first. The devices of its
// ports stay.
func (a *Agent) rebuild(ctx context.Context, r compute.RebuildRequest) (compute.Power, error) {
	s := &r.Server
	defer a.locks.on(s.ID)()
	guest, err := a.guest(ctx, s)
	if err != nil {
		return 0, err
	}
	guest.PowerOn = r.On
	if err := a.Driver.Destroy(ctx, s.ID); err != nil {
		return 0, err
	}
	if err := a.plug(ctx, guest.NICs, s.ID); err != nil {
		return 0, err
	}
	if err := a.Driver.Create(ctx, guest); err != nil {
		return 0, err
	}
	return a.powerOf(ctx, s.ID), nil
}

// parcel and readParcel serve what is parked here to the host where it goes.
func (a *Agent) parcel(ctx context.Context, r compute.ParcelRequest) (compute.ParcelReply, error) {
	var reply compute.ParcelReply
	m, err := a.mover()
	if err != nil {
		return reply, err
	}
	reply.Files, err = m.Parcel(ctx, r.ServerID)
	return reply, err
}

func (a *Agent) readParcel(ctx context.Context, r compute.ReadParcelRequest) (compute.ReadParcelReply, error) {
	var reply compute.ReadParcelReply
	m, err := a.mover()
	if err != nil {
		return reply, err
	}
	f, err := m.OpenParcel(ctx, r.ServerID, r.Name)
	if err != nil {
		return reply, err
	}
	defer f.Close()
	piece := make([]byte, compute.MaxPiece)
	n, err := f.ReadAt(piece, r.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return reply, err
	}
	if n > 0 && zero(piece[:n]) {
		reply.Zeros = n
		return reply, nil
	}
	reply.Data = piece[:n]
	return reply, nil
}

func zero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}

// localFile reads a file of a parcel on this host.
type localFile struct {
	hypervisor.ParcelReader
	offset int64
}

// Read implements io.Reader.
func (f *localFile) Read(into []byte) (int, error) {
	n, err := f.ReadAt(into, f.offset)
	f.offset += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// remoteFile reads a file of a parcel on another host, piece by piece.
type remoteFile struct {
	ctx            context.Context
	agent          *Agent
	from, id, name string
	offset         int64
	piece          []byte
	ended          bool
}

// Read implements io.Reader.
func (f *remoteFile) Read(into []byte) (int, error) {
	if len(f.piece) == 0 && !f.ended {
		reply, err := compute.ReadParcel.Do(f.ctx, f.agent.Bus, f.from, compute.ReadParcelRequest{ServerID: f.id, Name: f.name, Offset: f.offset})
		if err != nil {
			return 0, err
		}
		if reply.Zeros < 0 || reply.Zeros > compute.MaxPiece {
			return 0, fault.Invalidf("Host %s sent %d zeros of a piece of at most %d bytes.", f.from, reply.Zeros, compute.MaxPiece)
		}
		if f.piece = reply.Data; reply.Zeros > 0 {
			f.piece = make([]byte, reply.Zeros)
		}
		f.offset += int64(len(f.piece))
		f.ended = len(f.piece) == 0
	}
	if f.ended {
		return 0, io.EOF
	}
	n := copy(into, f.piece)
	f.piece = f.piece[n:]
	return n, nil
}

// Close implements io.Closer.
func (f *remoteFile) Close() error { return nil }
