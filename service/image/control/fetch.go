package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kilonova/internal/diskimage"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

const (
	fetchStall     = time.Minute // without a byte
	fetchRedirects = 5
)

// permit checks an address against the configuration, without asking anybody. It
// is asked for each redirection again, and where the name leads to is checked
// when the connection is made (CVE-2026-34881).
func (f *FilteringOptions) permit(uri string) error {
	refused := fault.Invalidf("URI for web-download does not pass filtering: %.200s", uri)
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

// client fetches from where the configuration permits it, and from nowhere else.
func (f *FilteringOptions) client() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if len(f.AllowedHosts) == 0 { // hosts that the operator names may be anywhere
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			if a, err := netip.ParseAddrPort(address); err != nil || !public(a.Addr()) {
				return fault.Invalidf("URI for web-download does not pass filtering: its host is not in a public network.")
			}
			return nil
		}
	}
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, ResponseHeaderTimeout: 30 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
			DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > fetchRedirects {
				return fault.Invalidf("The URI for web-download is redirected too often.")
			}
			return f.permit(r.URL.String())
		},
	}
}

// fetch brings what a URI names into the staging area.
func (c *Control) fetch(ctx context.Context, i *image.Image, p *importPayload, most limit) error {
	if err := c.o.Filtering.permit(p.URI); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URI, nil)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "The URI for web-download cannot be used.")
	}
	resp, err := c.o.Filtering.client().Do(req)
	if err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return f
		}
		return fault.Wrap(err, fault.Invalid, "The URI for web-download cannot be reached.")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fault.Invalidf("The URI for web-download answers with status %d.", resp.StatusCode)
	}
	if resp.ContentLength > most.bytes {
		return most.err
	}
	if err := c.noteBlob(ctx, i.ID, stagingID, p.Stage); err != nil {
		return err
	}
	stall := time.AfterFunc(fetchStall, cancel)
	defer stall.Stop()
	data := &watched{resp.Body, stall}
	if _, err := c.take(ctx, i, c.staging, p.Stage, Upload{Data: data, Size: resp.ContentLength}, most, func(*diskimage.Info) error { return nil }); err != nil {
		return fmt.Errorf("web-download: %w", err)
	}
	return nil
}

// watched puts off the end of a fetch with each byte that comes.
type watched struct {
	r     io.Reader
	stall *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.stall.Reset(fetchStall)
	}
	return n, err
}
