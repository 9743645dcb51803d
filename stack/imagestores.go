package stack

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"kilonova/internal/peer"
	"kilonova/service/image"
	"kilonova/service/image/blob"
	imagecontrol "kilonova/service/image/control"
	imageremote "kilonova/service/image/remote"
)

// imageBackends opens the stores that the configuration names.
func (s *Stack) imageBackends() ([]imagecontrol.Backend, error) {
	c := &s.Config
	names := c.Image.EnabledBackends
	if len(names) == 0 {
		names = []string{"file:file"}
	}
	var backends []imagecontrol.Backend
	used, chosen := map[string]bool{}, c.Image.GlanceStore.DefaultBackend
	for _, text := range names {
		name, kind, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("[image] enabled_backends: %q is not of the form name:kind", text)
		}
		open, err := driver("image store", kind, imageStores)
		if err != nil {
			return nil, err
		}
		o := c.Image.Stores[name]
		if dir := o.Dir; kind == "file" {
			if dir == "" {
				dir = c.Image.DataDir
			}
			if used[dir] {
				return nil, fmt.Errorf("[image.stores.%s]: two file stores cannot have one filesystem_store_datadir", name)
			}
			used[dir] = true
		}
		blobs, err := open(s.ctx, c, o)
		if err != nil {
			return nil, fmt.Errorf("[image.stores.%s]: %w", name, err)
		}
		b := imagecontrol.Backend{ID: name, Type: kind, Description: o.Description, Weight: o.Weight, Default: name == chosen, Blobs: blobs}
		if chosen == "" {
			b.Default, chosen = true, name
		}
		backends = append(backends, b)
	}
	for name := range c.Image.Stores {
		if !isBackend(backends, name) {
			return nil, fmt.Errorf("[image.stores.%s]: enabled_backends does not name this store", name)
		}
	}
	if !isBackend(backends, chosen) {
		return nil, fmt.Errorf("[image.glance_store] default_backend: there is no store %q", chosen)
	}
	return backends, nil
}

// imageFolder opens a folder of the image service's own, nil where none is named.
func (s *Stack) imageFolder(o FileOptions) (blob.Store, error) {
	if o.Dir == "" {
		return nil, nil
	}
	return imageStores["file"](s.ctx, &s.Config, ImageStoreOptions{FileOptions: o})
}

// otherImages reaches image services of other regions.
func (s *Stack) otherImages() (image.OtherImages, error) {
	identity, err := s.peers.Client("identity", nil)
	if err != nil {
		return nil, err
	}
	return &imageremote.Images{Identity: identity, HTTP: &http.Client{Transport: peer.Network(nil)}}, nil
}

// imageLimits are those that the identity service has for images here.
func (s *Stack) imageLimits(own peer.Tokens) (image.Limits, error) {
	identity, err := s.peers.Client("identity", own)
	return &imageremote.Limits{Identity: identity, Region: s.Config.Region}, err
}

// imageCertificates are what images may be signed with, nil: none.
func (s *Stack) imageCertificates() image.Certificates {
	switch k := s.Config.Image.KeyManager; {
	case k.Endpoint != "":
		return &imageremote.Certificates{URL: k.Endpoint, HTTP: &http.Client{Transport: peer.Network(nil), Timeout: time.Minute}}
	case k.CertificateDir != "":
		return imagecontrol.CertificateDir(k.CertificateDir)
	}
	return nil
}

func isBackend(backends []imagecontrol.Backend, name string) bool {
	for _, b := range backends {
		if b.ID == name {
			return true
		}
	}
	return false
}
