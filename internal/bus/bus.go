package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"kilonova/internal/fault"
)

// MaxMessage bounds one message, in bytes.
const MaxMessage = 8 << 20

// Bus is a connection to the message bus. It is safe for concurrent use.
type Bus struct {
	nc     *nats.Conn
	log    *slog.Logger
	ctx    context.Context // ends with Close: handlers run in it
	cancel context.CancelFunc

	mu     sync.Mutex // of closed, and of beginning work
	closed bool
	work   sync.WaitGroup // handlers under way
}

// Handler answers one message. Its context ends at the asker's deadline.
type handler func(ctx context.Context, data []byte) (any, error)

// Unserve stops a handler.
type Unserve func()

// reply is what goes back for a request.
type reply struct {
	Fault *faultReply     `json:"fault,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

type faultReply struct {
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"`
	Code    string     `json:"code,omitempty"`
}

const deadlineHeader = "Kilonova-Deadline" // Unix microseconds

func subject(name, to string) string { return "kilonova." + name + "." + to }

// request sends data and waits for the answer until ctx ends.
func (b *Bus) request(ctx context.Context, name, to string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	msg := &nats.Msg{Subject: subject(name, to), Data: data, Header: nats.Header{}}
	if deadline, ok := ctx.Deadline(); ok {
		msg.Header.Set(deadlineHeader, strconv.FormatInt(deadline.UnixMicro(), 10))
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Minute)
		defer cancel()
	}
	answer, err := b.nc.RequestMsgWithContext(ctx, msg)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fault.Wrap(err, fault.Unavailable, "No service answers to %s on %s.", name, to)
	case err != nil:
		return fault.Wrap(err, fault.Unavailable, "%s on %s did not answer in time.", name, to)
	}
	var r reply
	if err := json.Unmarshal(answer.Data, &r); err != nil {
		return fmt.Errorf("bus: answer of %s on %s: %w", name, to, err)
	}
	if r.Fault != nil {
		return &fault.Error{Kind: r.Fault.Kind, Message: r.Fault.Message, Code: r.Fault.Code}
	}
	if out == nil || len(r.Value) == 0 {
		return nil
	}
	return json.Unmarshal(r.Value, out)
}

func (b *Bus) send(name, to string, in any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return b.nc.Publish(subject(name, to), data)
}

// Flush returns when the message server has all that was sent before.
func (b *Bus) Flush(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
	}
	return b.nc.FlushWithContext(ctx)
}

// serve has h answer messages, each in a goroutine of its own. Servers with the
// same queue share the messages; with queue "" each gets all.
func (b *Bus) serve(name, to, queue string, h handler) (Unserve, error) {
	handle := func(msg *nats.Msg) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.closed {
			b.work.Go(func() { b.handle(msg, h) })
		}
	}
	var sub *nats.Subscription
	var err error
	if queue == "" {
		sub, err = b.nc.Subscribe(subject(name, to), handle)
	} else {
		sub, err = b.nc.QueueSubscribe(subject(name, to), queue, handle)
	}
	if err != nil {
		return nil, fmt.Errorf("bus: serve %s: %w", name, err)
	}
	if err := b.nc.Flush(); err != nil { // the server knows before anybody asks
		return nil, fmt.Errorf("bus: serve %s: %w", name, err)
	}
	return func() {
		// From now on askers are told that nobody is here; a connection that is
		// gone says so by itself.
		if sub.Unsubscribe() == nil {
			_ = b.nc.FlushTimeout(time.Second)
		}
	}, nil
}

func (b *Bus) handle(msg *nats.Msg, h handler) {
	ctx := b.ctx
	if us, err := strconv.ParseInt(msg.Header.Get(deadlineHeader), 10, 64); err == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, time.UnixMicro(us))
		defer cancel()
	}
	value, err := protect(ctx, h, msg.Data)
	if msg.Reply == "" {
		if err != nil {
			b.log.Warn("bus: hint not handled", "subject", msg.Subject, "error", err)
		}
		return
	}
	var r reply
	if err != nil {
		r.Fault = &faultReply{Kind: fault.KindOf(err), Message: err.Error()}
		if f, ok := errors.AsType[*fault.Error](err); ok {
			r.Fault.Message, r.Fault.Code = f.Message, f.Code
		}
		if r.Fault.Kind == fault.Internal {
			b.log.Error("bus: request failed", "subject", msg.Subject, "error", err)
		}
	} else if r.Value, err = json.Marshal(value); err != nil {
		r.Fault = &faultReply{Message: err.Error()}
	}
	data, err := json.Marshal(r)
	if err == nil {
		err = msg.Respond(data)
	}
	if err != nil {
		b.log.Warn("bus: answer not sent", "subject", msg.Subject, "error", err)
	}
}

func protect(ctx context.Context, h handler, data []byte) (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return h(ctx, data)
}

// Close ends the connection; handlers under way see their context end and are
// waited for.
func (b *Bus) Close() {
	b.cancel()
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.work.Wait()
	b.nc.Close()
}
