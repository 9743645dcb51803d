package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/service/object/control"
	"kilonova/service/object/device"
	"kilonova/service/object/device/file"
	"kilonova/service/object/pool"
	"kilonova/service/object/ring"
	"kilonova/service/object/store"
)

// shop is an object store whose clock a test turns.
type shop struct {
	*testing.T
	h   http.Handler
	c   *control.Control
	now time.Time
	dir string
}

// The tokens of a test: project:user:roles.
func validate(_ context.Context, token string) (*auth.Caller, error) {
	parts := strings.Split(token, ":")
	if len(parts) != 3 {
		return nil, fault.New(fault.Unauthenticated, "No.")
	}
	return &auth.Caller{ProjectID: parts[0], UserID: parts[1], Roles: strings.Split(parts[2], ","), Token: token}, nil
}

const owner, seller, stranger, colleague = "p:u:swiftoperator", "x:s:reselleradmin", "q:v:swiftoperator", "p:w:member"

func open(t *testing.T, change func(*control.Options)) *shop {
	t.Helper()
	s := &shop{T: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), dir: filepath.Join(t.TempDir(), "d")}
	st, err := store.New(t.Context(), dbtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	d, err := file.New(file.Options{Name: "d", Dir: s.dir})
	if err != nil {
		t.Fatal(err)
	}
	r, err := ring.New(4, 1, []ring.Device{{ID: "d", Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	o, log, now := control.Defaults(), slog.New(slog.DiscardHandler), func() time.Time { return s.now }
	if change != nil {
		change(&o)
	}
	if s.c, err = control.New(control.Config{Store: st, Pool: pool.New(r, []device.Device{d}, log), Options: o, Log: log, Now: now}); err != nil {
		t.Fatal(err)
	}
	s.h = New(s.c, Options{Validator: auth.ValidatorFunc(validate), AuthURL: func() string { return "http://identity" }, Log: log, Now: now}).Handler()
	return s
}

type answerOf struct {
	status int
	head   http.Header
	body   string
}

// do sends a request; headers are pairs.
func (s *shop) do(token, method, path, body string, headers ...string) answerOf {
	s.Helper()
	r := httptest.NewRequest(method, "http://here"+path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	if method == "PUT" {
		r.Header.Set("Content-Length", "0")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	data, _ := io.ReadAll(w.Body)
	return answerOf{w.Code, w.Header(), string(bytes.TrimSpace(data))}
}

// must is do as the owner, and fails where the status is another.
func (s *shop) must(status int, method, path, body string, headers ...string) answerOf {
	s.Helper()
	a := s.do(owner, method, "/v1/AUTH_p"+path, body, headers...)
	if a.status != status {
		s.Fatalf("%s %s: %d and not %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

func (s *shop) wants(a answerOf, status int, what string) {
	s.Helper()
	if a.status != status {
		s.Errorf("%s: %d and not %d: %.300s", what, a.status, status, a.body)
	}
}
