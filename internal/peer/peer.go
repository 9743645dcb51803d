package peer

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
)

// Table says how each service is reached, by service type ("identity",
// "image", …).
type Table map[string]Target

// Target is one row: where a service's API begins, and over what it is reached.
type Target struct {
	// URL is the root of the API, e.g. https://cloud:8443/image or http://10.0.0.1:9292;
	// %(project_id)s in it stands for the project of whoever acts. Where it is "" the
	// catalog of the identity service is asked for Listed.
	URL    string
	Listed Listing
	// Transport is Pipe(handler) in this process, Network elsewhere.
	Transport http.RoundTripper
}

// Network is the transport to services of other processes.
func Network(tlsConfig *tls.Config) http.RoundTripper {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       tlsConfig,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       90 * time.Second,
		ResponseHeaderTimeout: 5 * time.Minute,
		ForceAttemptHTTP2:     false,
	}
}

// Tokens gives out tokens of this service's own user.
type Tokens interface {
	// Token returns one that is valid now. stale is a token that was refused,
	// or "".
	Token(ctx context.Context, stale string) (string, error)
	// Catalog returns what the identity service shows this user.
	Catalog(ctx context.Context) (*Catalog, error)
}

// Client speaks with one other service.
type Client struct {
	Service string
	target  Target
	own     Tokens
	http    *http.Client
}

// Client returns a client of a service in the table. own may be nil for a client
// that only ever acts as the caller.
func (t Table) Client(service string, own Tokens) (*Client, error) {
	target, ok := t[service]
	if !ok {
		return nil, fmt.Errorf("peer: the dial table has no %s service", service)
	}
	return &Client{Service: service, target: target, own: own,
		http: &http.Client{Transport: target.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Call describes one request.
type Call struct {
	Method string
	Path   string      // below the API's root, escaped; with a query if need be
	Header http.Header // unless it says what is accepted, that is JSON
	// In is sent as JSON, or as it is when it is an io.Reader.
	In any
	// Out receives the JSON answer, or its text when it is an io.Writer; nil drops
	// it.
	Out any
	// AsCaller acts with the token of the caller in ctx instead of with this
	// service's own user.
	AsCaller bool
	// Version is the microversion to ask for, as the header's value:
	// "compute 2.90"; "" none.
	Version string
}

// maxAnswer bounds a JSON answer, in bytes.
const maxAnswer = 64 << 20

// Do sends a call and reads its answer. A refusal comes back as the fault that
// the other service made, an unreachable service as fault.Unavailable.
func (c *Client) Do(ctx context.Context, call Call) error {
	resp, err := c.Open(ctx, call)
	if err != nil {
		return err
	}
	defer drain(resp.Body)
	if call.Out == nil {
		return nil
	}
	if err := decode(resp, call.Out); err != nil {
		return fault.Wrap(err, fault.Unavailable, "The %s service gave an answer that cannot be read.", c.Service)
	}
	return nil
}

func decode(resp *http.Response, out any) error {
	if text, ok := out.(io.Writer); ok {
		n, err := io.Copy(text, io.LimitReader(resp.Body, maxAnswer+1))
		if err == nil && n > maxAnswer {
			err = fmt.Errorf("it is longer than %d bytes", maxAnswer)
		}
		return err
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out)
}

// Open is Do for answers that are streams: the caller reads and closes the body.
// The status is one of success.
func (c *Client) Open(ctx context.Context, call Call) (*http.Response, error) {
	w, err := c.who(ctx, call.AsCaller, "")
	if err != nil {
		return nil, err
	}
	resp, err := c.send(ctx, call, w)
	_, streamed := call.In.(io.Reader)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && c.own != nil && !streamed {
		drain(resp.Body) // our token may have been revoked; a new one, once
		if w, err = c.who(ctx, call.AsCaller, w.service); err != nil {
			return nil, err
		}
		resp, err = c.send(ctx, call, w)
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		defer drain(resp.Body)
		f := rest.FaultOf(c.Service, resp)
		if f.Kind == fault.Unauthenticated && !call.AsCaller { // our trouble, not the caller's
			f = fault.Wrap(f, fault.Unavailable, "The %s service refused this service's credentials.", c.Service)
		}
		return nil, f
	}
	return resp, nil
}

// who acts: the token of whoever does and, beside it, this service's own, which
// says that it is a service that asks. With that a user's token is good to the end
// of work that takes longer than the token lasts.
type who struct {
	token, service string
	project        string // a caller's; "" is that of this service's own user
}

func (c *Client) who(ctx context.Context, asCaller bool, stale string) (w who, err error) {
	if c.own != nil {
		if w.service, err = c.own.Token(ctx, stale); err != nil {
			return w, err
		}
	}
	w.token = w.service
	if asCaller {
		caller := auth.From(ctx)
		if caller == nil {
			return w, errors.New("peer: there is no caller to act as")
		}
		w.token, w.project = caller.Token, caller.ProjectID
	}
	return w, nil
}

func (c *Client) send(ctx context.Context, call Call, w who) (*http.Response, error) {
	var body io.Reader
	mediaType := "application/json"
	switch in := call.In.(type) {
	case nil:
	case io.Reader:
		body, mediaType = in, "application/octet-stream"
	default:
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	root, err := c.root(ctx, w)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, root+call.Path, body)
	if err != nil {
		return nil, err
	}
	for k, v := range call.Header {
		req.Header[k] = v
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	if body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", mediaType)
	}
	if w.token != "" {
		req.Header.Set("X-Auth-Token", w.token)
	}
	if w.service != "" && c.Service != "identity" { // who asks there for itself alone
		req.Header.Set("X-Service-Token", w.service)
	}
	if call.Version != "" {
		req.Header.Set("OpenStack-API-Version", call.Version)
	}
	if id := rest.RequestID(ctx); id != "" {
		req.Header.Set("X-Openstack-Request-Id", id)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if _, ok := errors.AsType[*url.Error](err); ok && ctx.Err() != nil {
			return nil, fault.Wrap(err, fault.Unavailable, "The %s service did not answer in time.", c.Service)
		}
		return nil, fault.Wrap(err, fault.Unavailable, "The %s service cannot be reached.", c.Service)
	}
	return resp, nil
}

// drain lets the connection be used again.
func drain(body io.ReadCloser) {
	io.CopyN(io.Discard, body, 64<<10)
	body.Close()
}
