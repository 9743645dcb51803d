package remote

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/internal/rest"
	"kilonova/service/image"
)

// Images are the image services of the catalog.
type Images struct {
	Identity *peer.Client
	HTTP     *http.Client // to services of other regions
}

var _ image.OtherImages = (*Images)(nil)

// maxImage bounds what is read of another service's view of an image.
const maxImage = 8 << 20

// Show implements image.OtherImages.
func (i *Images) Show(ctx context.Context, at image.OtherRegion, id string) (map[string]any, error) {
	resp, err := i.get(ctx, at, "/v2/images/"+url.PathEscape(id))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxImage)).Decode(&out); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The image service of region %.64s gave an answer that cannot be read.", at.Region)
	}
	return out, nil
}

// Open implements image.OtherImages.
func (i *Images) Open(ctx context.Context, at image.OtherRegion, id string) (io.ReadCloser, error) {
	resp, err := i.get(ctx, at, "/v2/images/"+url.PathEscape(id)+"/file")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (i *Images) get(ctx context.Context, at image.OtherRegion, path string) (*http.Response, error) {
	base, err := i.endpoint(ctx, at)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(strings.TrimSuffix(base, "/"), "/v2")+path, nil)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The catalog's address of the image service of region %.64s cannot be used.", at.Region)
	}
	req.Header.Set("X-Auth-Token", at.Token)
	req.Header.Set("Accept", "application/json, application/octet-stream")
	resp, err := i.HTTP.Do(req)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The image service of region %.64s cannot be reached.", at.Region)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	f := rest.FaultOf("image", resp)
	return nil, fault.Wrap(errors.New(f.Message), f.Kind, "The image service of region %.64s refused: %s", at.Region, f.Message)
}

// endpoint looks an image service up in the catalog of who asks.
func (i *Images) endpoint(ctx context.Context, at image.OtherRegion) (string, error) {
	var out struct {
		Catalog []struct {
			Type      string
			Endpoints []struct{ Interface, Region, RegionID, URL string }
		}
	}
	ctx = auth.With(ctx, &auth.Caller{Token: at.Token})
	if err := i.Identity.Do(ctx, peer.Call{Method: http.MethodGet, Path: "/v3/auth/catalog", AsCaller: true, Out: &out}); err != nil {
		return "", err
	}
	for _, s := range out.Catalog {
		if s.Type != "image" {
			continue
		}
		for _, e := range s.Endpoints {
			if e.Region == at.Region && e.Interface == at.Interface {
				return e.URL, nil
			}
		}
	}
	return "", fault.NotFoundf("The catalog has no %.64s endpoint of an image service in region %.64s.", at.Interface, at.Region)
}
