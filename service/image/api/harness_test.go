package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/internal/rest"
	"kilonova/service/image/blob/file"
	bloblink "kilonova/service/image/blob/http"
	"kilonova/service/image/control"
	"kilonova/service/image/store"
)

var callers = map[string]*auth.Caller{
	"admin":  {UserID: "ua", ProjectID: "pa", Roles: []string{"admin", "member", "reader"}},
	"demo":   {UserID: "ud", ProjectID: "pd", Roles: []string{"member", "reader"}},
	"alt":    {UserID: "ut", ProjectID: "pt", Roles: []string{"member", "reader"}},
	"reader": {UserID: "ur", ProjectID: "pd", Roles: []string{"reader"}},
}

// cloud is an image service, and a client of it.
type cloud struct {
	t       testing.TB
	c       *control.Control
	handler http.Handler
	s       *store.Store
	url     string
	dir     string
	clock   *clock
}

// clock is a time that tests can move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func start(t testing.TB, change func(*control.Options)) *cloud {
	t.Helper()
	return startWith(t, change, func(*control.Config) {})
}

func startWith(t testing.TB, change func(*control.Options), more func(*control.Config)) *cloud {
	t.Helper()
	cl := &cloud{t: t, dir: t.TempDir(), clock: &clock{}}
	var err error
	if cl.s, err = store.New(t.Context(), dbtest.New(t)); err != nil {
		t.Fatal(err)
	}
	o := control.Defaults()
	o.CacheMaxSize = 0 // those who want a cache say so
	if change != nil {
		change(&o)
	}
	cfg := control.Config{Store: cl.s, Options: o, Log: slog.New(slog.DiscardHandler), Now: cl.clock.now}
	for _, name := range []string{"one", "two", "stage", "cache"} {
		blobs, err := file.New(file.Options{Dir: filepath.Join(cl.dir, name)})
		if err != nil {
			t.Fatal(err)
		}
		if name == "cache" {
			if o.CacheMaxSize != 0 {
				cfg.Cache = blobs
			}
			continue
		}
		if name == "stage" {
			cfg.Staging = blobs
			continue
		}
		cfg.Backends = append(cfg.Backends, control.Backend{ID: name, Type: "file", Blobs: blobs, Description: "store " + name, Default: name == "one"})
	}
	cfg.Backends = append(cfg.Backends, control.Backend{ID: "web", Type: "http", Blobs: bloblink.New(o.Filtering)})
	cfg.Run, cfg.WorkDir = host.Local{}, filepath.Join(cl.dir, "work")
	if err := os.Mkdir(cfg.WorkDir, 0o700); err != nil {
		t.Fatal(err)
	}
	more(&cfg)
	if cl.c, err = control.New(cfg); err != nil {
		t.Fatal(err)
	}
	cl.handler = rest.Below("/image", New(cl.c, Options{Log: cfg.Log, Now: time.Now, AuthURL: func() string { return "http://auth" },
		Validator: auth.ValidatorFunc(func(_ context.Context, token string) (*auth.Caller, error) {
			if c := callers[token]; c != nil {
				own := *c
				own.Token = token
				return &own, nil
			}
			return nil, fault.New(fault.Unauthenticated, "No.")
		})}).Handler())
	srv := httptest.NewServer(cl.handler)
	cl.url = srv.URL + "/image"
	t.Cleanup(srv.Close)
	return cl
}

// run does the service's background work until the test ends.
func (cl *cloud) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cl.c.Run(ctx) }()
	cl.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			cl.t.Error(err)
		}
	})
}

type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

func (cl *cloud) do(who, method, path string, body any, header ...string) *answer {
	cl.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case io.Reader:
		in = b
	case string:
		in = strings.NewReader(b)
	case []byte:
		in = bytes.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			cl.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, cl.url+path, in)
	if err != nil {
		cl.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	if who != "" {
		req.Header.Set("X-Auth-Token", who)
	}
	for n := 0; n+1 < len(header); n += 2 {
		req.Header.Set(header[n], header[n+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		cl.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		cl.t.Fatal(err)
	}
	return &answer{cl.t, resp.StatusCode, resp.Header, data}
}

// want checks the status and returns the JSON body.
func (a *answer) want(status int) map[string]any {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	var v map[string]any
	if len(a.body) > 0 && strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(a.body, &v); err != nil {
			a.t.Fatalf("%v: %s", err, a.body)
		}
	}
	return v
}

type fields = map[string]any

// create registers a raw image of demo's, with fields of its own.
func (cl *cloud) create(more fields) string {
	cl.t.Helper()
	f := fields{"name": "x", "disk_format": "raw", "container_format": "bare"}
	for k, v := range more {
		f[k] = v
	}
	return cl.do("demo", "POST", "/v2/images", f).want(201)["id"].(string)
}

const octets = "application/octet-stream"

func (cl *cloud) put(id string, data any) *answer {
	cl.t.Helper()
	return cl.do("demo", "PUT", "/v2/images/"+id+"/file", data, "Content-Type", octets)
}

func (cl *cloud) show(id string) map[string]any {
	cl.t.Helper()
	return cl.do("admin", "GET", "/v2/images/"+id, nil).want(200)
}

// files lists what lies in a store, whole or begun.
func (cl *cloud) files(name string) []string {
	cl.t.Helper()
	var all []string
	filepath.Walk(filepath.Join(cl.dir, name), func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			all = append(all, filepath.Base(path))
		}
		return nil
	})
	return all
}

// eventually waits until a condition holds.
func (cl *cloud) eventually(what string, ok func() bool) {
	cl.t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			cl.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// rows counts the rows of all tables that a request could leave something in.
func (cl *cloud) rows() string {
	cl.t.Helper()
	text := ""
	for _, table := range []string{"images", "image_ids", "image_properties", "image_tags", "image_members", "image_locations", "uploads", "api_tasks", "tasks"} {
		n, err := db.Get[int](context.Background(), cl.s.DB, `SELECT COUNT(*) FROM `+table)
		if err != nil {
			cl.t.Fatal(err)
		}
		text += fmt.Sprintf("%s %d ", table, n)
	}
	return text
}

// op is one operation of a patch, patch a list of them.
func op(op, path string, value any) fields {
	f := fields{"op": op, "path": path}
	if op != "remove" {
		f["value"] = value
	}
	return f
}

func patch(ops ...any) []any { return ops }
