package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
	"kilonova/service/compute/store"
)

// serve is the compute API over a database with n servers on ten hosts, and no
// neighbours: enough for reading.
func serve(t testing.TB, n int) http.Handler {
	t.Helper()
	s, err := store.New(context.Background(), dbtest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	flavor := compute.Flavor{ID: "1", Name: "m1.tiny", VCPUs: 1, MemoryMB: 64, RootGB: 1}
	var all []*compute.Server
	for i := range n {
		ip := netip.AddrFrom4([4]byte{10, 64, byte(i >> 8), byte(i)})
		all = append(all, &compute.Server{ID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i), DisplayName: fmt.Sprint("server-", i), Hostname: fmt.Sprint("server-", i),
			ProjectID: "p", UserID: "u", State: compute.Active, Power: compute.PowerRunning, Flavor: flavor, ImageID: "70a599e0-31e7-49b7-b260-868f441e862b",
			ImageMeta: compute.ImageMeta{Name: "cirros", Properties: map[string]string{"os_distro": "cirros"}}, Metadata: map[string]string{"role": "test"},
			DiskConfig: "MANUAL", Host: fmt.Sprint("host-", i%10), Node: fmt.Sprint("host-", i%10), ReservationID: "r-12345678", RootDevice: "/dev/vda",
			Networks: []compute.Interface{{PortID: fmt.Sprintf("%08d-0000-4000-8000-000000000001", i), MAC: "fa:16:3e:00:00:01", NetworkName: "private", Groups: []string{"default"},
				FixedIPs: []compute.FixedIP{{Address: ip, SubnetID: "s", Prefix: 16, Gateway: netip.MustParseAddr("10.64.0.1"), DHCP: true}}}},
			CreatedAt: epoch.Add(time.Duration(i) * time.Second), UpdatedAt: epoch})
	}
	if err := s.Tx(context.Background(), func(tx *db.Tx) error { return s.InsertServers(context.Background(), tx, all...) }); err != nil {
		t.Fatal(err)
	}
	options := control.Defaults()
	log := slog.New(slog.DiscardHandler)
	c, err := control.New(control.Config{Store: s, Options: options, Log: log, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	caller := &auth.Caller{UserID: "u", ProjectID: "p", Roles: []string{"admin"}, Expires: time.Now().Add(time.Hour)}
	validator := auth.ValidatorFunc(func(context.Context, string) (*auth.Caller, error) { return caller, nil })
	return New(c, Options{Validator: validator, Log: log, Now: time.Now}).Handler()
}

// discard is an answer that nobody reads.
type discard struct {
	header http.Header
	status int
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { d.bytes += len(p); return io.Discard.Write(p) }

func get(t testing.TB, h http.Handler, path, version string) *discard {
	r := httptest.NewRequest("GET", "http://cloud.example/v2.1"+path, nil)
	r.Header.Set("X-Auth-Token", "t")
	r.Header.Set("OpenStack-API-Version", "compute "+version)
	w := &discard{header: http.Header{}}
	h.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		t.Fatalf("%s: %d", path, w.status)
	}
	return w
}

func BenchmarkListDetail1000(b *testing.B) {
	h := serve(b, 1000)
	for b.Loop() {
		w := get(b, h, "/servers/detail?limit=1000", "2.79")
		b.SetBytes(int64(w.bytes))
	}
}

func BenchmarkShowServer(b *testing.B) {
	h := serve(b, 1000)
	for b.Loop() {
		get(b, h, "/servers/00000500-0000-4000-8000-000000000000", "2.79")
	}
}
