package console

import (
	"context"
	"embed"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// Config is what a proxy stands on.
type Config struct {
	// Open returns what a token opens; fault.NotFound when it opens nothing.
	Open func(ctx context.Context, token string) (compute.Console, error)
	// Origins are further names of hosts whose pages may connect; the proxy's own
	// always may ([console] allowed_origins).
	Origins []string
	// Web is a folder with a viewer's files, such as noVNC's; "" the built-in page.
	Web string
	Log *slog.Logger
}

// Proxy is an http.Handler for consoles. It serves the viewer's files, and on any
// path a WebSocket with a token, as a parameter of its address or as a cookie.
type Proxy struct {
	Config
	upgrader websocket.Upgrader
	files    http.Handler
	dialer   net.Dialer
}

//go:embed web
var builtIn embed.FS

// New returns a proxy.
func New(c Config) *Proxy {
	p := &Proxy{Config: c, dialer: net.Dialer{Timeout: 10 * time.Second}}
	p.upgrader = websocket.Upgrader{HandshakeTimeout: 10 * time.Second, ReadBufferSize: chunk, WriteBufferSize: chunk, Subprotocols: []string{"binary"},
		CheckOrigin: p.originFits, Error: func(w http.ResponseWriter, _ *http.Request, status int, _ error) { w.WriteHeader(status) }}
	if c.Web != "" {
		p.files = http.FileServer(http.Dir(c.Web))
	}
	return p
}

// chunk is how much is read at once, and maxMessage the longest message that is
// taken from a viewer, in bytes.
const (
	chunk      = 32 << 10
	maxMessage = 4 << 20
)

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		p.page(w, r)
		return
	}
	console, err := p.Open(r.Context(), tokenOf(r))
	if err != nil {
		status := http.StatusForbidden
		if !fault.Is(err, fault.NotFound) {
			p.Log.Error("console: cannot look up a token", "error", err)
			status = http.StatusInternalServerError
		}
		w.Header().Set("Connection", "close")
		w.WriteHeader(status)
		return
	}
	at := net.JoinHostPort(console.Address.Host, strconv.Itoa(console.Address.Port))
	guest, err := p.dialer.DialContext(r.Context(), "tcp", at)
	if err != nil {
		p.Log.Warn("console: the guest does not answer", "server", console.ServerID, "address", at, "error", err)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer guest.Close()
	viewer, err := p.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has been answered
	}
	defer viewer.Close()
	p.Log.Info("console opened", "server", console.ServerID, "type", console.Type, "viewer", r.RemoteAddr)
	up, down := relay(viewer, guest)
	p.Log.Info("console closed", "server", console.ServerID, "viewer", r.RemoteAddr, "up", up, "down", down)
}

// page serves the viewer.
func (p *Proxy) page(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "Only GET is possible here.", http.StatusMethodNotAllowed)
		return
	}
	if p.files != nil {
		p.files.ServeHTTP(w, r)
		return
	}
	name := map[string]string{"vnc_auto.html": "vnc.html", "vnc_lite.html": "vnc.html", "vnc.html": "vnc.html", "serial.html": "serial.html"}[path.Base(r.URL.Path)]
	text, err := builtIn.ReadFile("web/" + name)
	if name == "" || err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self' ws: wss:; frame-ancestors *")
	w.Header().Set("Referrer-Policy", "no-referrer") // the address is the key
	_, _ = w.Write(text)
}

// tokenOf finds a token where viewers put it: in the address, or, as noVNC did of
// old, in a cookie that is the page's query.
func tokenOf(r *http.Request) string {
	if token := r.URL.Query().Get("token"); token != "" {
		return token
	}
	for _, line := range r.Header["Cookie"] {
		q, err := url.ParseQuery(strings.ReplaceAll(line, "; ", "&"))
		if err != nil {
			continue
		}
		if token := q.Get("token"); token != "" {
			return token
		}
		if _, query, ok := strings.Cut(q.Get("path"), "?"); ok {
			if inner, err := url.ParseQuery(query); err == nil && inner.Get("token") != "" {
				return inner.Get("token")
			}
		}
	}
	return ""
}

// originFits refuses the pages of others: a browser would connect for them with
// the user's cookies (CVE-2015-0259). What is no browser sends no Origin.
func (p *Proxy) originFits(r *http.Request) bool {
	text := r.Header.Get("Origin")
	if text == "" {
		return true
	}
	origin, err := url.Parse(text)
	if err != nil || origin.Scheme != "http" && origin.Scheme != "https" {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.EqualFold(origin.Hostname(), strings.Trim(host, "[]")) || slices.ContainsFunc(p.Origins, func(o string) bool { return strings.EqualFold(o, origin.Hostname()) })
}

// relay carries bytes both ways until one side ends, and returns how many.
func relay(viewer *websocket.Conn, guest net.Conn) (up, down int64) {
	viewer.SetReadLimit(maxMessage)
	var both sync.WaitGroup
	both.Go(func() {
		defer guest.Close()
		up = fromViewer(viewer, guest)
	})
	both.Go(func() {
		defer viewer.Close()
		down = fromGuest(guest, viewer)
	})
	both.Wait()
	return up, down
}

func fromViewer(viewer *websocket.Conn, guest net.Conn) (n int64) {
	for {
		_, message, err := viewer.NextReader()
		if err != nil {
			return n
		}
		copied, err := io.Copy(guest, message)
		if n += copied; err != nil {
			return n
		}
	}
}

func fromGuest(guest net.Conn, viewer *websocket.Conn) (n int64) {
	buffer := make([]byte, chunk)
	for {
		read, err := guest.Read(buffer)
		if read > 0 {
			n += int64(read)
			if viewer.WriteMessage(websocket.BinaryMessage, buffer[:read]) != nil {
				return n
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				_ = viewer.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "The guest has closed the console."))
			}
			return n
		}
	}
}
