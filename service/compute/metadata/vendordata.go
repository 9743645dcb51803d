package metadata

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"kilonova/internal/config"
	"kilonova/internal/fault"
)

// Options are those of nova.conf's [api] that are about what guests read.
type Options struct {
	// Domain is put behind the names of guests that have no dot.
	Domain          string          `toml:"dhcp_domain"`
	CacheExpiration config.Duration `toml:"metadata_cache_expiration"`
	// ForwardedFor believes X-Forwarded-For where guests ask without a proxy.
	ForwardedFor bool     `toml:"use_forwarded_for"`
	Providers    []string `toml:"vendordata_providers"` // of StaticJSON and DynamicJSON
	File         string   `toml:"vendordata_jsonfile_path"`
	// Targets are NAME@URL: what each answers stands under NAME in
	// vendor_data2.json.
	Targets        []string        `toml:"vendordata_dynamic_targets"`
	ConnectTimeout config.Duration `toml:"vendordata_dynamic_connect_timeout"`
	ReadTimeout    config.Duration `toml:"vendordata_dynamic_read_timeout"`
	CertFile       string          `toml:"vendordata_dynamic_ssl_certfile"` // authorities to believe; "" the system's
	FailureFatal   bool            `toml:"vendordata_dynamic_failure_fatal"`
}

// DefaultOptions are the values for what the configuration does not say.
func DefaultOptions() Options {
	return Options{Domain: "novalocal", CacheExpiration: config.Duration(DefaultExpiration), Providers: []string{"StaticJSON"},
		ConnectTimeout: config.Duration(5 * time.Second), ReadTimeout: config.Duration(5 * time.Second)}
}

// MaxVendorData bounds what the operator's file or a target gives, in bytes.
const MaxVendorData = 1 << 20

// Vendor gives operators' data to guests: a file's, and what services of theirs say
// of each guest. A nil Vendor gives nothing.
type Vendor struct {
	static  json.RawMessage
	targets []target
	fatal   bool
	read    time.Duration
	client  *http.Client
	token   func(ctx context.Context) (string, error)
	log     *slog.Logger
}

type target struct{ name, url string }

// NewVendor reads the options. token is of the service's own user, sent along so
// that the targets know who asks; nil sends none.
func NewVendor(o Options, token func(context.Context) (string, error), log *slog.Logger) (*Vendor, error) {
	v := &Vendor{fatal: o.FailureFatal, read: o.ReadTimeout.D(), token: token, log: log}
	for _, p := range o.Providers {
		if p != "StaticJSON" && p != "DynamicJSON" {
			return nil, fault.Invalidf("[api] vendordata_providers names %q; there are StaticJSON and DynamicJSON.", p)
		}
	}
	if o.File != "" && slices.Contains(o.Providers, "StaticJSON") {
		data, err := os.ReadFile(o.File)
		if err != nil {
			return nil, fmt.Errorf("[api] vendordata_jsonfile_path: %w", err)
		}
		var object map[string]json.RawMessage
		if len(data) > MaxVendorData || json.Unmarshal(data, &object) != nil {
			return nil, fault.Invalidf("[api] vendordata_jsonfile_path: %s is no JSON object of at most %d bytes.", o.File, MaxVendorData)
		}
		v.static = data
	}
	if !slices.Contains(o.Providers, "DynamicJSON") {
		return v, nil
	}
	for _, text := range o.Targets {
		name, url, ok := strings.Cut(text, "@")
		if !ok || name == "" || slices.ContainsFunc(v.targets, func(t target) bool { return t.name == name }) {
			return nil, fault.Invalidf("[api] vendordata_dynamic_targets: %q is not NAME@URL, each name once.", text)
		}
		v.targets = append(v.targets, target{name, url})
	}
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: o.ConnectTimeout.D()}).DialContext, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
	if o.CertFile != "" {
		pem, err := os.ReadFile(o.CertFile)
		if err != nil {
			return nil, fmt.Errorf("[api] vendordata_dynamic_ssl_certfile: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fault.Invalidf("[api] vendordata_dynamic_ssl_certfile: %s has no certificate.", o.CertFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	v.client = &http.Client{Transport: transport}
	return v, nil
}

// Static puts the file's data into what a guest may learn.
func (v *Vendor) Static(inst *Instance) {
	if v != nil {
		inst.VendorData = v.static
	}
}

// Dynamic asks the targets about a guest. Those that fail give {}, unless that
// shall be fatal.
func (v *Vendor) Dynamic(ctx context.Context, inst *Instance) error {
	if v == nil || len(v.targets) == 0 {
		return nil
	}
	inst.VendorData2 = map[string]json.RawMessage{}
	for _, t := range v.targets {
		data, err := v.ask(ctx, t, inst)
		if err != nil {
			v.log.Warn("metadata: a source of vendor data failed", "name", t.name, "server", inst.UUID, "error", err)
			if v.fatal {
				return fmt.Errorf("vendor data %s: %w", t.name, err)
			}
			data = json.RawMessage("{}")
		}
		inst.VendorData2[t.name] = data
	}
	return nil
}

// vendorQuestion is what a target is told of the guest that it is asked about.
type vendorQuestion struct {
	ProjectID  string            `json:"project-id"`
	InstanceID string            `json:"instance-id"`
	ImageID    string            `json:"image-id"`
	UserData   *string           `json:"user-data"`
	Hostname   string            `json:"hostname"`
	Metadata   map[string]string `json:"metadata"`
	BootRoles  string            `json:"boot-roles"`
}

func (v *Vendor) ask(ctx context.Context, t target, inst *Instance) (json.RawMessage, error) {
	question := vendorQuestion{ProjectID: inst.ProjectID, InstanceID: inst.UUID, ImageID: inst.ImageID, Hostname: inst.ShortName, Metadata: inst.Meta, BootRoles: inst.BootRoles}
	if question.Metadata == nil {
		question.Metadata = map[string]string{}
	}
	if inst.UserData != nil {
		text := base64.StdEncoding.EncodeToString(inst.UserData)
		question.UserData = &text
	}
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, v.read)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"openstack-nova-vendordata"}}
	if v.token != nil {
		token, err := v.token(ctx)
		if err != nil {
			return nil, err
		}
		r.Header.Set("X-Auth-Token", token)
	}
	answer, err := v.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, MaxVendorData+1))
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode >= 300:
		return nil, fmt.Errorf("it answered %s", answer.Status)
	case len(data) > MaxVendorData:
		return nil, fmt.Errorf("its answer has more than %d bytes", MaxVendorData)
	case len(bytes.TrimSpace(data)) == 0:
		return json.RawMessage("{}"), nil
	case !json.Valid(data):
		return nil, fmt.Errorf("its answer is no JSON")
	}
	return data, nil
}
