package stack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"kilonova/internal/rest"
	"kilonova/service/object/s3"
)

// classicPorts are upstream's, for those who ask for them.
var classicPorts = map[string]int{"identity": 5000, "compute": 8774, "image": 9292, "network": 9696, "placement": 8778, "metadata": 8775, "object-store": 8080}

// rootPaths are those that clients of the object store look for at the root of its
// address, whatever path its endpoint has.
var rootPaths = []string{"/info", "/healthcheck", "/crossdomain.xml"}

// front is where clients come in.
type front struct {
	public    string
	listeners map[string]net.Listener // by service type; "" has them all by prefix
	servers   []*http.Server
	tls       *tls.Config
}

// listen takes the addresses, before anything is started that would have to be
// taken back.
func listen(c *Config) (*front, error) {
	f := &front{listeners: map[string]net.Listener{}, public: strings.TrimSuffix(c.Listen.Public, "/")}
	scheme := "http"
	if c.Listen.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.Listen.CertFile, c.Listen.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		f.tls, scheme = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, "https"
		if c.Listen.ClientCAFile != "" {
			data, err := os.ReadFile(c.Listen.ClientCAFile)
			if err != nil {
				return nil, fmt.Errorf("listen: %w", err)
			}
			f.tls.ClientAuth, f.tls.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
			if !f.tls.ClientCAs.AppendCertsFromPEM(data) {
				return nil, fmt.Errorf("listen: %s has no certificate", c.Listen.ClientCAFile)
			}
		}
	}
	l, err := net.Listen("tcp", c.Listen.Address)
	if err != nil {
		return nil, err
	}
	f.listeners[""] = l
	if f.public == "" {
		f.public = scheme + "://" + l.Addr().String()
	}
	if !c.Listen.Classic {
		return f, nil
	}
	host, _, err := net.SplitHostPort(c.Listen.Address)
	if err != nil {
		return nil, err
	}
	for service, port := range classicPorts {
		if f.listeners[service], err = net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port))); err != nil {
			f.close()
			return nil, fmt.Errorf("classic port of %s: %w", service, err)
		}
	}
	return f, nil
}

// serve begins to answer.
func (f *front) serve(s *Stack) error {
	for service, l := range f.listeners {
		h := http.Handler(http.HandlerFunc(s.route))
		if service != "" {
			if h = s.handlers[service]; h == nil {
				l.Close() // lives elsewhere
				continue
			}
		}
		if f.tls != nil {
			l = tls.NewListener(l, f.tls)
		}
		server := &http.Server{Handler: h, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 3 * time.Minute, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug)}
		f.servers = append(f.servers, server)
		s.work.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) && s.ctx.Err() == nil {
				s.cancel(fmt.Errorf("listener: %w", err))
			}
		})
	}
	return nil
}

// close lets requests under way end, for a while.
func (f *front) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, s := range f.servers {
		if s.Shutdown(ctx) != nil {
			s.Close()
		}
	}
	for _, l := range f.listeners {
		l.Close()
	}
}

// route finds the service by the path's prefix. It is also what the pipes
// between services lead to.
func (s *Stack) route(w http.ResponseWriter, r *http.Request) {
	if s.s3 != nil && s3.IsSigned(r) { // whose buckets are at the root
		s.s3.ServeHTTP(w, r)
		return
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if h := s.handlers[first]; h != nil && prefixes[first] == "/"+first {
		rest.Below(prefixes[first], h).ServeHTTP(w, r)
		return
	}
	if h := s.handlers[objectStoreType]; h != nil && slices.Contains(rootPaths, r.URL.Path) {
		h.ServeHTTP(w, r)
		return
	}
	switch r.URL.Path {
	case "/healthz":
		s.health(w, r)
	case "/metrics":
		s.metrics.handler.ServeHTTP(w, r)
	case "/":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "Kilonova: identity at %s%s/v3\n", s.front.public, prefixes["identity"])
	default:
		http.Error(w, "There is no service at this path.", http.StatusNotFound)
	}
}

// health says ok when every database answers.
func (s *Stack) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	for name, check := range s.checks {
		if err := check(ctx); err != nil {
			s.Log.Warn("not healthy", "part", name, "error", err)
			http.Error(w, name+" is not healthy", http.StatusServiceUnavailable)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n")
}
