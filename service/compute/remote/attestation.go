package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// AttestationOptions are section [trusted_computing], by the names that upstream
// had for as long as it had TrustedFilter.
type AttestationOptions struct {
	Server string `toml:"attestation_server"` // "" there is none
	// CAFile has the authorities that may vouch for the server; "" the system's.
	CAFile string `toml:"attestation_server_ca_file"`
	Port   string `toml:"attestation_port"`
	URL    string `toml:"attestation_api_url"`
	// AuthBlob is what the server knows its callers by.
	AuthBlob string `toml:"attestation_auth_blob"`
	// AuthTimeout is for how many seconds an attestation is good.
	AuthTimeout int `toml:"attestation_auth_timeout"`
	// Insecure takes any certificate for the server's.
	Insecure bool `toml:"attestation_insecure_ssl"`
}

// DefaultAttestation are upstream's defaults.
func DefaultAttestation() AttestationOptions {
	return AttestationOptions{Port: "8443", URL: "/OpenAttestationWebServices/V1.0", AuthTimeout: 60}
}

// Attestation is an OpenAttestation server, version 1. It keeps what it was told
// for as long as that is good.
type Attestation struct {
	options AttestationOptions
	poll    string // URL
	client  *http.Client
	now     func() time.Time

	mu    sync.Mutex
	known map[string]attested // by node
	quiet time.Time           // until when a server that has failed is let be
}

type attested struct {
	level string
	at    time.Time
}

var _ compute.Attestation = (*Attestation)(nil)

// What an attestation server may take and say. A decision waits for it, so a server
// that has failed is not asked again at once.
const (
	attestationTime  = 5 * time.Second
	attestationPause = 15 * time.Second
	attestedAtOnce   = 100
	maxAttestation   = 1 << 20
)

// NewAttestation reads the options. Those that cannot be meant are fault.Invalid.
func NewAttestation(o AttestationOptions, now func() time.Time) (*Attestation, error) {
	a := &Attestation{options: o, now: now, known: map[string]attested{}}
	address := url.URL{Scheme: "https", Host: net.JoinHostPort(o.Server, o.Port), Path: strings.TrimRight(o.URL, "/") + "/PollHosts"}
	a.poll = address.String()
	if u, err := url.Parse(a.poll); err != nil || u.Hostname() != o.Server {
		return nil, fault.Invalidf("[trusted_computing] attestation_server, attestation_port: %q and %q are no address.", o.Server, o.Port)
	}
	if o.AuthTimeout < 0 {
		return nil, fault.Invalidf("[trusted_computing] attestation_auth_timeout is %d, which is no time.", o.AuthTimeout)
	}
	secure := &tls.Config{InsecureSkipVerify: o.Insecure}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("[trusted_computing] attestation_server_ca_file: %w", err)
		}
		if secure.RootCAs = x509.NewCertPool(); !secure.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.Invalidf("[trusted_computing] attestation_server_ca_file: %s has no certificate.", o.CAFile)
		}
	}
	a.client = &http.Client{Timeout: attestationTime, Transport: &http.Transport{TLSClientConfig: secure, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // the blob is for this server
	return a, nil
}

// Trust implements compute.Attestation.
func (a *Attestation) Trust(ctx context.Context, nodes []string) (map[string]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	good := now.Add(-time.Duration(a.options.AuthTimeout) * time.Second)
	maps.DeleteFunc(a.known, func(_ string, v attested) bool { return v.at.Before(good) })
	levels := make(map[string]string, len(nodes))
	var ask []string
	for _, node := range nodes {
		if v, ok := a.known[node]; ok {
			levels[node] = v.level
		} else {
			ask = append(ask, node)
		}
	}
	if len(ask) > 0 && now.Before(a.quiet) {
		return levels, fault.New(fault.Unavailable, "The attestation server %s has failed a moment ago.", a.options.Server)
	}
	for some := range slices.Chunk(ask, attestedAtOnce) {
		told, err := a.attest(ctx, some)
		if err != nil {
			a.quiet = a.now().Add(attestationPause)
			return levels, fault.Wrap(err, fault.Unavailable, "The attestation server %s gives no answer.", a.options.Server)
		}
		for node, v := range told {
			a.known[node], levels[node] = v, v.level
		}
	}
	return levels, nil
}

// attest asks the server about nodes.
func (a *Attestation) attest(ctx context.Context, nodes []string) (map[string]attested, error) {
	body, err := json.Marshal(map[string]any{"count": len(nodes), "hosts": nodes})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.poll, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	if a.options.AuthBlob != "" {
		r.Header.Set("X-Auth-Blob", a.options.AuthBlob)
	}
	resp, err := a.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 204 {
		return nil, fmt.Errorf("it says %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAttestation+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxAttestation {
		return nil, fmt.Errorf("it says more than %d bytes about %d hosts", maxAttestation, len(nodes))
	}
	var told struct {
		Hosts []struct {
			Name  string `json:"host_name"`
			Level string `json:"trust_lvl"`
			Time  string `json:"vtime"`
		} `json:"hosts"`
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &told); err != nil {
			return nil, err
		}
	}
	all := map[string]attested{}
	for _, h := range told.Hosts {
		if !slices.Contains(nodes, h.Name) {
			continue
		}
		at, err := time.Parse(time.RFC3339, h.Time)
		if err != nil { // nobody knows how long that is good
			h.Level, at = "unknown", a.now()
		}
		all[h.Name] = attested{h.Level, at}
	}
	return all, nil
}
