package stack

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

func TestParseRoles(t *testing.T) {
	for text, want := range map[string]int{"all": len(starters), "identity": 1, "compute, conductor,scheduler": 2, "all,identity": len(starters)} {
		got, err := parseRoles(text)
		if err != nil || len(got) != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "nova", "identity,,nope"} {
		if _, err := parseRoles(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestConfigurationIsStrict(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.toml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[filter_scheduler]\nhost_subset_size = 3\n[libvirt]\nvirt_type = \"qemu\"\n[DEFAULT]\ncpu_allocation_ratio = 2.0\n[network.quotas]\nquota_port = 7\n")
	c, err := Load(path)
	if err != nil || c.FilterScheduler.HostSubsetSize != 3 || c.Libvirt.VirtType != "qemu" || c.Default.CPURatio != 2 || c.Region != "RegionOne" {
		t.Fatalf("%+v, %v", c.FilterScheduler, err)
	}
	if o := c.computeOptions(); o.Scheduler.Filter.HostSubsetSize != 3 || o.Quota.Instances != 10 || o.MaxAttempts != 3 {
		t.Fatalf("%+v", o)
	}
	write("[filter_scheduler]\nhost_subset = 3\n")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "line 2: unknown option filter_scheduler.host_subset") {
		t.Fatal(err)
	}
}

func TestSecretsAreMadeOnceAndKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "secrets.toml")
	given := Secrets{AdminPassword: "mine"}
	if err := given.fill(path); err != nil {
		t.Fatal(err)
	}
	again := Secrets{}
	if err := again.fill(path); err != nil {
		t.Fatal(err)
	}
	if again.NovaPassword != given.NovaPassword || again.NovaPassword == "" || given.NovaPassword == given.GlancePass || again.AdminPassword == "mine" {
		t.Fatalf("%+v and %+v", given, again)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
}

func TestCloudsFileKeepsWhatItHas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "openstack", "clouds.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("clouds:\n  other:\n    auth:\n      username: me\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	login := map[string]Login{"kilonova": {AuthURL: "http://x/identity/v3", Username: "demo", Password: "p"}}
	for range 2 {
		if err := WriteClouds(path, login); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(data, []byte("username: me")) || !bytes.Contains(data, []byte("username: demo")) {
		t.Fatalf("%s, %v", data, err)
	}
}

// certificate writes a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return certFile, keyFile, pool
}

func TestHTTPSAndHealth(t *testing.T) {
	c := Dev(t.TempDir(), "127.0.0.1:0", 1)
	var pool *x509.CertPool
	c.Listen.CertFile, c.Listen.KeyFile, pool = certificate(t)
	s, err := Start(t.Context(), c, quiet, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, Timeout: 10 * time.Second}
	for path, want := range map[string]string{"/healthz": "ok", "/metrics": "go_goroutines", "/identity/v3": "https://127.0.0.1", "/compute/": "CURRENT"} {
		resp, err := client.Get(s.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode >= 400 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %.200s, %v", path, resp.StatusCode, body, err)
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	s, err := Start(t.Context(), Dev(t.TempDir(), "127.0.0.1:0", 2), quiet, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Wait() }()
	s.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Wait does not return")
	}
	if _, err := http.Get(s.URL() + "/healthz"); err == nil {
		t.Fatal("it still answers")
	}
}

func TestStartTellsWhatIsWrong(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, change := range map[string]func(*Config){
		"address already in use":  func(c *Config) { c.Listen.Address = taken.Addr().String() },
		"there is no role":        func(c *Config) { c.Roles = "nova" },
		"no compute_driver \"xen": func(c *Config) { c.Default.ComputeDriver = "xen" },
		"NoSuchFilter":            func(c *Config) { c.FilterScheduler.EnabledFilters = []string{"NoSuchFilter"} },
		"both cert_file and":      func(c *Config) { c.Listen.CertFile = "x" },
	} {
		c := Dev(t.TempDir(), "127.0.0.1:0", 1)
		change(&c)
		s, err := Start(t.Context(), c, quiet, time.Now)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want mention of %q", err, name)
		}
	}
}
