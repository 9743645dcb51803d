package rest

import (
	"net/http/httptest"
	"testing"
)

func TestCORS(t *testing.T) {
	s := testService()
	s.CORS = &CORS{Origins: []string{"https://good.example.com"}, Headers: []string{"X-Auth-Token"}, Expose: []string{"X-Subject-Token"}}
	h := s.Handler()
	for _, tt := range []struct {
		method, origin, asks, headers string
		status                        int
		allow, allowHeaders           string
	}{
		{"OPTIONS", "https://good.example.com", "GET", "x-auth-token, accept", 200, "https://good.example.com", "x-auth-token,accept"},
		{"OPTIONS", "https://good.example.com", "GET", "x-other", 200, "", ""},
		{"OPTIONS", "https://good.example.com", "BREW", "", 200, "", ""},
		{"OPTIONS", "https://bad.example.com", "GET", "", 200, "", ""},
		{"GET", "https://good.example.com", "", "", 200, "https://good.example.com", ""},
		{"GET", "https://bad.example.com", "", "", 200, "", ""},
		{"GET", "", "", "", 200, "", ""},
	} {
		r := httptest.NewRequest(tt.method, "/", nil)
		r.Header.Set("Origin", tt.origin)
		r.Header.Set("Access-Control-Request-Method", tt.asks)
		r.Header.Set("Access-Control-Request-Headers", tt.headers)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Access-Control-Allow-Origin"); w.Code != tt.status || got != tt.allow {
			t.Errorf("%s from %q: %d, allowed %q; want %d, %q", tt.method, tt.origin, w.Code, got, tt.status, tt.allow)
		}
		if got := w.Header().Get("Access-Control-Allow-Headers"); got != tt.allowHeaders {
			t.Errorf("%s from %q: headers %q, want %q", tt.method, tt.origin, got, tt.allowHeaders)
		}
	}
}
