package api

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kilonova/service/identity/control"
	hashing "kilonova/service/identity/password"
)

// steady is a cloud with a token.
func steady(b *testing.B) (*cloud, string) {
	k := newCloud(b)
	k.user("alice", "member")
	return k, k.login("alice", "alice's secret", project("alice")).token
}

// BenchmarkShowTokenOverTCP is what services ask of identity, over TCP, with the catalog.
func BenchmarkShowTokenOverTCP(b *testing.B) {
	k, token := steady(b)
	srv := httptest.NewServer(k.handler)
	defer srv.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			req, _ := http.NewRequest("GET", srv.URL+"/v3/auth/tokens", nil)
			req.Header.Set("X-Auth-Token", k.admin)
			req.Header.Set("X-Subject-Token", token)
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 {
				b.Errorf("status %d", resp.StatusCode)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// A log-in costs its password hash, and little more: the two, one after the other.
func BenchmarkLogIn(b *testing.B) {
	k := newCloud(b, func(o *control.Options) { o.Identity.PasswordHashRounds = 10 })
	hashed, err := hashing.New(hashing.Hasher{Rounds: 10, Random: rand.Reader})
	if err != nil {
		b.Fatal(err)
	}
	hash, err := hashed.Make(adminPassword)
	if err != nil {
		b.Fatal(err)
	}
	body := password("admin", adminPassword, project("admin"))
	var alone time.Duration
	for b.Loop() {
		if a := k.do("", "POST", "/v3/auth/tokens", body); a.status != 201 {
			b.Fatal(a.body)
		}
		b.StopTimer()
		at := time.Now()
		hashed.Matches(hash, adminPassword)
		alone += time.Since(at)
		b.StartTimer()
	}
	b.ReportMetric(float64(alone.Nanoseconds())/float64(b.N), "ns-of-hash/op")
}
