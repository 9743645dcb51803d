package swift

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
)

// client speaks with one account of a Swift.
type client struct {
	o    *Options
	http *http.Client
	now  func() time.Time

	mu      sync.Mutex
	token   string
	storage string // URL of the account
	until   time.Time
}

// account returns where the account is and a token for it. stale is one that was
// refused.
func (c *client) account(ctx context.Context, stale string) (storage, token string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" && c.token != stale && c.now().Before(c.until) {
		return c.storage, c.token, nil
	}
	if c.o.AuthVersion == "1" {
		err = c.loginV1(ctx)
	} else {
		err = c.loginV3(ctx)
	}
	if err == nil && c.o.Endpoint != "" {
		c.storage = strings.TrimSuffix(c.o.Endpoint, "/")
	}
	return c.storage, c.token, err
}

// margin is how long before its end a token is not used any more.
const margin = 10 * time.Minute

func (c *client) loginV1(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.o.AuthAddress, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Auth-User", c.o.User)
	req.Header.Set("X-Auth-Key", c.o.Key)
	resp, err := c.http.Do(req)
	if err != nil {
		return unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return refusedLogin(resp.StatusCode)
	}
	c.token, c.storage, c.until = resp.Header.Get("X-Auth-Token"), strings.TrimSuffix(resp.Header.Get("X-Storage-Url"), "/"), c.now().Add(time.Hour)
	return nil
}

func (c *client) loginV3(ctx context.Context) error {
	project, user, _ := strings.Cut(c.o.User, ":")
	domain := func(id, name string) map[string]string {
		if name != "" {
			return map[string]string{"name": name}
		}
		return map[string]string{"id": id}
	}
	body, err := json.Marshal(map[string]any{"auth": map[string]any{
		"identity": map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{
			"name": user, "password": c.o.Key, "domain": domain(c.o.UserDomainID, c.o.UserDomainName)}}},
		"scope": map[string]any{"project": map[string]any{"name": project, "domain": domain(c.o.ProjectDomainID, c.o.ProjectDomainName)}}}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.o.AuthAddress, "/")+"/auth/tokens", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return refusedLogin(resp.StatusCode)
	}
	var out struct {
		Token struct {
			ExpiresAt time.Time `json:"expires_at"`
			Catalog   []struct {
				Type      string
				Endpoints []struct{ Interface, Region, URL string }
			}
		}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 8<<20)).Decode(&out); err != nil {
		return unreachable(err)
	}
	c.storage = ""
	for _, s := range out.Token.Catalog {
		for _, e := range s.Endpoints {
			if s.Type == c.o.ServiceType && e.Interface == strings.TrimSuffix(c.o.EndpointType, "URL") && (c.o.Region == "" || e.Region == c.o.Region) {
				c.storage = strings.TrimSuffix(e.URL, "/")
			}
		}
	}
	if c.storage == "" && c.o.Endpoint == "" {
		return fault.New(fault.Unavailable, "The catalog has no object store for images.")
	}
	c.token, c.until = resp.Header.Get("X-Subject-Token"), out.Token.ExpiresAt.Add(-margin)
	return nil
}

func unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fault.Wrap(err, fault.Unavailable, "The image's object store cannot be reached.")
}

func refusedLogin(status int) error {
	return fault.New(fault.Unavailable, "The image's object store refuses this service's credentials (status %d).", status)
}

// call is one request. path is below the container, "" the container itself.
type call struct {
	method string
	path   string
	query  url.Values
	header map[string]string
	body   io.Reader // sent once; nil, or bytes.Reader, may be sent again
}

// do sends a request; a status that is not one of success is an error. The caller
// closes the body.
func (c *client) do(ctx context.Context, r call) (*http.Response, error) {
	stale := ""
	for {
		storage, token, err := c.account(ctx, stale)
		if err != nil {
			return nil, err
		}
		address := storage + "/" + url.PathEscape(c.o.Container)
		if r.path != "" {
			address += "/" + r.path // keys need no escaping
		}
		if len(r.query) > 0 {
			address += "?" + r.query.Encode()
		}
		req, err := http.NewRequestWithContext(ctx, r.method, address, r.body)
		if err != nil {
			return nil, err
		}
		for k, v := range r.header {
			req.Header.Set(k, v)
		}
		req.Header.Set("X-Auth-Token", token)
		resp, err := c.http.Do(req)
		if err != nil {
			return nil, unreachable(err)
		}
		if resp.StatusCode/100 == 2 {
			return resp, nil
		}
		resp.Body.Close()
		again, seekable := r.body.(io.Seeker)
		if resp.StatusCode == http.StatusUnauthorized && stale == "" && (r.body == nil || seekable) {
			if stale = token; seekable {
				if _, err := again.Seek(0, io.SeekStart); err != nil {
					return nil, err
				}
			}
			continue
		}
		return nil, told(resp.StatusCode)
	}
}

// told gives statuses the meaning that they have for callers.
func told(status int) error {
	switch status {
	case http.StatusNotFound:
		return blob.ErrNotFound
	case http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage:
		return fmt.Errorf("%w (status %d)", blob.ErrFull, status)
	case http.StatusBadRequest, http.StatusConflict, http.StatusPreconditionFailed:
		return &statusError{status}
	}
	return fault.Wrap(&statusError{status}, fault.Unavailable, "The image's object store does not do its part now.")
}

type statusError struct{ status int }

func (e *statusError) Error() string { return fmt.Sprintf("the object store answered %d", e.status) }
