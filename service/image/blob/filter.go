package blob

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kilonova/internal/fault"
)

// Filter says from where this service may fetch what a user names. Of each pair
// the list of what is allowed counts where it is not empty. Without AllowedHosts,
// hosts in networks that are not public are refused.
type Filter struct {
	AllowedSchemes    []string `toml:"allowed_schemes"`
	DisallowedSchemes []string `toml:"disallowed_schemes"`
	AllowedHosts      []string `toml:"allowed_hosts"`
	DisallowedHosts   []string `toml:"disallowed_hosts"`
	AllowedPorts      []int    `toml:"allowed_ports"`
	DisallowedPorts   []int    `toml:"disallowed_ports"`
}

const fetchRedirects = 5

// Permit checks an address without asking anybody; purpose names it in the
// refusal: "URI for web-download". It is asked for each redirection again, and
// where the name leads to is checked when the connection is made (CVE-2026-34881).
func (f *Filter) Permit(purpose, uri string) error {
	refused := fault.Invalidf("%s does not pass filtering: %.200s", purpose, uri)
	u, err := url.Parse(uri)
	if err != nil || u.Hostname() == "" || u.User != nil || len(uri) > 2048 {
		return refused
	}
	port := map[string]int{"http": 80, "https": 443}[u.Scheme]
	if text := u.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil {
			return refused
		}
	}
	if u.Scheme != "http" && u.Scheme != "https" || // no others can be fetched
		!passes(u.Scheme, f.AllowedSchemes, f.DisallowedSchemes) ||
		!passes(hostname(u), f.AllowedHosts, f.DisallowedHosts) ||
		!passes(port, f.AllowedPorts, f.DisallowedPorts) {
		return refused
	}
	return nil
}

func passes[T comparable](v T, allowed, disallowed []T) bool {
	if len(allowed) > 0 {
		return slices.Contains(allowed, v)
	}
	return !slices.Contains(disallowed, v)
}

func hostname(u *url.URL) string { return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) }

// public reports whether an address is one of the internet's, and not one of
// this host, of its networks or of the cloud's inside.
func public(a netip.Addr) bool {
	a = a.Unmap()
	for _, p := range []string{"100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "0.0.0.0/8", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate()
}

// Client fetches from where the filter permits it, and from nowhere else.
func (f *Filter) Client(purpose string) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if len(f.AllowedHosts) == 0 { // hosts that the operator names may be anywhere
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			if a, err := netip.ParseAddrPort(address); err != nil || !public(a.Addr()) {
				return fault.Invalidf("%s does not pass filtering: its host is not in a public network.", purpose)
			}
			return nil
		}
	}
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, ResponseHeaderTimeout: 30 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
			DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > fetchRedirects {
				return fault.Invalidf("%s is redirected too often.", purpose)
			}
			return f.Permit(purpose, r.URL.String())
		},
	}
}
