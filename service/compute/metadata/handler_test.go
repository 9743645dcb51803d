package metadata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kilonova/internal/fault"
)

const secret = "proxy secret"

// world is a handler with the database behind it.
type world struct {
	*Handler
	t     *testing.T
	log   bytes.Buffer
	mu    sync.Mutex
	now   time.Time
	inst  *Instance
	finds atomic.Int32
	err   error
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), inst: sample()}
	w.inst.Password = ""
	h, err := NewHandler(Config{
		Find: func(_ context.Context, id string) (*Instance, error) {
			w.finds.Add(1)
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.err != nil {
				return nil, w.err
			}
			if id != w.inst.UUID {
				return nil, fault.NotFoundf("Instance %s could not be found.", id)
			}
			found := *w.inst
			return &found, nil
		},
		SetPassword: func(_ context.Context, id, password string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.inst.Password != "" {
				return fault.Conflictf("The password of instance %s has been set already.", id)
			}
			w.inst.Password = password
			return nil
		},
		Secret: secret,
		Log:    slog.New(slog.NewTextHandler(&w.log, nil)),
		Now: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.now
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Handler = h
	return w
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// ask is a request as the proxy makes it; edit may spoil it.
func (w *world) ask(method, path, body string, edit ...func(h http.Header)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Instance-ID", w.inst.UUID)
	r.Header.Set("X-Tenant-ID", w.inst.ProjectID)
	r.Header.Set("X-Instance-ID-Signature", Sign(secret, w.inst.UUID))
	r.Header.Set("X-Forwarded-For", "10.0.0.5")
	for _, e := range edit {
		e(r.Header)
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

func (w *world) want(rec *httptest.ResponseRecorder, status int, part string) {
	w.t.Helper()
	if rec.Code != status || !strings.Contains(rec.Body.String(), part) {
		w.t.Errorf("%d %q, want %d with %q", rec.Code, rec.Body.String(), status, part)
	}
}

// TestSignature compares with openssl dgst -sha256 -hmac secret.
func TestSignature(t *testing.T) {
	if got := Sign("secret", "id"); got != "0da5b4052abdeb0bbd119978c49479893059d51a19522a70e4672259a6d720b5" {
		t.Errorf("signature %s", got)
	}
}

// TestWhoAsks is also CVE-2013-6419: an instance's metadata are for its own
// project's networks only.
func TestWhoAsks(t *testing.T) {
	w := newWorld(t)
	const file = "/openstack/latest/meta_data.json"
	w.want(w.ask("GET", file, ""), 200, w.inst.UUID)
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) { h.Set(name, value) }
	}
	for _, name := range []string{"X-Instance-ID", "X-Tenant-ID", "X-Instance-ID-Signature"} {
		w.want(w.ask("GET", file, "", func(h http.Header) { h.Del(name) }), 400, name+" header is missing")
		w.want(w.ask("GET", file, "", func(h http.Header) { h.Add(name, "x") }), 400, "Multiple "+name)
		w.want(w.ask("GET", file, "", set(name, w.inst.UUID+", x")), 400, "Multiple "+name)
	}
	for _, signature := range []string{"", "0", strings.Repeat("0", 64), Sign("other", w.inst.UUID), strings.ToUpper(Sign(secret, w.inst.UUID))} {
		w.want(w.ask("GET", file, "", set("X-Instance-ID-Signature", signature)), 403, "Invalid proxy request signature.")
	}
	w.want(w.ask("GET", file, "", set("X-Instance-ID", "another")), 403, "Invalid")
	w.want(w.ask("GET", file, "", set("X-Tenant-ID", "another")), 404, "could not be found")
	other := "11111111-0000-4000-8000-000000000000"
	w.want(w.ask("GET", file, "", set("X-Instance-ID", other), set("X-Instance-ID-Signature", Sign(secret, other))), 404, "could not be found")
	long := strings.Repeat("x", 10_000)
	w.want(w.ask("GET", file, "", set("X-Instance-ID", long), set("X-Instance-ID-Signature", Sign(secret, long))), 404, "No instance")
	w.want(w.ask("GET", "/", "", func(h http.Header) { clear(h) }), 200, "2009-04-04\nlatest") // the versions are for everybody
}

func TestFilesOverHTTP(t *testing.T) {
	w := newWorld(t)
	rec := w.ask("GET", "/openstack/latest/vendor_data.json", "")
	w.want(rec, 200, `{"operator":"us"}`)
	if got := rec.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("type %s", got)
	}
	rec = w.ask("HEAD", "/latest/user-data", "")
	w.want(rec, 200, "")
	if rec.Body.Len() != 0 || rec.Header().Get("Content-Length") != "17" {
		t.Errorf("HEAD has %d bytes, length %s", rec.Body.Len(), rec.Header().Get("Content-Length"))
	}
	w.want(w.ask("GET", "/latest/meta-data/", ""), 200, "instance-id\n")
	w.want(w.ask("GET", "/latest/nothing", ""), 404, "no metadata")
	w.want(w.ask("GET", "/openstack/..%2f..%2fetc", ""), 404, "no metadata")
	w.want(w.ask("PUT", "/latest/api/token", ""), 404, "no metadata") // EC2's later sessions are not there
	w.want(w.ask("POST", "/openstack/latest/meta_data.json", ""), 405, "only be read")
}

func TestPassword(t *testing.T) {
	w := newWorld(t)
	const file = "/openstack/2013-04-04/password"
	w.want(w.ask("GET", file, ""), 200, "")
	w.want(w.ask("DELETE", file, ""), 400, "GET and POST only")
	w.want(w.ask("POST", file, strings.Repeat("x", MaxPassword+1)), 400, "too large")
	w.want(w.ask("POST", file, "\xff"), 400, "not UTF-8")
	w.want(w.ask("POST", "/openstack/2012-08-10/password", "x"), 404, "no metadata")
	if w.inst.Password != "" {
		t.Fatalf("password %q", w.inst.Password)
	}
	most := strings.Repeat("x", MaxPassword)
	w.want(w.ask("POST", file, most), 200, "")
	w.want(w.ask("GET", "/openstack/latest/password", ""), 200, most) // at once, though the instance was cached
	w.want(w.ask("POST", file, "again"), 409, "has been set already")
	if w.inst.Password != most {
		t.Errorf("password %q", w.inst.Password)
	}
}

func TestCache(t *testing.T) {
	w := newWorld(t)
	read := func() { w.want(w.ask("GET", "/latest/user-data", ""), 200, "#cloud-config") }
	read()
	w.pass(14 * time.Second)
	read()
	if n := w.finds.Load(); n != 1 {
		t.Errorf("%d look-ups within 15 s", n)
	}
	w.pass(time.Second)
	read()
	if n := w.finds.Load(); n != 2 {
		t.Errorf("%d look-ups after 15 s", n)
	}
	w.Forget(w.inst.UUID)
	read()
	if n := w.finds.Load(); n != 3 {
		t.Errorf("%d look-ups after Forget", n)
	}
}

// TestFaultsBehind: what the database says in its own words stays in the log,
// and what failed is not remembered.
func TestFaultsBehind(t *testing.T) {
	w := newWorld(t)
	w.err = errors.New("database password is xyzzy")
	rec := w.ask("GET", "/latest/user-data", "")
	w.want(rec, 500, "An unknown error has occurred. Please try your request again.")
	if strings.Contains(rec.Body.String(), "xyzzy") || !strings.Contains(w.log.String(), "xyzzy") {
		t.Errorf("body %q, log %q", rec.Body.String(), w.log.String())
	}
	w.err = fault.New(fault.Unavailable, "The database does not answer.")
	w.want(w.ask("GET", "/latest/user-data", ""), 503, "does not answer")
	w.err = nil
	w.want(w.ask("GET", "/latest/user-data", ""), 200, "#cloud-config")
}

// TestManyAskAtOnce: a guest's many readers cost one look-up; one that hangs up
// does not take the answer from the others.
func TestManyAskAtOnce(t *testing.T) {
	release, started := make(chan struct{}), make(chan struct{}, 1)
	var finds atomic.Int32
	c := newCache(func(ctx context.Context, id string) (*Instance, error) {
		finds.Add(1)
		started <- struct{}{}
		<-release
		return &Instance{UUID: id}, ctx.Err()
	}, func() time.Time { return time.Time{} }, time.Second)
	ctx, hangUp := context.WithCancel(context.Background())
	gone := make(chan error, 1)
	go func() {
		_, err := c.get(ctx, "a")
		gone <- err
	}()
	<-started
	hangUp()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 50)
	for range 50 {
		wg.Go(func() {
			inst, err := c.get(context.Background(), "a")
			if err == nil && inst.UUID != "a" {
				err = fmt.Errorf("instance %s", inst.UUID)
			}
			errs <- err
		})
	}
	close(release)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if n := finds.Load(); n != 1 {
		t.Errorf("%d look-ups", n)
	}
}

// TestForgottenWhileLookedUp: what was read before it changed is not kept.
func TestForgottenWhileLookedUp(t *testing.T) {
	release, started := make(chan struct{}), make(chan struct{}, 2)
	c := newCache(func(context.Context, string) (*Instance, error) {
		started <- struct{}{}
		<-release
		return &Instance{}, nil
	}, func() time.Time { return time.Time{} }, time.Second)
	done := make(chan error, 1)
	go func() {
		_, err := c.get(context.Background(), "a")
		done <- err
	}()
	<-started
	c.forget("a")
	close(release)
	if err := <-done; err != nil || len(c.found) != 0 {
		t.Errorf("%v; %d kept", err, len(c.found))
	}
}

func TestCacheIsBounded(t *testing.T) {
	now := time.Time{}
	c := newCache(func(_ context.Context, id string) (*Instance, error) { return &Instance{UUID: id}, nil }, func() time.Time { return now }, time.Second)
	for i := range maxCached + 500 {
		if i == 100 {
			now = now.Add(time.Minute)
		}
		if _, err := c.get(context.Background(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.found) > maxCached {
		t.Errorf("%d instances are remembered", len(c.found))
	}
	if _, ok := c.found["50"]; ok {
		t.Error("an expired instance is remembered while others had to go")
	}
}

func TestConfig(t *testing.T) {
	good := Config{Find: func(context.Context, string) (*Instance, error) { return nil, io.EOF }, Secret: "x", Log: slog.New(slog.DiscardHandler), Now: time.Now}
	for name, spoil := range map[string]func(c *Config){
		"find": func(c *Config) { c.Find = nil }, "secret": func(c *Config) { c.Secret = "" }, "log": func(c *Config) { c.Log = nil }, "now": func(c *Config) { c.Now = nil },
	} {
		c := good
		spoil(&c)
		if _, err := NewHandler(c); err == nil {
			t.Errorf("a handler without %s", name)
		}
	}
}

func BenchmarkHandler(b *testing.B) {
	inst := sample()
	h, err := NewHandler(Config{Find: func(context.Context, string) (*Instance, error) { return inst, nil }, Secret: secret, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/openstack/latest/meta_data.json", nil)
	r.Header.Set("X-Instance-ID", inst.UUID)
	r.Header.Set("X-Tenant-ID", inst.ProjectID)
	r.Header.Set("X-Instance-ID-Signature", Sign(secret, inst.UUID))
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != 200 {
			b.Fatal(rec.Code)
		}
	}
}
