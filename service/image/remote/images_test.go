package remote

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/image"
)

const id = "36d4b546-64a2-4bb9-bdd0-ba676aa48f2c"

// regions is an identity service whose catalog has image services in two regions,
// of which the second is not there.
func regions(t *testing.T) (*Images, *int) {
	t.Helper()
	asked := 0
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	mux.HandleFunc("GET /v3/auth/catalog", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Auth-Token") != "user" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		type object = map[string]any
		endpoint := func(region, kind, url string) object {
			return object{"region": region, "interface": kind, "url": url}
		}
		json.NewEncoder(w).Encode(object{"catalog": []object{
			{"type": "compute", "endpoints": []object{endpoint("one", "public", "http://wrong.invalid/")}},
			{"type": "image", "endpoints": []object{endpoint("one", "internal", "http://wrong.invalid/"), endpoint("one", "public", srv.URL+"/image/"), endpoint("two", "public", "http://127.0.0.1:1/v2")}}}})
	})
	mux.HandleFunc("GET /image/v2/images/{id}", func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.PathValue("id") != id || r.Header.Get("X-Auth-Token") != "user" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		io.WriteString(w, `{"id": "`+id+`", "status": "active", "size": 4}`)
	})
	mux.HandleFunc("GET /image/v2/images/{id}/file", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "data") })
	identity, err := peer.Table{"identity": {URL: srv.URL, Transport: http.DefaultTransport}}.Client("identity", nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Images{Identity: identity, HTTP: srv.Client()}, &asked
}

func TestImagesOfARegion(t *testing.T) {
	images, asked := regions(t)
	at := image.OtherRegion{Region: "one", Interface: "public", Token: "user"}
	if got, err := images.Show(t.Context(), at, id); err != nil || got["status"] != "active" {
		t.Fatal(got, err)
	}
	body, err := images.Open(t.Context(), at, id)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if data, err := io.ReadAll(body); err != nil || string(data) != "data" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := images.Show(t.Context(), at, "another"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	before := *asked
	for _, wrong := range []image.OtherRegion{{Region: "three", Interface: "public", Token: "user"}, {Region: "one", Interface: "admin", Token: "user"}} {
		if _, err := images.Show(t.Context(), wrong, id); !fault.Is(err, fault.NotFound) {
			t.Error(wrong, err)
		}
	}
	if _, err := images.Show(t.Context(), image.OtherRegion{Region: "two", Interface: "public", Token: "user"}, id); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if _, err := images.Show(t.Context(), image.OtherRegion{Region: "one", Interface: "public", Token: "stranger"}, id); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
	if *asked != before {
		t.Error("somebody was asked who should not have been")
	}
}

func TestCertificatesOfAKeyManager(t *testing.T) {
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	mux.HandleFunc("GET /v1/secrets/{id}/payload", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("X-Auth-Token") != "user":
			w.WriteHeader(http.StatusForbidden)
		case r.PathValue("id") != "cert":
			w.WriteHeader(http.StatusNotFound)
		default:
			io.WriteString(w, "PEM")
		}
	})
	mux.HandleFunc("GET /v1/containers/box", func(w http.ResponseWriter, r *http.Request) {
		// The reference leads elsewhere: only its id may count.
		io.WriteString(w, `{"secret_refs": [{"name": "private_key", "secret_ref": "x/key"}, {"name": "certificate", "secret_ref": "http://169.254.169.254/v1/secrets/cert"}]}`)
	})
	c := &Certificates{URL: srv.URL + "/v1/", HTTP: srv.Client()}
	for _, id := range []string{"cert", "box"} {
		if got, err := c.Certificate(t.Context(), "user", id); err != nil || string(got) != "PEM" {
			t.Errorf("%s: %q, %v", id, got, err)
		}
	}
	if _, err := c.Certificate(t.Context(), "stranger", "cert"); !fault.Is(err, fault.Forbidden) {
		t.Error(err)
	}
	if _, err := c.Certificate(t.Context(), "user", "none"); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	srv.Close()
	if _, err := c.Certificate(t.Context(), "user", "cert"); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}
