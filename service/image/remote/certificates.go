package remote

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
)

// Certificates are those of a key manager (Barbican's API), asked as the user.
type Certificates struct {
	URL  string // where the API begins, without its version
	HTTP *http.Client
}

var _ image.Certificates = (*Certificates)(nil)

const maxSecret = 128 << 10

// Certificate implements image.Certificates. What id names is a secret, or a
// container of the kind certificate.
func (c *Certificates) Certificate(ctx context.Context, token, id string) ([]byte, error) {
	base := strings.TrimSuffix(strings.TrimSuffix(c.URL, "/"), "/v1") + "/v1/"
	data, err := c.get(ctx, base+"secrets/"+url.PathEscape(id)+"/payload", token, "application/octet-stream, application/pkix-cert, text/plain, */*")
	if !fault.Is(err, fault.NotFound) {
		return data, err
	}
	body, err := c.get(ctx, base+"containers/"+url.PathEscape(id), token, "application/json")
	if err != nil {
		return nil, err
	}
	var container struct {
		SecretRefs []struct {
			Name string
			Ref  string `json:"secret_ref"`
		} `json:"secret_refs"`
	}
	if err := json.Unmarshal(body, &container); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The key manager gave an answer that cannot be read.")
	}
	for _, s := range container.SecretRefs {
		if s.Name == "certificate" {
			// Only the id counts: the reference must not lead anywhere else.
			return c.get(ctx, base+"secrets/"+url.PathEscape(s.Ref[strings.LastIndex(s.Ref, "/")+1:])+"/payload", token, "*/*")
		}
	}
	return nil, fault.NotFoundf("The container %s holds no certificate.", id)
}

func (c *Certificates) get(ctx context.Context, address, token, accept string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("Accept", accept)
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The key manager cannot be reached.")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, rest.FaultOf("key-manager", resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxSecret))
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The key manager's answer ended before its time.")
	}
	return data, nil
}
