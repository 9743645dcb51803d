package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

// request is one request as it goes over the wire: its path is not escaped, nor
// cleaned, nor followed.
type request struct {
	service, method, path string // the path is below the service's root
	token                 string
	body                  []byte
	header                map[string]string // "" leaves a header out
}

// wire follows no redirection and hides nothing.
var wire = &http.Transport{MaxIdleConnsPerHost: 8, ResponseHeaderTimeout: time.Minute}

// do sends a request and reads the whole answer.
func (c *cloud) do(ctx context.Context, t *testing.T, r request) answer {
	t.Helper()
	root, err := url.Parse(c.root(r.service))
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(r.path, "?")
	req := (&http.Request{Method: r.method, URL: &url.URL{Scheme: root.Scheme, Host: root.Host, Opaque: root.Path + path, RawQuery: query},
		Host: root.Host, Header: http.Header{"Accept": {"application/json"}}}).WithContext(ctx)
	if r.body != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(r.body)), int64(len(r.body))
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		req.Header.Set("X-Auth-Token", r.token)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	resp, err := wire.RoundTrip(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 32<<20))
	return answer{status: resp.StatusCode, header: resp.Header, body: body, err: err}
}

// idIn finds the id in the body of a thing that was made, with or without an
// envelope; "" there is none.
func idIn(body []byte) string {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return ""
	}
	for _, key := range []string{"id", "uuid"} {
		var id string
		if json.Unmarshal(top[key], &id) == nil && id != "" {
			return id
		}
	}
	if len(top) == 1 {
		for _, inner := range top {
			return idIn(inner)
		}
	}
	return ""
}

// credentialToken logs demo in with an application credential that ends in a
// moment, and returns the token and whose it is.
func credentialToken(t *testing.T, c *cloud) (token, userID string) {
	t.Helper()
	userID, _ = whose(t, c.demo)
	type object = map[string]any
	var made struct {
		Credential struct{ ID, Secret string } `json:"application_credential"`
	}
	_, err := c.demo.identity.Post(t.Context(), c.demo.identity.ServiceURL("users", userID, "application_credentials"), object{"application_credential": object{
		"name": "short", "expires_at": time.Now().Add(2 * time.Second).UTC().Format("2006-01-02T15:04:05.000000Z")}}, &made, &gophercloud.RequestOpts{OkCodes: []int{201}})
	if err != nil {
		t.Fatal(err)
	}
	login, err := json.Marshal(object{"auth": object{"identity": object{"methods": []string{"application_credential"},
		"application_credential": object{"id": made.Credential.ID, "secret": made.Credential.Secret}}}})
	if err != nil {
		t.Fatal(err)
	}
	in := c.do(t.Context(), t, request{service: "identity", method: "POST", path: "/v3/auth/tokens", body: login})
	if in.status != http.StatusCreated {
		t.Fatalf("log in with an application credential: %d %s", in.status, in.body)
	}
	return in.header.Get("X-Subject-Token"), userID
}

// whose returns the ids of a user and of the user's project.
func whose(t *testing.T, u *user) (userID, projectID string) {
	t.Helper()
	resp, err := u.identity.Get(t.Context(), u.identity.ServiceURL("auth", "tokens"), nil,
		&gophercloud.RequestOpts{MoreHeaders: map[string]string{"X-Subject-Token": u.provider.Token()}, KeepResponseBody: true})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct {
		Token struct{ User, Project struct{ ID string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out.Token.User.ID, out.Token.Project.ID
}
