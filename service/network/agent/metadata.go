package agent

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"kilonova/service/network"
)

// MetadataBackend is compute's metadata service, which believes what it is told
// about the asker by whoever knows the secret.
type MetadataBackend struct {
	// Transport reaches it: a pipe, or TCP. nil: guests get no metadata here.
	Transport http.RoundTripper
	URL       string // its root
	Secret    string // [neutron] metadata_proxy_shared_secret
}

// guest is who asks: a server and its project.
type guest struct{ server, project string }

// guestIndex finds guests by network and address.
type guestIndex struct {
	current atomic.Pointer[map[guestKey]guest]
}

type guestKey struct {
	networkID string
	address   netip.Addr
}

func (g *guestIndex) set(state *network.HostState) {
	index := map[guestKey]guest{}
	for _, n := range state.Networks {
		if n.DHCP == nil {
			continue
		}
		for _, r := range n.DHCP.Reservations {
			if r.DeviceID == "" {
				continue
			}
			for _, a := range r.Addresses {
				index[guestKey{n.ID, a}] = guest{r.DeviceID, r.ProjectID}
			}
		}
	}
	g.current.Store(&index)
}

func (g *guestIndex) find(networkID string, a netip.Addr) (guest, bool) {
	index := g.current.Load()
	if index == nil {
		return guest{}, false
	}
	found, ok := (*index)[guestKey{networkID, a}]
	return found, ok
}

// proxies are the metadata proxies of this host, one a network with DHCP.
type proxies struct {
	agent *Agent
	base  *url.URL

	mu     sync.Mutex
	byID   map[string]*http.Server
	closed bool
	work   sync.WaitGroup
}

func newProxies(a *Agent) *proxies {
	p := &proxies{agent: a, byID: map[string]*http.Server{}}
	base, err := url.Parse(a.Metadata.URL)
	if err != nil || a.Metadata.Transport == nil {
		return p
	}
	p.base = base
	return p
}

// serve listens in every network that has DHCP here and no listener yet. A
// listener ends with its network: the driver closes it.
func (p *proxies) serve(ctx context.Context, networks map[string]network.HostNetwork) {
	if p.base == nil {
		return
	}
	for id, n := range networks {
		p.mu.Lock()
		skip := n.DHCP == nil || p.byID[id] != nil || p.closed
		p.mu.Unlock()
		if skip {
			continue
		}
		listener, err := p.agent.Driver.ListenMetadata(ctx, id)
		if err != nil {
			if ctx.Err() == nil {
				p.agent.Log.Warn("network agent: no metadata in network", "network", id, "error", err)
			}
			continue
		}
		p.start(id, listener)
	}
}

func (p *proxies) start(networkID string, listener net.Listener) {
	server := &http.Server{Handler: p.handler(networkID), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(p.agent.Log.Handler(), slog.LevelDebug)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		listener.Close()
		return
	}
	p.byID[networkID] = server
	p.work.Go(func() {
		err := server.Serve(listener)
		p.mu.Lock()
		delete(p.byID, networkID)
		closed := p.closed
		p.mu.Unlock()
		if !closed { // the network has gone, or its namespace was made anew
			server.Close()
			p.agent.look()
			if !errors.Is(err, net.ErrClosed) {
				p.agent.Log.Warn("network agent: metadata listener ended", "network", networkID, "error", err)
			}
		}
	})
}

func (p *proxies) close() {
	p.mu.Lock()
	p.closed = true
	for _, server := range p.byID {
		server.Close()
	}
	p.mu.Unlock()
	p.work.Wait()
}

// maxMetadataBody bounds what a guest may send (its encrypted password), in bytes.
const maxMetadataBody = 64 << 10

// told are the headers by which the metadata service knows the guest. What a
// guest sends under these names is dropped.
var told = []string{"X-Forwarded-For", "X-Instance-Id", "X-Tenant-Id", "X-Instance-Id-Signature", "X-Metadata-Provider", "X-Metadata-Provider-Signature",
	"X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip"}

// handler passes a guest's request on, with who it is by network and address.
func (p *proxies) handler(networkID string) http.Handler {
	proxy := &httputil.ReverseProxy{Transport: p.agent.Metadata.Transport, ErrorLog: slog.NewLogLogger(p.agent.Log.Handler(), slog.LevelDebug),
		Rewrite: func(r *httputil.ProxyRequest) {
			address, _ := remote(r.In)
			g, _ := p.agent.guests.find(networkID, address)
			r.SetURL(p.base)
			for _, name := range told {
				r.Out.Header.Del(name)
			}
			h := r.Out.Header
			h.Set("X-Forwarded-For", address.String())
			h.Set("X-Instance-ID", g.server)
			h.Set("X-Tenant-ID", g.project)
			h.Set("X-Instance-ID-Signature", sign(p.agent.Metadata.Secret, g.server))
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			p.agent.Log.Warn("network agent: metadata service", "network", networkID, "error", err)
			http.Error(w, "The metadata service does not answer.", http.StatusServiceUnavailable)
		}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, ok := remote(r)
		if ok {
			_, ok = p.agent.guests.find(networkID, address)
		}
		if !ok {
			http.Error(w, "No server is known at this address.", http.StatusNotFound)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxMetadataBody)
		proxy.ServeHTTP(w, r)
	})
}

func remote(r *http.Request) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap(), err == nil
}

// sign is the proof that the asker's server was named by one who knows the secret.
func sign(secret, server string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(server))
	return hex.EncodeToString(mac.Sum(nil))
}
