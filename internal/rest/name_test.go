package rest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Names that clients choose freely are taken as they are, and lead nowhere else.
func TestNamesAtTheEndOfPaths(t *testing.T) {
	say := func(what string) Handler {
		return func(_ context.Context, r *Request) (*Response, error) {
			return OK(nil).With("Said", what+":"+r.Path("a")+":"+r.Path("c")+":"+r.Path("o")), nil
		}
	}
	h := (&Service{Name: "names", NameAfter: 3, Envelope: ComputeEnvelope, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Head: func(h http.Header, id string) { h.Set("X-Own", id[:4]) },
		Routes: []Route{{Method: "GET", Path: "/info", Public: true, Handle: say("info")}, {Method: "GET", Path: "/v1/{a}", Public: true, Handle: say("account")},
			{Method: "GET", Path: "/v1/{a}/{c}", Public: true, Handle: say("container")}, {Method: "GET", Path: "/v1/{a}/{c}/{o...}", Public: true, Handle: say("object")}}}).Handler()
	for path, want := range map[string]string{
		"/info": "info:::", "/v1/a": "account:a::", "/v1/a/": "account:a::", "/v1/a/c": "container:a:c:", "/v1/a/c/": "container:a:c:",
		"/v1/a/c/o": "object:a:c:o", "/v1/a/c/o/": "object:a:c:o/", "/v1/a/c//o//p": "object:a:c:/o//p", "/v1/a/c/../x/./": "object:a:c:../x/./", "/v1/a/c/%2e%2e": "object:a:c:..",
		"/v1/a/c/o%2Fp%20q?x=1": "object:a:c:o/p q", "/v1/{a}/c/o": "object:{a}:c:o", "/v1/../c": "container:..:c:", "/v1//c": "", "/v1/a//o": "", "/v2/a": "", "/x/../info": "",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://x"+path, nil))
		if got := w.Header().Get("Said"); got != want || (w.Code == 401) != (want == "") || w.Header().Get("X-Own") != "req-" {
			t.Errorf("%s: %d %q, not %q", path, w.Code, got, want)
		}
	}
}
