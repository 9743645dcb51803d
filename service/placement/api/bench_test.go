package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/auth"
	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/service/placement"
	"kilonova/service/placement/control"
	"kilonova/service/placement/store"
)

// hosts makes a store with n compute nodes as nova reports
// them: three inventories, 60 traits, an aggregate for each rack of 40.
func hosts(tb testing.TB, n int) (*store.Store, []string) {
	tb.Helper()
	s, err := store.New(tb.Context(), dbtest.New(tb))
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	uuids := make([]string, n)
	var rack string
	for i := range n {
		if i%40 == 0 {
			rack = uuid.NewString()
		}
		uuids[i] = uuid.NewString()
		_, err := s.CreateProvider(tb.Context(), now, placement.Provider{UUID: uuids[i], Name: fmt.Sprintf("host%05d", i)})
		if err == nil {
			_, err = s.SetTraits(tb.Context(), now, uuids[i], nil, placement.StandardTraits[:60])
		}
		if err == nil {
			_, err = s.SetAggregates(tb.Context(), now, uuids[i], nil, []string{rack})
		}
		if err == nil {
			_, err = s.SetInventories(tb.Context(), now, uuids[i], nil, []placement.Inventory{
				{Class: "VCPU", Total: 64, MinUnit: 1, MaxUnit: 64, StepSize: 1, Ratio: 4},
				{Class: "MEMORY_MB", Total: 512 << 10, Reserved: 512, MinUnit: 1, MaxUnit: 512 << 10, StepSize: 1, Ratio: 1},
				{Class: "DISK_GB", Total: 4000, MinUnit: 1, MaxUnit: 4000, StepSize: 1, Ratio: 1}})
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return s, uuids
}

// handler returns the API for a caller who is an administrator with the token
// "admin", a service with "service", and a reader of the project "p1" with "reader".
func handler(tb testing.TB, s *store.Store, o control.Options) http.Handler {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	c, err := control.New(control.Config{Store: s, Log: log, Now: time.Now, Options: o})
	if err != nil {
		tb.Fatal(err)
	}
	callers := map[string]*auth.Caller{
		"admin":   {UserID: "a", ProjectID: "p0", Roles: []string{"admin"}},
		"service": {UserID: "s", ProjectID: "p0", Roles: []string{"service"}},
		"reader":  {UserID: "r", ProjectID: "p1", Roles: []string{"reader"}},
		"system":  {UserID: "a", System: "all", Roles: []string{"admin"}},
	}
	return New(c, Options{Log: log, Now: time.Now, Validator: auth.ValidatorFunc(func(_ context.Context, token string) (*auth.Caller, error) {
		if c, ok := callers[token]; ok {
			return c, nil
		}
		return nil, fault.New(fault.Unauthenticated, "The token is not known.")
	})}).Handler()
}

// call makes one request at the newest version.
func call(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	return callAs(h, "admin", "1.39", method, path, body)
}

func callAs(h http.Handler, token, version, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	r.Header.Set("OpenStack-API-Version", "placement "+version)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const flavor = "/allocation_candidates?resources=VCPU:4,MEMORY_MB:8192,DISK_GB:40&required=COMPUTE_NODE,!COMPUTE_STATUS_DISABLED"

// BenchmarkCandidates is what a scheduler waits for, through the whole service.
func BenchmarkCandidates(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		s, uuids := hosts(b, n)
		h := handler(b, s, control.Defaults())
		call(h, "GET", flavor+"&limit=1", "") // the picture is made once
		for _, limit := range []int{10, 1000} {
			b.Run(fmt.Sprintf("hosts=%d/limit=%d", n, limit), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if w := call(h, "GET", fmt.Sprintf("%s&limit=%d", flavor, limit), ""); w.Code != 200 {
						b.Fatal(w.Code, w.Body)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("hosts=%d/limit=10/aggregate", n), func(b *testing.B) {
			w := call(h, "GET", "/resource_providers/"+uuids[n-1]+"/aggregates", "")
			aggregate := strings.Split(w.Body.String(), `"`)[3]
			for b.Loop() {
				if w := call(h, "GET", flavor+"&limit=10&member_of="+aggregate, ""); w.Code != 200 || w.Body.Len() < 1000 {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
		b.Run(fmt.Sprintf("hosts=%d/limit=10/after a claim", n), func(b *testing.B) {
			var i int
			for b.Loop() {
				if w := claim(h, uuids[i%n]); w.Code != 204 && w.Code != 409 {
					b.Fatal(w.Code, w.Body)
				}
				if w := call(h, "GET", flavor+"&limit=10", ""); w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
				i++
			}
		})
	}
}

func claim(h http.Handler, provider string) *httptest.ResponseRecorder {
	return call(h, "PUT", "/allocations/"+uuid.NewString(), `{"allocations": {"`+provider+`": {"resources": {"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1}}},
		"project_id": "p", "user_id": "u", "consumer_generation": null, "consumer_type": "INSTANCE"}`)
}

// BenchmarkClaim is a new server's claim, one after the other and many at once.
func BenchmarkClaim(b *testing.B) {
	s, uuids := hosts(b, 1000)
	h := handler(b, s, control.Defaults())
	var i atomic.Int64
	one := func() {
		if w := claim(h, uuids[int(i.Add(1))%len(uuids)]); w.Code != 204 && w.Code != 409 {
			b.Error(w.Code, w.Body)
		}
	}
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			one()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one()
			}
		})
	})
}

// BenchmarkFirstPicture is the first question after a start.
func BenchmarkFirstPicture(b *testing.B) {
	s, _ := hosts(b, 10_000)
	for b.Loop() {
		if w := call(handler(b, s, control.Defaults()), "GET", flavor+"&limit=10", ""); w.Code != 200 {
			b.Fatal(w.Code, w.Body)
		}
	}
}

// BenchmarkListProviders lists 1,000 providers.
func BenchmarkListProviders(b *testing.B) {
	s, _ := hosts(b, 1000)
	h := handler(b, s, control.Defaults())
	for b.Loop() {
		if w := call(h, "GET", "/resource_providers", ""); w.Code != 200 {
			b.Fatal(w.Code, w.Body)
		}
	}
}
