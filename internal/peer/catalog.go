package peer

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"kilonova/internal/fault"
)

// Listing says what to look for in the catalog of the identity service.
type Listing struct {
	Types  []string // of services: the first one that is there counts
	Region string
	// Versioned: the version is part of the API's root. Otherwise it is cut off what
	// the catalog says, since paths begin with it.
	Versioned bool
}

// Catalog is what the identity service shows a user: the project that the user is
// on, and where services are.
type Catalog struct {
	ProjectID string
	services  []listed
}

type listed struct {
	Type      string `json:"type"`
	Endpoints []struct {
		Interface string `json:"interface"`
		Region    string `json:"region_id"`
		URL       string `json:"url"`
	} `json:"endpoints"`
}

// catalogTTL is how long a catalog is believed.
const catalogTTL = 5 * time.Minute

// Catalog implements Tokens.
func (p *PasswordTokens) Catalog(ctx context.Context) (*Catalog, error) {
	token, err := p.Token(ctx, "")
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	known, until := p.catalog, p.catalogUntil
	p.mu.Unlock()
	if known != nil && p.now().Before(until) {
		return known, nil
	}
	var out struct {
		Token struct {
			Project struct{ ID string }
			Catalog []listed
		}
	}
	header := http.Header{"X-Auth-Token": {token}, "X-Subject-Token": {token}}
	if err := p.identity.Do(ctx, Call{Method: http.MethodGet, Path: "/v3/auth/tokens", Header: header, Out: &out}); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The identity service does not say where services are.")
	}
	found := &Catalog{ProjectID: out.Token.Project.ID, services: out.Token.Catalog}
	p.mu.Lock()
	p.catalog, p.catalogUntil = found, p.now().Add(catalogTTL)
	p.mu.Unlock()
	return found, nil
}

// interfaces are the faces of a service, in the order in which services prefer them.
var interfaces = []string{"internal", "public"}

var versionTail = regexp.MustCompile(`/v[0-9.]+(/.*)?$`)

// find returns where a service is, "" if the catalog has none.
func (c *Catalog) find(l Listing) string {
	for _, kind := range l.Types {
		for _, face := range interfaces {
			for _, s := range c.services {
				if s.Type != kind {
					continue
				}
				for _, e := range s.Endpoints {
					if e.Interface == face && (l.Region == "" || e.Region == l.Region) {
						return l.root(e.URL, c.ProjectID)
					}
				}
			}
		}
	}
	return ""
}

// root makes an address of the catalog one that is good for every project.
func (l Listing) root(address, project string) string {
	address = strings.TrimSuffix(address, "/")
	if !l.Versioned {
		return versionTail.ReplaceAllString(address, "")
	}
	parts := strings.Split(address, "/")
	if i := slices.Index(parts, project); i >= 0 {
		parts[i] = projectMark
	} else if i := slices.Index(parts, "AUTH_"+project); i >= 0 {
		parts[i] = "AUTH_" + projectMark
	}
	return strings.Join(parts, "/")
}

// projectMark is where a project's id comes in an address, as upstream's catalogs
// write it.
const projectMark = "%(project_id)s"

// URL is where the service is, as this client's own user finds it: without a slash
// at its end.
func (c *Client) URL(ctx context.Context) (string, error) { return c.root(ctx, who{}) }

// root is where this client's requests begin.
func (c *Client) root(ctx context.Context, w who) (string, error) {
	root := strings.TrimSuffix(c.target.URL, "/")
	if root != "" && !strings.Contains(root, projectMark) {
		return root, nil
	}
	if c.own == nil {
		return "", fault.New(fault.Unavailable, "There is nobody to ask where the %s service is.", c.Service)
	}
	if root == "" || w.project == "" {
		catalog, err := c.own.Catalog(ctx)
		if err != nil {
			return "", err
		}
		if w.project == "" {
			w.project = catalog.ProjectID
		}
		if root == "" {
			root = catalog.find(c.target.Listed)
		}
	}
	if root == "" {
		return "", fault.New(fault.Unavailable, "The catalog has no %s service in the region %q.", strings.Join(c.target.Listed.Types, " or "), c.target.Listed.Region)
	}
	return strings.ReplaceAll(root, projectMark, url.PathEscape(w.project)), nil
}
