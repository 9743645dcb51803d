package control

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/auth"
	"kilonova/internal/bus"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/notify"
	"kilonova/service/compute/store"
)

// NotifyOptions are [notifications] of nova.conf.
type NotifyOptions struct {
	Format        string   `toml:"notification_format"`    // "unversioned", "versioned" or "both"
	Level         string   `toml:"default_level"`          // of unversioned notifications
	OnStateChange string   `toml:"notify_on_state_change"` // "", "vm_state" or "vm_and_task_state"
	Devices       bool     `toml:"bdms_in_notifications"`
	Topics        []string `toml:"versioned_notifications_topics"`
}

// MessagingOptions are [oslo_messaging_notifications] of nova.conf: the switch.
type MessagingOptions struct {
	Driver string   `toml:"driver"` // "" or "noop" tells nobody; "messagingv2" or "messaging" the bus
	Topics []string `toml:"topics"` // of unversioned notifications
	// TransportURL is a RabbitMQ that gets them in place of the bus:
	// rabbit://user:password@host:port/vhost.
	TransportURL string `toml:"transport_url"`
}

// Broker takes notifications to those who listen. What Publish has returned without
// an error for is there to stay.
type Broker interface {
	Publish(ctx context.Context, all []bus.Notice) error
}

// notifier writes down who is to be told what. It is the store's Watcher.
type notifier struct {
	c       *Control
	formats notify.Formats
	on      string
	topics  map[string][]string // by notify's topic
	wake    chan struct{}
}

// notifierOf reads the options; nil when nobody is to be told.
func (c *Control) notifierOf() (*notifier, error) {
	o, m := c.Options.Notify, c.Options.Messaging
	switch m.Driver {
	case "", "noop":
		return nil, nil
	case "messaging", "messagingv2":
	default:
		return nil, fault.Invalidf("[oslo_messaging_notifications] driver is %q; there are noop and messagingv2.", m.Driver)
	}
	n := &notifier{c: c, on: o.OnStateChange, wake: make(chan struct{}, 1), topics: map[string][]string{notify.TopicVersioned: o.Topics, notify.TopicUnversioned: m.Topics}}
	n.formats = notify.Formats{Level: o.Level, Devices: o.Devices}
	switch o.Format {
	case "both":
		n.formats.Versioned, n.formats.Unversioned = true, true
	case "versioned":
		n.formats.Versioned = true
	case "", "unversioned":
		n.formats.Unversioned = true
	default:
		return nil, fault.Invalidf("[notifications] notification_format is %q; there are unversioned, versioned and both.", o.Format)
	}
	switch o.OnStateChange {
	case "", notify.OnState, notify.OnStateAndTask:
	default:
		return nil, fault.Invalidf("[notifications] notify_on_state_change is %q; there are vm_state and vm_and_task_state.", o.OnStateChange)
	}
	for topic, names := range n.topics {
		if len(names) == 0 {
			n.topics[topic] = []string{topic}
		}
		for _, name := range names {
			if name == "" || len(name) > 64 || strings.ContainsAny(name, " *>\t\r\n") {
				return nil, fault.Invalidf("A topic of notifications is called %q, which is no name on the bus.", name)
			}
		}
	}
	return n, nil
}

func (n *notifier) cause(ctx context.Context) notify.Cause {
	cause := notify.Cause{RequestID: rest.RequestID(ctx), Host: n.c.Host, Now: n.c.Now()}
	if caller := auth.From(ctx); caller != nil {
		cause.UserID, cause.ProjectID = caller.UserID, caller.ProjectID
	}
	return cause
}

// Acted implements store.Watcher.
func (n *notifier) Acted(ctx context.Context, tx *db.Tx, a compute.Action) error {
	s, err := n.server(ctx, tx, a.ServerID)
	if err != nil {
		return err
	}
	return n.write(ctx, tx, notify.Acted(n.cause(ctx), n.formats, s, a))
}

// Stepped implements store.Watcher. Steps are made by tasks, which have no caller:
// the action knows who asked for it.
func (n *notifier) Stepped(ctx context.Context, tx *db.Tx, a compute.Action, e compute.ActionEvent) error {
	s, err := n.server(ctx, tx, a.ServerID)
	if err != nil {
		return err
	}
	cause := n.cause(ctx)
	cause.RequestID, cause.UserID, cause.ProjectID = a.RequestID, a.UserID, a.ProjectID
	return n.write(ctx, tx, notify.Stepped(cause, n.formats, s, a, e))
}

// server reads a server with all that is told of it.
func (n *notifier) server(ctx context.Context, tx *db.Tx, id string) (*compute.Server, error) {
	s, err := n.c.Store.Server(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	s.Shares, err = n.c.Store.Shares(ctx, tx, id)
	return s, err
}

// Changed implements store.Watcher.
func (n *notifier) Changed(ctx context.Context, tx *db.Tx, before, after *compute.Server) error {
	return n.write(ctx, tx, notify.Changed(n.cause(ctx), n.formats, n.on, before, after))
}

func (n *notifier) write(ctx context.Context, tx *db.Tx, messages []notify.Message) error {
	for _, m := range messages {
		data, err := json.Marshal(m)
		if err != nil {
			return err
		}
		for _, topic := range n.topics[m.Topic] {
			if err := n.c.Store.AddNotification(ctx, tx, store.Notification{Topic: topic, Priority: strings.ToLower(m.Priority), Message: string(data)}, n.c.Now()); err != nil {
				return err
			}
		}
	}
	if len(messages) > 0 {
		tx.OnCommit(func() {
			select {
			case n.wake <- struct{}{}:
			default:
			}
		})
	}
	return nil
}

// tell writes versioned notifications of what is no server. make is called only if
// somebody is to be told.
func (c *Control) tell(ctx context.Context, tx *db.Tx, make func(notify.Cause) []notify.Message) error {
	if c.notifier == nil || !c.notifier.formats.Versioned {
		return nil
	}
	return c.notifier.write(ctx, tx, make(c.notifier.cause(ctx)))
}

// Limits of what waits for the bus.
const (
	notifyBatch  = 100
	notifyLease  = 30 * time.Second
	notifyPoll   = time.Second
	notifyAtMost = 100_000 // beyond it the oldest are given up
)

// deliver brings what waits to the bus until ctx ends. What the bus has taken is
// removed after that: a process that dies in between has it told again.
func (n *notifier) deliver(ctx context.Context) {
	owner := uuid.NewString()
	tick := time.NewTicker(notifyPoll)
	defer tick.Stop()
	for {
		sent, err := n.deliverSome(ctx, owner)
		if err != nil && ctx.Err() == nil {
			n.c.Log.Warn("compute: notifications wait", "error", err)
			if gone, err := n.c.Store.TrimNotifications(ctx, notifyAtMost); err == nil && gone > 0 {
				n.c.Log.Error("compute: notifications were given up, since too many wait for the bus", "count", gone)
			}
		}
		if err == nil && sent == notifyBatch {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		case <-tick.C:
		}
	}
}

func (n *notifier) deliverSome(ctx context.Context, owner string) (int, error) {
	now := n.c.Now()
	taken, err := n.c.Store.TakeNotifications(ctx, owner, now, now.Add(notifyLease), notifyBatch)
	if err != nil || len(taken) == 0 {
		return 0, err
	}
	notices := make([]bus.Notice, len(taken))
	for i, m := range taken {
		notices[i] = bus.Notice{Topic: m.Topic, Priority: m.Priority, Message: json.RawMessage(m.Message)}
	}
	if err := n.c.Broker.Publish(ctx, notices); err != nil {
		return 0, err
	}
	return len(taken), n.c.Store.DropNotifications(ctx, taken)
}
