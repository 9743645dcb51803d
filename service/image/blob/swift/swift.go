package swift

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
)

// Options are a store's configuration, by upstream's names.
type Options struct {
	AuthAddress       string `toml:"swift_store_auth_address"`
	AuthVersion       string `toml:"swift_store_auth_version"` // "3", or "1" for Swift's own
	User              string `toml:"swift_store_user"`         // "project:user"
	Key               string `toml:"swift_store_key"`
	UserDomainID      string `toml:"swift_store_user_domain_id"`
	UserDomainName    string `toml:"swift_store_user_domain_name"`
	ProjectDomainID   string `toml:"swift_store_project_domain_id"`
	ProjectDomainName string `toml:"swift_store_project_domain_name"`
	Region            string `toml:"swift_store_region"`
	EndpointType      string `toml:"swift_store_endpoint_type"`
	ServiceType       string `toml:"swift_store_service_type"`
	Endpoint          string `toml:"swift_store_endpoint"` // of the account; "" from the catalog
	Container         string `toml:"swift_store_container"`
	CreateContainer   bool   `toml:"swift_store_create_container_on_put"`
	ChunkMB           int64  `toml:"swift_store_large_object_chunk_size"` // MiB of a segment
}

// Store implements blob.Store.
type Store struct {
	o Options
	c *client
}

const (
	maxSegments = 900             // Swift takes 1000
	maxSegment  = 5<<30 - 64<<20  // Swift's own limit is 5 GiB
	headerWait  = 2 * time.Minute // the proxy checks all segments of a manifest
)

// New checks the options. A Swift that does not answer is no error here: it may
// come later.
func New(o Options, now func() time.Time) (*Store, error) {
	if o.AuthAddress == "" || o.User == "" || o.Key == "" {
		return nil, errors.New("image store: swift_store_auth_address, swift_store_user and swift_store_key are needed")
	}
	for _, d := range []struct {
		into  *string
		value string
	}{{&o.AuthVersion, "3"}, {&o.UserDomainID, "default"}, {&o.ProjectDomainID, "default"}, {&o.EndpointType, "public"}, {&o.ServiceType, "object-store"}, {&o.Container, "glance"}} {
		if *d.into == "" {
			*d.into = d.value
		}
	}
	if o.AuthVersion != "1" && o.AuthVersion != "3" {
		return nil, fmt.Errorf("image store: swift_store_auth_version %q is not 1 or 3", o.AuthVersion)
	}
	if o.AuthVersion == "3" && !strings.Contains(o.User, ":") {
		return nil, errors.New("image store: swift_store_user must be of the form project:user")
	}
	if strings.Contains(o.Container, "/") || len(o.Container) > 256 {
		return nil, fmt.Errorf("image store: swift_store_container %.64q cannot be a container's name", o.Container)
	}
	if o.ChunkMB == 0 {
		o.ChunkMB = 200
	}
	if o.ChunkMB < 1 || o.ChunkMB<<20 > maxSegment {
		return nil, fmt.Errorf("image store: swift_store_large_object_chunk_size must be between 1 and %d", int64(maxSegment)>>20)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout, transport.DisableCompression = headerWait, true
	s := &Store{o: o}
	s.c = &client{o: &s.o, http: &http.Client{Transport: transport}, now: now}
	return s, nil
}

// URL implements blob.Store. It names no user: upstream's did (OSSA-2014-004).
func (s *Store) URL(key string) string { return "swift://" + s.o.Container + "/" + key }

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, key string) (blob.Reader, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	resp, err := s.c.do(ctx, call{method: http.MethodHead, path: key})
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	size, tag := resp.ContentLength, resp.Header.Get("Etag")
	return blob.Ranged(ctx, size, func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		header := map[string]string{"If-Match": tag}
		if length >= 0 {
			header["Range"] = fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
		} else if offset > 0 {
			header["Range"] = fmt.Sprintf("bytes=%d-", offset)
		}
		resp, err := s.c.do(ctx, call{method: http.MethodGet, path: key, header: header})
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}), nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := blob.ValidKey(key); err != nil {
		return err
	}
	if err := s.remove(ctx, key); err != nil {
		return err
	}
	return s.removeAttempts(ctx, key, func(attempt) bool { return true })
}

func (s *Store) remove(ctx context.Context, name string) error {
	resp, err := s.c.do(ctx, call{method: http.MethodDelete, path: name})
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// object is an entry of a listing.
type object struct {
	Name         string
	Bytes        int64
	LastModified string `json:"last_modified"`
}

func (o *object) modified() time.Time {
	t, err := time.Parse("2006-01-02T15:04:05.999999", o.LastModified)
	if err != nil {
		return time.Unix(1, 0)
	}
	return t
}

// list calls f for each object whose name begins with prefix, in order.
func (s *Store) list(ctx context.Context, prefix string, f func(object) error) error {
	marker := ""
	for {
		q := url.Values{"format": {"json"}, "limit": {"1000"}, "prefix": {prefix}, "marker": {marker}}
		resp, err := s.c.do(ctx, call{method: http.MethodGet, query: q})
		if errors.Is(err, blob.ErrNotFound) { // no container yet
			return nil
		}
		if err != nil {
			return err
		}
		var page []object
		if resp.StatusCode != http.StatusNoContent {
			err = json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&page)
		}
		resp.Body.Close()
		if err != nil {
			return fault.Wrap(err, fault.Unavailable, "The image's object store gave a list that cannot be read.")
		}
		if len(page) == 0 {
			return nil
		}
		for _, o := range page {
			if err := f(o); err != nil {
				return err
			}
		}
		marker = page[len(page)-1].Name
	}
}

// attempt is what one writer has put under a key.
type attempt struct {
	id    string
	names []string
	begun bool // and not committed
}

func (s *Store) attempts(ctx context.Context, key string) (map[string]*attempt, error) {
	all := map[string]*attempt{}
	err := s.list(ctx, key+"/", func(o object) error {
		id, last, _ := strings.Cut(strings.TrimPrefix(o.Name, key+"/"), "/")
		a := all[id]
		if a == nil {
			a = &attempt{id: id}
			all[id] = a
		}
		a.names, a.begun = append(a.names, o.Name), a.begun || last == "begun"
		return nil
	})
	return all, err
}

// removeAttempts removes what some of a key's writers have put there.
func (s *Store) removeAttempts(ctx context.Context, key string, which func(attempt) bool) error {
	all, err := s.attempts(ctx, key)
	if err != nil {
		return err
	}
	for _, a := range all {
		if !which(*a) {
			continue
		}
		for n := len(a.names) - 1; n >= 0; n-- { // "begun" sorts last: first it goes, and its writer knows
			if err := s.remove(ctx, a.names[n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Each implements blob.Store.
func (s *Store) Each(ctx context.Context, f func(blob.Entry) error) error {
	last := "" // the key told of last
	return s.list(ctx, "", func(o object) error {
		key, rest, part := strings.Cut(o.Name, "/")
		if blob.ValidKey(key) != nil || key == last || part && !strings.Contains(rest, "/") {
			return nil
		}
		last = key // a blob's name comes before those of its segments
		return f(blob.Entry{Key: key, Modified: o.modified(), Whole: !part})
	})
}
