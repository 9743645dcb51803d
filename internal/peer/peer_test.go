package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
)

type fixedTokens struct{ asked []string }

func (f *fixedTokens) Catalog(context.Context) (*Catalog, error) {
	return &Catalog{ProjectID: "ours"}, nil
}

func (f *fixedTokens) Token(_ context.Context, stale string) (string, error) {
	f.asked = append(f.asked, stale)
	return fmt.Sprint("own", len(f.asked)), nil
}

var things = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/root/echo":
		fmt.Fprintf(w, `{"token": %q, "query": %q, "version": %q}`, r.Header.Get("X-Auth-Token"), r.URL.RawQuery, r.Header.Get("OpenStack-API-Version"))
	case "/root/stale":
		if r.Header.Get("X-Auth-Token") == "own1" {
			w.WriteHeader(401)
			return
		}
		io.WriteString(w, `{}`)
	case "/root/conflict":
		w.WriteHeader(409)
		io.WriteString(w, `{"conflictingRequest": {"code": 409, "message": "Taken."}}`)
	case "/root/upload":
		data, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"n": %d, "err": %q}`, len(data), fmt.Sprint(err))
	case "/root/cut":
		w.Write(make([]byte, 100000))
		panic(http.ErrAbortHandler)
	case "/root/cutshort":
		io.WriteString(w, "{}")
		panic(http.ErrAbortHandler)
	case "/root/flush":
		w.WriteHeader(202)
		io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case "/root/late":
		io.WriteString(w, "{}")
		w.Header().Set("Late", "yes")
		w.WriteHeader(500)
	case "/root/stream":
		for range 100 {
			w.Write(make([]byte, 50000))
		}
	case "/root/slow":
		<-r.Context().Done()
	}
})

// wires are the two ways to the same handler; every test must see no difference.
func wires(t *testing.T) map[string]Table {
	srv := httptest.NewServer(things)
	t.Cleanup(srv.Close)
	return map[string]Table{
		"pipe": {"things": {URL: "http://here/root", Transport: Pipe(things)}},
		"tcp":  {"things": {URL: srv.URL + "/root/", Transport: Network(nil)}},
	}
}

func TestClient(t *testing.T) {
	for name, table := range wires(t) {
		t.Run(name, func(t *testing.T) {
			c, err := table.Client("things", &fixedTokens{})
			if err != nil {
				t.Fatal(err)
			}
			var echo struct{ Token, Query, Version string }
			if err := c.Do(t.Context(), Call{Method: "GET", Path: "/echo?a=b", Out: &echo, Version: "things 1.2"}); err != nil || echo.Token != "own1" || echo.Query != "a=b" || echo.Version != "things 1.2" {
				t.Fatal(echo, err)
			}
			ctx := auth.With(t.Context(), &auth.Caller{Token: "callers"})
			if err := c.Do(ctx, Call{Method: "GET", Path: "/echo", AsCaller: true, Out: &echo}); err != nil || echo.Token != "callers" {
				t.Fatal(echo, err)
			}
			if err := c.Do(t.Context(), Call{Method: "GET", Path: "/echo", AsCaller: true}); err == nil {
				t.Fatal("acted as nobody")
			}
			if err := c.Do(t.Context(), Call{Method: "GET", Path: "/conflict"}); !fault.Is(err, fault.Conflict) || err.Error() != "Taken." {
				t.Fatal(err)
			}
			var up struct {
				N   int
				Err string
			}
			if err := c.Do(t.Context(), Call{Method: "PUT", Path: "/upload", In: strings.NewReader(strings.Repeat("x", 300000)), Out: &up}); err != nil || up.N != 300000 {
				t.Fatal(up, err)
			}
			resp, err := c.Open(t.Context(), Call{Method: "GET", Path: "/stream"})
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			if err != nil || n != 5000000 {
				t.Fatal(n, err)
			}
			resp, err = c.Open(t.Context(), Call{Method: "GET", Path: "/cut"})
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			if err == nil {
				t.Fatal("an answer that was cut off looked whole")
			}
			short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := c.Do(short, Call{Method: "GET", Path: "/slow"}); !fault.Is(err, fault.Unavailable) {
				t.Fatal(err)
			}
		})
	}
}

// TestShortAnswers: what is flushed is there while the rest is being made; what is cut
// off before anything was flushed never looks whole.
func TestShortAnswers(t *testing.T) {
	for name, table := range wires(t) {
		t.Run(name, func(t *testing.T) {
			c, err := table.Client("things", &fixedTokens{})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Do(t.Context(), Call{Method: "GET", Path: "/cutshort"}); !fault.Is(err, fault.Unavailable) {
				t.Error(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			resp, err := c.Open(ctx, Call{Method: "GET", Path: "/flush"})
			if err != nil || resp.StatusCode != 202 {
				t.Fatal(resp, err)
			}
			defer resp.Body.Close()
			text := make([]byte, 3)
			if _, err := io.ReadFull(resp.Body, text); err != nil || string(text) != "one" {
				t.Error(string(text), err)
			}
			cancel()
			io.ReadAll(resp.Body) // comes to an end
			resp, err = c.Open(t.Context(), Call{Method: "GET", Path: "/late"})
			if err != nil || resp.StatusCode != 200 || resp.Header.Get("Late") != "" {
				t.Fatal(resp, err)
			}
			resp.Body.Close()
		})
	}
}

func TestClientLogsInAgainWhenItsTokenIsRefused(t *testing.T) {
	for name, table := range wires(t) {
		t.Run(name, func(t *testing.T) {
			tokens := &fixedTokens{}
			c, err := table.Client("things", tokens)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Do(t.Context(), Call{Method: "GET", Path: "/stale"}); err != nil || len(tokens.asked) != 2 || tokens.asked[1] != "own1" {
				t.Fatal(tokens.asked, err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	table := Table{"things": {URL: "http://127.0.0.1:1", Transport: Network(nil)}}
	c, err := table.Client("things", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), Call{Method: "GET", Path: "/"}); !fault.Is(err, fault.Unavailable) || errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if _, err := table.Client("others", nil); err == nil {
		t.Fatal("a service that is not in the table")
	}
}

func BenchmarkCall(b *testing.B) {
	srv := httptest.NewServer(things)
	defer srv.Close()
	for name, table := range map[string]Table{
		"pipe": {"things": {URL: "http://here/root", Transport: Pipe(things)}},
		"tcp":  {"things": {URL: srv.URL + "/root", Transport: Network(nil)}},
	} {
		b.Run(name, func(b *testing.B) {
			c, err := table.Client("things", nil)
			if err != nil {
				b.Fatal(err)
			}
			var echo struct{ Token, Query string }
			for b.Loop() {
				if err := c.Do(b.Context(), Call{Method: "GET", Path: "/echo", Out: &echo}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
