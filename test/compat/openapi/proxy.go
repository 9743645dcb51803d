package openapi

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// maxBody is how much of an answer is held to be checked; longer ones, an
// image's data, pass unchecked.
const maxBody = 16 << 20

// Transport checks what goes through it.
type Transport struct {
	// Contracts are the services' by the prefix of their paths, "/identity"; ""
	// is a service at the root.
	Contracts map[string]*Contract
	Next      http.RoundTripper // nil: http.DefaultTransport
	Report    func(Violation)
	// Checked is told of every answer that was held against a contract. May be nil.
	Checked func(Operation)
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.Next
	if next == nil {
		next = http.DefaultTransport
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	return resp, t.inspect(r, resp)
}

// contract finds whose path it is, and the path below the service.
func (t *Transport) contract(path string) (*Contract, string) {
	best, cut := "", false
	for prefix := range t.Contracts {
		if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') && len(prefix) >= len(best) {
			best, cut = prefix, true
		}
	}
	if !cut {
		return nil, ""
	}
	return t.Contracts[best], strings.TrimPrefix(path, best)
}

func (t *Transport) inspect(r *http.Request, resp *http.Response) error {
	c, path := t.contract(r.URL.Path)
	if c == nil {
		return nil
	}
	var body []byte
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && resp.ContentLength <= maxBody {
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
		if err != nil {
			return err
		}
		if len(data) > maxBody {
			resp.Body = joined{io.MultiReader(bytes.NewReader(data), resp.Body), resp.Body}
			return nil
		}
		resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(data))
		body = data
	} else if resp.ContentLength != 0 {
		return nil
	}
	for _, v := range c.Check(r.Method, path, resp.StatusCode, resp.Header, body) {
		t.Report(v)
	}
	if t.Checked != nil {
		if o, ok := c.Find(r.Method, path); ok && resp.StatusCode < 300 {
			t.Checked(o)
		}
	}
	return nil
}

// joined is a body of which a part has been read already.
type joined struct {
	io.Reader
	io.Closer
}

// Proxy passes requests on to target, and checks what comes back.
func (t *Transport) Proxy(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{Transport: t, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // links point to where the client came
	}}
}
