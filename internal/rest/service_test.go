package rest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
)

func testService() *Service {
	say := func(text string) Handler {
		return func(_ context.Context, r *Request) (*Response, error) {
			return OK(map[string]string{"said": text, "id": r.Path("id"), "version": r.Version.String()}), nil
		}
	}
	return &Service{
		Name: "compute", Versions: []Version{V("2.1"), V("2.2"), V("2.30")}, LegacyHeader: "X-OpenStack-Nova-API-Version",
		Roots: []string{"/v2.1", "/v2"}, CutProject: true, Envelope: ComputeEnvelope, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Validator: auth.ValidatorFunc(func(_ context.Context, token string) (*auth.Caller, error) {
			if token != "good" {
				return nil, fault.New(fault.Unauthenticated, "No.")
			}
			return &auth.Caller{UserID: "u"}, nil
		}),
		Routes: []Route{
			{Method: "GET", Path: "/", Public: true, Handle: say("root")},
			{Method: "GET", Path: "/servers/detail", Handle: say("detail")},
			{Method: "GET", Path: "/servers/{id}", Handle: say("show")},
			{Method: "GET", Path: "/servers/{id}/tags", Versions: "2.26-", Handle: say("tags")},
			{Method: "GET", Path: "/old", Versions: "-2.1", Handle: say("old")},
			{Method: "GET", Path: "/old", Versions: "2.2-", Handle: say("new")},
			{Method: "POST", Path: "/servers/{id}/action", Action: "start", Handle: say("start")},
			{Method: "POST", Path: "/servers/{id}/action", Action: "stop", Versions: "2.30-", Handle: say("stop")},
			{Method: "GET", Path: "/panic", Handle: func(context.Context, *Request) (*Response, error) { panic("secret") }},
			{Method: "GET", Path: "/list", Handle: func(_ context.Context, r *Request) (*Response, error) {
				return &Response{Items: &Items{Key: "things", Each: func(yield func(any) error) error {
					for range 3 {
						if err := yield(map[string]int{"a": 1}); err != nil {
							return err
						}
					}
					if r.Query.Get("fail") != "" {
						return errors.New("in the middle")
					}
					return nil
				}, Tail: func() map[string]any { return map[string]any{"links": []string{"next"}, "none": nil} }}}, nil
			}},
		},
	}
}

func TestService(t *testing.T) {
	srv := httptest.NewServer(Below("/compute", testService().Handler()))
	defer srv.Close()
	tests := []struct {
		method, path, version, token, body string
		status                             int
		want                               string
	}{
		{"GET", "/compute", "", "", "", 200, `"root"`},
		{"GET", "/compute/", "", "", "", 200, `"root"`},
		{"GET", "/compute/v2.1/servers/x", "", "", "", 401, `{"unauthorized":{"code":401`},
		{"GET", "/compute/v2.1/servers/x", "", "bad", "", 401, ``},
		{"GET", "/compute/v2.1/nothing", "", "", "", 401, ``},
		{"GET", "/compute/v2.1/nothing", "", "good", "", 404, `{"itemNotFound":{"code":404`},
		{"GET", "/compute/v2.1/servers/x", "", "good", "", 200, `"id":"x","said":"show","version":"2.1"`},
		{"GET", "/compute/v2.1/servers/x/", "2.2", "good", "", 200, `"version":"2.2"`},
		{"GET", "/compute/v2.1/servers/x", "latest", "good", "", 200, `"version":"2.30"`},
		{"GET", "/compute/v2.1/servers/x", "2.31", "good", "", 406, `Minimum is 2.1 and maximum is 2.30`},
		{"GET", "/compute/v2.1/servers/x", "2.x", "good", "", 400, `badRequest`},
		{"GET", "/compute/v2.1/servers/detail", "", "good", "", 200, `"detail"`},
		{"GET", "/compute/v2.1/0123456789abcdef0123456789abcdef/servers/x", "", "good", "", 200, `"show"`},
		{"GET", "/compute/v2/servers/x", "", "good", "", 200, `"show"`},
		{"GET", "/compute/v2.1/servers/x/tags", "2.2", "good", "", 404, ``},
		{"GET", "/compute/v2.1/servers/x/tags", "2.30", "good", "", 200, `"tags"`},
		{"GET", "/compute/v2.1/old", "", "good", "", 200, `"old"`},
		{"GET", "/compute/v2.1/old", "2.2", "good", "", 200, `"new"`},
		{"PATCH", "/compute/v2.1/old", "2.2", "good", "", 405, `badMethod`},
		{"POST", "/compute/v2.1/servers/x/action", "", "good", `{"start": null}`, 200, `"start"`},
		{"POST", "/compute/v2.1/servers/x/action", "", "good", `{"stop": null}`, 404, ``},
		{"POST", "/compute/v2.1/servers/x/action", "2.30", "good", `{"stop": null}`, 200, `"stop"`},
		{"POST", "/compute/v2.1/servers/x/action", "", "good", `{"fly": null}`, 400, `no such action: fly`},
		{"POST", "/compute/v2.1/servers/x/action", "", "good", `{"start": null, "stop": null}`, 400, ``},
		{"POST", "/compute/v2.1/servers/x/action", "", "good", `"start"`, 400, ``},
		{"POST", "/compute/v2.1/servers/x/action", "", "good", `{"start": "` + strings.Repeat("x", 200000) + `"}`, 413, `overLimit`},
		{"GET", "/compute/v2.1/panic", "", "good", "", 500, `computeFault`},
		{"GET", "/compute/v2.1/list", "", "good", "", 200, `{"things": [{"a":1}, {"a":1}, {"a":1}], "links": ["next"]}`},
		{"GET", "/compute/v2.1/list?fail=1", "", "good", "", 500, `computeFault`},
		{"GET", "/compute/v2.1/../v2.1/old", "", "good", "", 404, ``},
		{"GET", "/compute/v2.1//old", "", "good", "", 404, ``},
		{"GET", "/compute/v2.1/old?a=%zz", "", "good", "", 400, `malformed`},
		{"GET", "/compute/v2.1/servers/%2e%2e", "", "good", "", 404, ``},
	}
	for _, tt := range tests {
		req, err := http.NewRequest(tt.method, srv.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if tt.token != "" {
			req.Header.Set("X-Auth-Token", tt.token)
		}
		if tt.version != "" {
			req.Header.Set("OpenStack-API-Version", "volume 3.0, compute "+tt.version)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tt.status || !strings.Contains(string(body), tt.want) || strings.Contains(string(body), "secret") {
			t.Errorf("%s %.80s at %s: %d %.300s, want %d %s (%v)", tt.method, tt.path, tt.version, resp.StatusCode, body, tt.status, tt.want, err)
		}
		if id := resp.Header.Get("X-Openstack-Request-Id"); len(id) != 40 {
			t.Errorf("%s: request id %q", tt.path, id)
		}
	}
}

func TestFaultOfReadsEveryEnvelope(t *testing.T) {
	req := httptest.NewRequest("GET", "/", nil)
	req.Header.Set("Accept", "application/json")
	for name, envelope := range map[string]Envelope{"compute": ComputeEnvelope, "identity": IdentityEnvelope, "network": NetworkEnvelope,
		"placement": PlacementEnvelope, "image": ImageEnvelope} {
		body, _ := envelope(req, 409, &fault.Error{Kind: fault.Conflict, Message: "It is in use.", Code: "InUse"}, "req-1")
		f := FaultOf(name, &http.Response{StatusCode: 409, Status: "409 Conflict", Body: io.NopCloser(strings.NewReader(string(body)))})
		if f.Kind != fault.Conflict || f.Message != "It is in use." {
			t.Errorf("%s: %+v from %s", name, f, body)
		}
	}
	f := FaultOf("image", &http.Response{StatusCode: 502, Status: "502 Bad Gateway", Body: io.NopCloser(strings.NewReader("<html>"))})
	if f.Kind != fault.Unavailable || !strings.Contains(f.Message, "502") {
		t.Errorf("%+v", f)
	}
}

func TestStrictSlashHasNoNamelessThings(t *testing.T) {
	s := testService()
	s.StrictSlash = true
	h := s.Handler()
	for path, want := range map[string]int{"/v2.1/servers/x/": 404, "/v2.1/servers/x": 200, "/v2.1/": 200, "/": 200} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("X-Auth-Token", "good")
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}
