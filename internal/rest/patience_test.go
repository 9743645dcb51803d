package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A request whose time is over has not failed, and the log says which it was.
func TestEndsOfTimeAreNoFailures(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	late, end := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer end()
	inner := func(err error) error { return fmt.Errorf("some store: %w", err) }
	for name, x := range map[string]struct {
		ctx    context.Context
		err    error
		status int
		logged string
	}{
		"its client has gone":       {gone, inner(context.Canceled), 503, "INFO request given up: who sent it has gone"},
		"its deadline":              {late, inner(context.DeadlineExceeded), 503, "INFO request given up: its deadline passed"},
		"what it needed":            {t.Context(), inner(context.DeadlineExceeded), 503, "ERROR request not answered: what it needs took too long"},
		"ended by ourselves":        {t.Context(), inner(context.Canceled), 500, "ERROR request failed"},
		"a failure":                 {t.Context(), errors.New("broken"), 500, "ERROR request failed"},
		"a failure when it is over": {gone, errors.New("broken"), 500, "ERROR request failed"},
	} {
		var log bytes.Buffer
		s := testService()
		s.Log = slog.New(slog.NewTextHandler(&log, nil))
		s.Routes = []Route{{Method: "GET", Path: "/", Public: true, Handle: func(context.Context, *Request) (*Response, error) { return nil, x.err }}}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil).WithContext(x.ctx))
		level, message, _ := strings.Cut(x.logged, " ")
		if w.Code != x.status || !strings.Contains(log.String(), "level="+level) || !strings.Contains(log.String(), message) || strings.Contains(w.Body.String(), "store") {
			t.Errorf("%s: %d %s\n%s", name, w.Code, w.Body, log.String())
		}
	}
}
