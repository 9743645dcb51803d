package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/bus"
	"kilonova/internal/db"
	"kilonova/internal/peer"
	"kilonova/internal/rest"
	computecontrol "kilonova/service/compute/control"
	identitycontrol "kilonova/service/identity/control"
)

// Stack is a running process: some roles, or all.
type Stack struct {
	Config Config
	Log    *slog.Logger
	Now    func() time.Time

	ctx    context.Context // ends when the stack shall end
	cancel context.CancelCauseFunc
	work   sync.WaitGroup

	roles    []Role
	bus      *bus.Bus
	server   *bus.Server
	peers    peer.Table
	handlers map[string]http.Handler // by service type: those that live here
	s3       http.Handler            // the object service's other API; nil where it is elsewhere
	services []*rest.Service
	policies map[string]*auth.Overrides // by service type
	front    *front
	metrics  *metrics
	closers  []func()
	checks   map[string]func(context.Context) error // what /healthz asks
	place    string                                 // names the data folder, whose roles here are nobody else's

	believed believed                 // tokens of callers
	identity *identitycontrol.Control // nil where identity is elsewhere
	compute  *computecontrol.Control  // made by the first role that needs it
}

// Start starts what the configuration says and returns when it is ready. The
// stack runs until Close, or until a part of it fails; Wait tells.
func Start(ctx context.Context, c Config, log *slog.Logger, now func() time.Time) (*Stack, error) {
	if err := c.settle(); err != nil {
		return nil, err
	}
	s := &Stack{Config: c, Log: log, Now: now, handlers: map[string]http.Handler{}, peers: peer.Table{}, metrics: newMetrics(),
		checks: map[string]func(context.Context) error{}}
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if err := s.start(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Stack) start() (err error) {
	if s.roles, err = parseRoles(s.Config.Roles); err != nil {
		return err
	}
	if err := s.takePlace(); err != nil {
		return err
	}
	if s.front, err = listen(&s.Config); err != nil {
		return err
	}
	if err := s.connectBus(); err != nil {
		return err
	}
	s.dial()
	if err := s.readPolicies(); err != nil {
		return err
	}
	for _, r := range starters {
		if s.has(r.role) {
			if err := r.start(s); err != nil {
				return fmt.Errorf("%s: %w", r.role, err)
			}
		}
	}
	return s.front.serve(s)
}

func (s *Stack) has(role Role) bool { return slices.Contains(s.roles, role) }

// run has f work in the background until the stack ends. When f fails before
// that, the whole stack ends: half a cloud is worse than one that is restarted.
func (s *Stack) run(name string, f func(context.Context) error) {
	s.work.Go(func() {
		if err := f(s.ctx); err != nil && s.ctx.Err() == nil {
			s.cancel(fmt.Errorf("%s: %w", name, err))
		}
	})
}

// Wait returns when the stack ends: nil after Close, else what failed.
func (s *Stack) Wait() error {
	<-s.ctx.Done()
	if err := context.Cause(s.ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Close ends the stack: no more requests, then no more work, then the rest.
// Guests and networks stay as they are.
func (s *Stack) Close() {
	if s.front != nil {
		s.front.close()
	}
	s.cancel(nil)
	s.work.Wait()
	if s.bus != nil {
		s.bus.Close()
	}
	if s.server != nil {
		s.server.Close()
	}
	for _, f := range slices.Backward(s.closers) {
		f()
	}
	s.closers = nil
}

// Services are the tables of the APIs that live in this stack.
func (s *Stack) Services() []*rest.Service { return s.services }

// URL is where the APIs of this stack are reached, without a prefix.
func (s *Stack) URL() string { return s.front.public }

// BusURL is where other processes reach this stack's bus; "" nowhere.
func (s *Stack) BusURL() string {
	if s.server == nil || s.Config.Bus.Listen == "" {
		return ""
	}
	return s.server.URL()
}

// connectBus connects to the bus that the configuration names, or to one of our
// own.
func (s *Stack) connectBus() (err error) {
	c := s.Config
	if c.Bus.URL != "" {
		s.bus, err = bus.Dial(s.Log, c.Bus.URL, c.Secrets.BusToken)
		return err
	}
	if s.server, err = bus.StartServer(c.Bus.Listen, c.Secrets.BusToken); err != nil {
		return err
	}
	s.bus, err = s.server.Connect(s.Log, c.Secrets.BusToken)
	return err
}

// services that others reach, with the prefixes of their APIs.
var prefixes = map[string]string{"identity": "/identity", "image": "/image", "placement": "/placement", "network": "/network", "compute": "/compute",
	"metadata": "/metadata", "console": "/console", "object-store": "/object-store"}

// The services that nobody of ours provides, by their names in the table of peers.
// The URLs of the first two end with the version, /v3 and /v2.
const (
	volumeType    = "volume"
	shareType     = "shared-file-system"
	bareMetalType = "baremetal"
)

// foreign says under which types and names such a service stands in the catalog.
var foreign = map[string][][2]string{volumeType: {{"block-storage", "cinder"}, {"volumev3", "cinderv3"}}, shareType: {{shareType, "manila"}, {"sharev2", "manilav2"}},
	bareMetalType: {{bareMetalType, "ironic"}}}

// dial fills the table of peers: a pipe for what will live here, TCP for the rest.
func (s *Stack) dial() {
	network := peer.Network(nil)
	for service, prefix := range prefixes {
		target := peer.Target{URL: s.front.public + prefix, Transport: network}
		switch elsewhere := s.Config.Peers[service]; {
		case s.has(Role(service)):
			target.Transport = peer.Pipe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.route(w, r) }))
		case elsewhere == byCatalog, elsewhere == "" && s.catalogued(service):
			target.URL, target.Listed = "", peer.Listing{Types: []string{service}, Region: s.Config.Region}
		case elsewhere != "":
			target.URL = strings.TrimSuffix(elsewhere, "/")
		}
		s.peers[service] = target
	}
	for service, catalog := range foreign {
		switch elsewhere := s.Config.Peers[service]; elsewhere {
		case "":
		case byCatalog:
			listed := peer.Listing{Region: s.Config.Region, Versioned: service != bareMetalType}
			for _, as := range catalog {
				listed.Types = append(listed.Types, as[0])
			}
			s.peers[service] = peer.Target{Listed: listed, Transport: network}
		default:
			s.peers[service] = peer.Target{URL: strings.TrimSuffix(elsewhere, "/"), Transport: network}
		}
	}
}

// byCatalog stands in place of a peer's URL for the one in the catalog.
const byCatalog = "catalog"

// catalogued reports whether a service that the configuration does not name is one
// to look for in the catalog: the identity service is somebody else's, and what is
// looked for has a place in it.
func (s *Stack) catalogued(service string) bool {
	return s.Config.Peers["identity"] != "" && !s.has(Identity) && service != "identity" && service != "metadata" && service != "console"
}

// mount puts a service's API into place.
func (s *Stack) mount(service string, svc *rest.Service) {
	svc.Overrides = s.policies[service]
	s.services = append(s.services, svc)
	s.handlers[service] = svc.Handler()
}

// own returns the tokens of one of the services' users.
func (s *Stack) own(login AuthToken) (peer.Tokens, error) {
	return peer.NewPasswordTokens(s.peers, login, s.Now)
}

// authURL is where clients whose tokens are refused are sent.
func (s *Stack) authURL() string { return s.peers["identity"].URL }

// database opens a service's database and closes it with the stack.
func (s *Stack) database(service string) (*db.DB, error) {
	d, err := db.Open(s.ctx, s.Config.databaseURL(service))
	if err == nil {
		s.closers = append(s.closers, func() { d.Close() })
		s.checks[service] = d.Ping
	}
	return d, err
}

// user returns the tokens of a service's own user and the validator that asks
// with them.
func (s *Stack) user(login AuthToken) (peer.Tokens, auth.Validator, error) {
	own, err := s.own(login)
	if err != nil {
		return nil, nil, err
	}
	v, err := s.validator(own)
	return own, v, err
}
