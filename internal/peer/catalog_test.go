package peer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
)

// keystone answers log-ins and questions about tokens; asked counts the latter.
func keystone(t *testing.T, services string, asked *int) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("X-Subject-Token", "own")
			w.WriteHeader(201)
			fmt.Fprint(w, `{"token": {"expires_at": "2030-01-01T00:00:00.000000Z"}}`)
			return
		}
		*asked++
		if r.Header.Get("X-Auth-Token") != "own" || r.Header.Get("X-Subject-Token") != "own" {
			t.Errorf("asked as %q about %q", r.Header.Get("X-Auth-Token"), r.Header.Get("X-Subject-Token"))
		}
		fmt.Fprintf(w, `{"token": {"project": {"id": "p0"}, "catalog": [%s]}}`, services)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestServicesAreFoundInTheCatalog(t *testing.T) {
	things := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"path": %q, "token": %q, "service": %q}`, r.URL.Path, r.Header.Get("X-Auth-Token"), r.Header.Get("X-Service-Token"))
	}))
	defer things.Close()
	endpoint := func(face, region, path string) string {
		return fmt.Sprintf(`{"interface": %q, "region_id": %q, "url": %q}`, face, region, things.URL+path)
	}
	asked := 0
	identity := keystone(t, `{"type": "image", "endpoints": [`+endpoint("public", "Here", "/public")+`,`+endpoint("internal", "There", "/there")+`,`+endpoint("internal", "Here", "/image/v2/")+`]},
		{"type": "volumev3", "endpoints": [`+endpoint("public", "Here", "/volume/v3/p0")+`]}`, &asked)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	network := Network(nil)
	table := Table{"identity": {URL: identity.URL, Transport: network},
		"image":   {Listed: Listing{Types: []string{"image"}, Region: "Here"}, Transport: network},
		"volume":  {Listed: Listing{Types: []string{"block-storage", "volumev3"}, Region: "Here", Versioned: true}, Transport: network},
		"network": {Listed: Listing{Types: []string{"network"}, Region: "Here"}, Transport: network},
		"marked":  {URL: things.URL + "/v3/%(project_id)s", Transport: network}}
	own, err := NewPasswordTokens(table, Credentials{Username: "nova"}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Path, Token, Service string }
	do := func(service string, asCaller bool) error {
		t.Helper()
		c, err := table.Client(service, own)
		if err != nil {
			t.Fatal(err)
		}
		got.Path = ""
		ctx := auth.With(t.Context(), &auth.Caller{Token: "callers", ProjectID: "p1"})
		return c.Do(ctx, Call{Method: "GET", Path: "/x", Out: &got, AsCaller: asCaller})
	}
	for _, x := range []struct {
		service  string
		asCaller bool
		path     string
	}{{"image", false, "/image/x"}, {"image", true, "/image/x"}, {"volume", false, "/volume/v3/p0/x"}, {"volume", true, "/volume/v3/p1/x"},
		{"marked", false, "/v3/p0/x"}, {"marked", true, "/v3/p1/x"}} {
		err := do(x.service, x.asCaller)
		token := map[bool]string{true: "callers", false: "own"}[x.asCaller]
		if err != nil || got.Path != x.path || got.Token != token || got.Service != "own" {
			t.Errorf("%s, as caller %v: %+v, %v; want %s with the token %s", x.service, x.asCaller, got, err, x.path, token)
		}
	}
	if asked != 1 {
		t.Errorf("the catalog was asked for %d times", asked)
	}
	if err := do("network", false); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), `no network service in the region "Here"`) {
		t.Error(err)
	}
	now = now.Add(catalogTTL)
	if err := do("image", false); err != nil || asked != 2 {
		t.Errorf("asked %d times, %v", asked, err)
	}
	nobody, err := table.Client("image", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := nobody.Do(t.Context(), Call{Method: "GET", Path: "/x"}); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

func TestCallsOfCallersRenewTheServicesToken(t *testing.T) {
	for name, table := range wires(t) {
		t.Run(name, func(t *testing.T) {
			tokens := &fixedTokens{}
			c, err := table.Client("things", tokens)
			if err != nil {
				t.Fatal(err)
			}
			ctx := auth.With(t.Context(), &auth.Caller{Token: "own1"})
			err = c.Do(ctx, Call{Method: "GET", Path: "/stale", AsCaller: true})
			if !fault.Is(err, fault.Unauthenticated) || len(tokens.asked) != 2 || tokens.asked[1] != "own1" {
				t.Fatal(tokens.asked, err)
			}
		})
	}
}
