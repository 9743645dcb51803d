package remote

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
)

// attester is an OpenAttestation server, over https.
type attester struct {
	*httptest.Server
	asked  []string // the hosts of each question
	levels map[string]string
	vtime  string
	status int
	said   string // in place of an answer
}

func newAttester(t *testing.T) (*attester, AttestationOptions) {
	t.Helper()
	a := &attester{levels: map[string]string{}, status: http.StatusOK}
	a.Server = httptest.NewUnstartedServer(a)
	a.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of clients that do not trust it
	a.StartTLS()
	t.Cleanup(a.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	o := DefaultAttestation()
	o.Server, o.Port, o.CAFile, o.AuthBlob = u.Hostname(), u.Port(), ca, "i am a scheduler"
	return a, o
}

func (a *attester) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Count int
		Hosts []string
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	if err != nil || in.Count != len(in.Hosts) || r.Method != "POST" || r.URL.Path != "/OpenAttestationWebServices/V1.0/PollHosts" ||
		r.Header.Get("X-Auth-Blob") != "i am a scheduler" || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "not like this", http.StatusBadRequest)
		return
	}
	a.asked = append(a.asked, strings.Join(in.Hosts, " "))
	if a.status != http.StatusOK || a.said != "" {
		w.WriteHeader(a.status)
		io.WriteString(w, a.said)
		return
	}
	type host struct {
		Name  string `json:"host_name"`
		Level string `json:"trust_lvl"`
		Time  string `json:"vtime"`
	}
	var out struct {
		Hosts []host `json:"hosts"`
	}
	for _, name := range in.Hosts {
		if level := a.levels[name]; level != "" {
			out.Hosts = append(out.Hosts, host{name, level, a.vtime})
		}
	}
	out.Hosts = append(out.Hosts, host{"not-asked-for", "trusted", a.vtime})
	json.NewEncoder(w).Encode(out)
}

func TestAttestation(t *testing.T) {
	server, o := newAttester(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	server.vtime = now.Add(-10 * time.Second).In(time.FixedZone("", -4*3600)).Format(time.RFC3339)
	server.levels = map[string]string{"a": "trusted", "b": "untrusted"}
	a, err := NewAttestation(o, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	trust := func(want string, asked int, nodes ...string) {
		t.Helper()
		levels, err := a.Trust(t.Context(), nodes)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(levels); got != want || len(server.asked) != asked {
			t.Errorf("%s, asked %q; want %s after %d questions", got, server.asked, want, asked)
		}
	}
	trust("map[a:trusted b:untrusted]", 1, "a", "b", "c")
	trust("map[a:trusted]", 1, "a") // still good
	trust("map[]", 2, "c")          // nor is what nobody asked about kept
	now = now.Add(51 * time.Second) // a minute after it was attested
	server.levels["a"], server.vtime = "untrusted", now.Format(time.RFC3339)
	trust("map[a:untrusted]", 3, "a")
	now = now.Add(2 * time.Minute)
	server.vtime = "yesterday"
	trust("map[a:unknown b:unknown]", 4, "a", "b")
	trust("map[a:unknown b:unknown]", 4, "a", "b")
	now = now.Add(2 * time.Minute)
	server.vtime = now.Format(time.RFC3339)
	var many []string
	for i := range 250 {
		many = append(many, fmt.Sprint("n", i))
		server.levels[many[i]] = "trusted"
	}
	levels, err := a.Trust(t.Context(), many)
	if err != nil || len(levels) != 250 || len(server.asked) != 7 {
		t.Errorf("%d of 250 hosts in %d questions, %v", len(levels), len(server.asked)-4, err)
	}
}

// TestAttestationFails: whatever goes wrong, nobody is trusted by it, what is known
// stands, and the server is let be for a while.
func TestAttestationFails(t *testing.T) {
	for name, break_ := range map[string]func(*attester, *AttestationOptions){
		"refuses":        func(a *attester, _ *AttestationOptions) { a.status = http.StatusForbidden },
		"redirects":      func(a *attester, _ *AttestationOptions) { a.status = http.StatusTemporaryRedirect },
		"talks nonsense": func(a *attester, _ *AttestationOptions) { a.said = "<html>" },
		"talks too much": func(a *attester, _ *AttestationOptions) {
			a.said = `{"hosts": [` + strings.Repeat(`{"host_name": "b", "trust_lvl": "trusted"},`, 1<<16)
		},
		"is another one": func(_ *attester, o *AttestationOptions) { o.CAFile = "" }, // nobody of the system's vouches for it
		"is gone":        func(a *attester, _ *AttestationOptions) { a.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			server, o := newAttester(t)
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			server.levels, server.vtime = map[string]string{"a": "trusted", "b": "trusted"}, now.Format(time.RFC3339)
			known := attested{"trusted", now}
			break_(server, &o)
			a, err := NewAttestation(o, func() time.Time { return now })
			if err != nil {
				t.Fatal(err)
			}
			a.known["a"] = known
			for range 2 {
				levels, err := a.Trust(t.Context(), []string{"a", "b"})
				if !fault.Is(err, fault.Unavailable) || fmt.Sprint(levels) != "map[a:trusted]" {
					t.Errorf("%v, %v", levels, err)
				}
			}
			if len(server.asked) > 1 {
				t.Errorf("asked %d times", len(server.asked))
			}
		})
	}
	server, o := newAttester(t) // and it is asked again later
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a, err := NewAttestation(o, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	server.status = http.StatusServiceUnavailable
	if _, err := a.Trust(t.Context(), []string{"a"}); err == nil {
		t.Error("a server that fails attests")
	}
	server.status, server.levels, server.vtime = http.StatusOK, map[string]string{"a": "trusted"}, now.Format(time.RFC3339)
	now = now.Add(attestationPause)
	if levels, err := a.Trust(t.Context(), []string{"a"}); err != nil || levels["a"] != "trusted" {
		t.Error(levels, err)
	}
	o.CAFile, o.Insecure = "", true
	if a, err = NewAttestation(o, func() time.Time { return now }); err != nil {
		t.Fatal(err)
	}
	if levels, err := a.Trust(t.Context(), []string{"a"}); err != nil || levels["a"] != "trusted" {
		t.Error("insecure:", levels, err)
	}
}

func TestAttestationOptions(t *testing.T) {
	for name, change := range map[string]func(*AttestationOptions){
		"a host with a path": func(o *AttestationOptions) { o.Server = "oat/x" },
		"no port":            func(o *AttestationOptions) { o.Port = "http" },
		"no time":            func(o *AttestationOptions) { o.AuthTimeout = -1 },
		"no file":            func(o *AttestationOptions) { o.CAFile = "/no/such/file" },
		"no certificate":     func(o *AttestationOptions) { o.CAFile = "attestation_test.go" },
	} {
		o := DefaultAttestation()
		o.Server = "oat.example.com"
		change(&o)
		if _, err := NewAttestation(o, time.Now); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
