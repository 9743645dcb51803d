package bus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"kilonova/internal/fault"
)

// Notice is a message for whoever listens outside: to a topic, with a priority
// ("info", "error").
type Notice struct {
	Topic, Priority string
	Message         json.RawMessage
}

// RabbitConfig says how notices get to a RabbitMQ, or any broker of AMQP 0-9-1. The
// forms are those of oslo.messaging, so that its listeners understand them.
type RabbitConfig struct {
	// URL is rabbit://user:password@host:port,user:password@host:port/vhost: the hosts
	// are tried in turn.
	URL      string
	Exchange string // a topic exchange, made if need be
	// Durable makes exchange and queues outlive the broker (amqp_durable_queues); what
	// is there with the other value is refused by the broker.
	Durable bool
	// Bare leaves out the envelope, as version 1 of the format had none.
	Bare bool
	// TLS speaks it; CAFile has the authorities, "" the system's.
	TLS    bool
	CAFile string
}

// Rabbit publishes notices. It connects when there is something to say, and again
// after a failure.
type Rabbit struct {
	config RabbitConfig
	hosts  []string // amqp URLs
	tls    *tls.Config

	mu      sync.Mutex
	conn    *amqp.Connection
	channel *amqp.Channel
	known   map[string]bool // queues that have been declared on this connection
}

// NewRabbit reads the configuration; it connects to nobody.
func NewRabbit(c RabbitConfig) (*Rabbit, error) {
	hosts, err := rabbitHosts(c.URL, c.TLS)
	if err != nil {
		return nil, err
	}
	r := &Rabbit{config: c, hosts: hosts}
	if c.TLS {
		r.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if c.CAFile != "" {
			text, err := os.ReadFile(c.CAFile)
			if err != nil {
				return nil, fmt.Errorf("authorities of the broker: %w", err)
			}
			if r.tls.RootCAs = x509.NewCertPool(); !r.tls.RootCAs.AppendCertsFromPEM(text) {
				return nil, fault.Invalidf("%s has no certificate.", c.CAFile)
			}
		}
	}
	return r, nil
}

// rabbitHosts reads a transport_url: one URL of this library for each host.
func rabbitHosts(text string, secure bool) ([]string, error) {
	rest, ok := strings.CutPrefix(text, "rabbit://")
	if !ok {
		if rest, ok = strings.CutPrefix(text, "amqp://"); !ok {
			return nil, fault.Invalidf("A transport_url has to begin with rabbit://.")
		}
	}
	rest, _, _ = strings.Cut(rest, "?")
	hosts, vhost, _ := strings.Cut(rest, "/")
	scheme, port := "amqp", "5672"
	if secure {
		scheme, port = "amqps", "5671"
	}
	var all []string
	for _, host := range strings.Split(hosts, ",") {
		u, err := url.Parse(scheme + "://" + host)
		if err != nil || u.Hostname() == "" {
			return nil, fault.Invalidf("The transport_url names a host that cannot be read.") // it may have a password
		}
		if u.Port() == "" {
			u.Host = net.JoinHostPort(u.Hostname(), port)
		}
		if vhost == "" {
			u.Path = "/" // which is a virtual host's name, too
			all = append(all, u.String())
			continue
		}
		all = append(all, u.String()+"/"+vhost)
	}
	return all, nil
}

// rabbitPatience bounds how long a broker may take for anything.
const rabbitPatience = 15 * time.Second

// Publish returns when the broker has confirmed all notices. After an error any of
// them may have arrived; whoever publishes them again has them arrive twice.
func (r *Rabbit) Publish(ctx context.Context, all []Notice) error {
	ctx, cancel := context.WithTimeout(ctx, rabbitPatience)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.publish(ctx, all)
	if err != nil {
		r.drop()
		return fault.Wrap(err, fault.Unavailable, "RabbitMQ does not take notifications.")
	}
	return nil
}

func (r *Rabbit) publish(ctx context.Context, all []Notice) error {
	if err := r.connect(); err != nil {
		return err
	}
	var waiting []*amqp.DeferredConfirmation
	for _, n := range all {
		body, err := r.wrap(n.Message)
		if err != nil {
			return err
		}
		key := n.Topic + "." + n.Priority
		if err := r.queue(key); err != nil {
			return err
		}
		confirmation, err := r.channel.PublishWithDeferredConfirmWithContext(ctx, r.config.Exchange, key, false, false, amqp.Publishing{
			ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent, Body: body})
		if err != nil {
			return err
		}
		waiting = append(waiting, confirmation)
	}
	for _, w := range waiting {
		ok, err := w.WaitContext(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return errors.New("the broker refused a message")
		}
	}
	return nil
}

// connect tries the hosts in turn.
func (r *Rabbit) connect() error {
	if r.conn != nil && !r.conn.IsClosed() && !r.channel.IsClosed() {
		return nil
	}
	r.drop()
	var errs []error
	for _, host := range r.hosts {
		conn, err := amqp.DialConfig(host, amqp.Config{TLSClientConfig: r.tls, Heartbeat: 60 * time.Second, Dial: amqp.DefaultDial(5 * time.Second),
			Properties: amqp.Table{"connection_name": "kilonova notifications"}})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err := r.open(conn); err != nil {
			conn.Close()
			errs = append(errs, err)
			continue
		}
		return nil
	}
	return errors.Join(errs...)
}

func (r *Rabbit) open(conn *amqp.Connection) error {
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := channel.Confirm(false); err != nil {
		return err
	}
	if err := channel.ExchangeDeclare(r.config.Exchange, amqp.ExchangeTopic, r.config.Durable, false, false, false, nil); err != nil {
		return err
	}
	r.conn, r.channel, r.known = conn, channel, map[string]bool{}
	return nil
}

// queue makes the queue in which a notice waits for its listeners, as upstream
// does: it has the name of its key, and is there before anybody listens.
func (r *Rabbit) queue(key string) error {
	if r.known[key] {
		return nil
	}
	if _, err := r.channel.QueueDeclare(key, r.config.Durable, false, false, false, nil); err != nil {
		return err
	}
	if err := r.channel.QueueBind(key, key, r.config.Exchange, false, nil); err != nil {
		return err
	}
	r.known[key] = true
	return nil
}

// wrap puts a message into the envelope of version 2, with the id by which
// listeners of oslo.messaging know what they have had.
func (r *Rabbit) wrap(message json.RawMessage) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(message, &members); err != nil {
		return nil, fmt.Errorf("a notification that is no object: %w", err)
	}
	members["_unique_id"] = json.RawMessage(`"` + strings.ReplaceAll(uuid.NewString(), "-", "") + `"`)
	body, err := json.Marshal(members)
	if err != nil || r.config.Bare {
		return body, err
	}
	return json.Marshal(map[string]string{"oslo.version": "2.0", "oslo.message": string(body)})
}

// drop forgets a connection.
func (r *Rabbit) drop() {
	if r.conn != nil {
		r.conn.Close()
	}
	r.conn, r.channel = nil, nil
}

// Close ends the connection.
func (r *Rabbit) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop()
}

// Publish sends notices over the bus itself and returns when its server has them.
// The subject is that of a hint: the topic's, to the priority.
func (b *Bus) Publish(ctx context.Context, all []Notice) error {
	for _, n := range all {
		if err := (Hint[json.RawMessage]{Name: n.Topic}).Send(b, n.Priority, n.Message); err != nil {
			return err
		}
	}
	return b.Flush(ctx)
}
