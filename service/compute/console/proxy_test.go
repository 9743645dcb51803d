package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// guest is a TCP server that says everything back.
func guest(t *testing.T) compute.ConsoleAddress {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, "hello ")
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	at := l.Addr().(*net.TCPAddr)
	return compute.ConsoleAddress{Host: at.IP.String(), Port: at.Port}
}

func proxy(t *testing.T, c Config) *httptest.Server {
	t.Helper()
	at := guest(t)
	c.Log = slog.New(slog.DiscardHandler)
	c.Open = func(_ context.Context, token string) (compute.Console, error) {
		if token != "good" {
			return compute.Console{}, fault.NotFoundf("Token not found")
		}
		return compute.Console{ServerID: "s", Type: "novnc", Address: at}, nil
	}
	s := httptest.NewServer(New(c))
	t.Cleanup(s.Close)
	return s
}

func TestRelay(t *testing.T) {
	s := proxy(t, Config{})
	for name, how := range map[string]struct{ path, cookie string }{
		"in the address":       {path: "/?token=good"},
		"in a cookie":          {path: "/websockify", cookie: "token=good"},
		"in a cookie, as path": {path: "/websockify", cookie: "path=%3Ftoken%3Dgood"},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{"Sec-Websocket-Protocol": {"binary"}}
			if how.cookie != "" {
				header.Set("Cookie", how.cookie)
			}
			conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+how.path, header)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if resp.StatusCode != http.StatusSwitchingProtocols || conn.Subprotocol() != "binary" {
				t.Errorf("%d %q", resp.StatusCode, conn.Subprotocol())
			}
			sent := make([]byte, 300<<10)
			if _, err := rand.Read(sent); err != nil {
				t.Fatal(err)
			}
			go func() { _ = conn.WriteMessage(websocket.BinaryMessage, sent) }()
			var got bytes.Buffer
			for got.Len() < len(sent)+6 {
				kind, data, err := conn.ReadMessage()
				if err != nil || kind != websocket.BinaryMessage {
					t.Fatal(kind, err)
				}
				got.Write(data)
			}
			if got.String() != "hello "+string(sent) {
				t.Error("the bytes are not those that were sent")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	s := proxy(t, Config{Origins: []string{"cloud.example.org"}})
	for name, c := range map[string]struct {
		path, origin string
		status       int
	}{
		"no token":             {"/", "", http.StatusForbidden},
		"a wrong token":        {"/?token=bad", "", http.StatusForbidden},
		"somebody else's page": {"/?token=good", "http://evil.example.org", http.StatusForbidden},
		"no address":           {"/?token=good", "null", http.StatusForbidden},
		"a page that may":      {"/?token=good", "https://cloud.example.org", http.StatusSwitchingProtocols},
		"our own page":         {"/?token=good", "http://127.0.0.1", http.StatusSwitchingProtocols},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			conn, resp, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+c.path, header)
			if conn != nil {
				conn.Close()
			}
			if resp == nil || resp.StatusCode != c.status {
				t.Fatalf("got %+v, %v, want %d", resp, err, c.status)
			}
			if body, _ := io.ReadAll(resp.Body); c.status != http.StatusSwitchingProtocols && len(body) > 0 {
				t.Errorf("a refusal with the body %q: viewers take it for a console", body)
			}
		})
	}
}

func TestPages(t *testing.T) {
	s := proxy(t, Config{})
	for path, status := range map[string]int{"/vnc_auto.html?path=x": http.StatusOK, "/serial.html": http.StatusOK, "/../proxy.go": http.StatusNotFound, "/": http.StatusNotFound} {
		resp, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != status || status == http.StatusOK && !strings.Contains(string(body), "</html>") {
			t.Errorf("%s: %d %v", path, resp.StatusCode, err)
		}
	}
}
