package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// cloud is an OpenStack cloud as its catalog describes it. It uses no client of
// ours, so that both clouds are measured by the same foreign hand.
type cloud struct {
	http      *http.Client
	env       map[string]string
	token     string
	issued    time.Time
	project   string
	endpoints map[string]string // by service type, without a slash at the end
	processes tree              // nil: elsewhere
}

// callLimit bounds one call: a slow cloud is measured, a dead one is not waited
// for.
const callLimit = 2 * time.Minute

func open(ctx context.Context, env map[string]string, processes tree) (*cloud, error) {
	c := &cloud{env: env, processes: processes, http: &http.Client{Timeout: callLimit, Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, MaxIdleConnsPerHost: 32, DisableCompression: true}}}
	auth := strings.TrimSuffix(env["OS_AUTH_URL"], "/")
	if !strings.HasSuffix(auth, "/v3") {
		auth += "/v3"
	}
	u, err := url.Parse(auth)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%s is not on this host's loopback: a benchmark must not load others' clouds", auth)
	}
	c.endpoints = map[string]string{"identity": auth}
	return c, c.login(ctx)
}

type object = map[string]any

// issue asks for a token by password.
func (c *cloud) issue(ctx context.Context) (token string, body []byte, err error) {
	domain := object{"name": c.env["OS_USER_DOMAIN_NAME"]}
	in := object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": object{"name": c.env["OS_USERNAME"], "password": c.env["OS_PASSWORD"], "domain": domain}}},
		"scope":    object{"project": object{"name": c.env["OS_PROJECT_NAME"], "domain": object{"name": c.env["OS_PROJECT_DOMAIN_NAME"]}}}}}
	header, body, err := c.send(ctx, "POST", c.endpoints["identity"]+"/auth/tokens", in)
	return header.Get("X-Subject-Token"), body, err
}

func (c *cloud) login(ctx context.Context) error {
	token, body, err := c.issue(ctx)
	if err != nil {
		return err
	}
	var out struct {
		Token struct {
			Project struct{ ID string }
			Catalog []struct {
				Type      string
				Endpoints []struct{ Interface, URL, Region string }
			}
		}
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return err
	}
	c.token, c.project, c.issued = token, out.Token.Project.ID, time.Now()
	for _, s := range out.Token.Catalog {
		for _, e := range s.Endpoints {
			if e.Interface == "public" && s.Type != "identity" {
				c.endpoints[s.Type] = versioned(s.Type, strings.TrimSuffix(e.URL, "/"))
			}
		}
	}
	return nil
}

// versioned adds the version to an endpoint whose catalog leaves it to discovery.
func versioned(service, endpoint string) string {
	for kind, version := range map[string]string{"image": "/v2", "network": "/v2.0"} {
		if service == kind && !strings.HasSuffix(endpoint, version) {
			return endpoint + version
		}
	}
	return endpoint
}

// fresh logs in again before the token gets old. It is called between
// measurements, never within one.
func (c *cloud) fresh(ctx context.Context) error {
	if time.Since(c.issued) < 20*time.Minute {
		return nil
	}
	return c.login(ctx)
}

// call makes one request, with a body of JSON or of bytes; header holds pairs of names and values.
func (c *cloud) call(ctx context.Context, method, service, path string, in any, header ...string) ([]byte, error) {
	_, body, err := c.send(ctx, method, c.endpoints[service]+path, in, header...)
	return body, err
}

// into is call with a JSON answer.
func (c *cloud) into(ctx context.Context, out any, method, service, path string, in any, header ...string) error {
	body, err := c.call(ctx, method, service, path, in, header...)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, out)
}

// send is call with a whole address; an answer above 299 is an error.
func (c *cloud) send(ctx context.Context, method, address string, in any, header ...string) (http.Header, []byte, error) {
	var body io.Reader
	kind := "application/json"
	switch in := in.(type) {
	case nil:
	case []byte:
		body, kind = bytes.NewReader(in), "application/octet-stream"
	default:
		data, err := json.Marshal(in)
		if err != nil {
			return nil, nil, err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", kind)
	}
	if c.token != "" {
		req.Header.Set("X-Auth-Token", c.token)
	}
	if method == "DELETE" {
		req.Header["Idempotency-Key"] = nil // may be sent again when the connection has just been closed
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode > 299 {
		err = fmt.Errorf("%s %s: %d %.300s", method, req.URL.Path, resp.StatusCode, out)
	}
	return resp.Header, out, err
}
