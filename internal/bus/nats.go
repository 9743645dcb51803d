package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Server is the embedded message server of one process.
type Server struct{ ns *server.Server }

// StartServer starts the embedded server. listen is "" for a server that only
// this process reaches, or a host:port for agents of other processes, which then
// need token.
func StartServer(listen, token string) (*Server, error) {
	opts := &server.Options{ServerName: "kilonova", DontListen: listen == "", NoLog: true, NoSigs: true,
		MaxPayload: MaxMessage, NoSystemAccount: true, Authorization: token}
	if listen != "" {
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			return nil, fmt.Errorf("bus: listen: %w", err)
		}
		opts.Host = host
		if opts.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("bus: listen: %w", err)
		}
		if opts.Port == 0 {
			opts.Port = server.RANDOM_PORT
		}
	}
	ns, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	ns.Start()
	if !ns.ReadyForConnections(10 * time.Second) {
		ns.Shutdown()
		return nil, errors.New("bus: the message server did not get ready")
	}
	return &Server{ns}, nil
}

// URL is where others reach a listening server.
func (s *Server) URL() string { return s.ns.ClientURL() }

// Connect connects this process to its own server.
func (s *Server) Connect(log *slog.Logger, token string) (*Bus, error) {
	return connect(log, s.ns.ClientURL(), nats.InProcessServer(s.ns), nats.Token(token))
}

// Close ends the server.
func (s *Server) Close() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}

// Dial connects to NATS servers elsewhere: url is nats://host:port, several
// separated by commas. A connection that is lost is made again.
func Dial(log *slog.Logger, url, token string) (*Bus, error) {
	return connect(log, url, nats.Token(token))
}

func connect(log *slog.Logger, url string, opts ...nats.Option) (*Bus, error) {
	opts = append(opts, nats.Name("kilonova"), nats.MaxReconnects(-1), nats.ReconnectWait(250*time.Millisecond),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			log.Warn("bus", "error", err)
		}))
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("bus: %s: %w", url, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Bus{nc: nc, log: log, ctx: ctx, cancel: cancel}, nil
}
