package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/rest"
	"kilonova/service/placement"
)

type providerView struct {
	UUID       string  `json:"uuid"`
	Name       string  `json:"name"`
	Generation int64   `json:"generation"`
	Links      []link  `json:"links"`
	Parent     *string `json:"parent_provider_uuid" mv:"1.14-"`
	Root       string  `json:"root_provider_uuid" mv:"1.14-"`
}

// linksSince says from which version on a provider has which links.
var linksSince = []struct {
	rel   string
	since rest.Version
}{
	{"inventories", rest.V("1.0")}, {"usages", rest.V("1.0")}, {"aggregates", rest.V("1.1")},
	{"traits", rest.V("1.6")}, {"allocations", rest.V("1.11")},
}

// viewProvider shows a provider; base is the address of all providers.
func viewProvider(r *rest.Request, base string, p *placement.Provider) *providerView {
	self := base + "/" + p.UUID
	v := &providerView{UUID: p.UUID, Name: p.Name, Generation: p.Generation, Root: p.RootUUID, Links: make([]link, 0, 6)}
	v.Links = append(v.Links, link{"self", self})
	for _, l := range linksSince {
		if !r.Version.Less(l.since) {
			v.Links = append(v.Links, link{l.rel, self + "/" + l.rel})
		}
	}
	if p.ParentUUID != "" {
		v.Parent = &p.ParentUUID
	}
	return v
}

const allProviders = "/resource_providers"

func (a *api) listProviders(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	filter, err := providerFilter(r)
	if err != nil {
		return nil, err
	}
	list, err := a.control.Providers(ctx, filter)
	if err != nil {
		return nil, err
	}
	base := relative(r, allProviders)
	var changed time.Time
	for _, p := range list {
		changed = a.latest(changed, p.UpdatedAt)
	}
	return a.fresh(r, &rest.Response{Items: &rest.Items{Key: "resource_providers", Each: func(yield func(any) error) error {
		for _, p := range list {
			if err := yield(viewProvider(r, base, &p.Provider)); err != nil {
				return err
			}
		}
		return nil
	}}}, changed), nil
}

type createProvider struct {
	Name   string   `json:"name" check:"required len=1..200"`
	UUID   string   `json:"uuid" check:"uuid"`
	Parent optional `json:"parent_provider_uuid" mv:"1.14-" check:"uuid null"`
}

func (a *api) createProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in createProvider
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.UUID == "" {
		in.UUID = uuid.NewString()
	}
	p, err := a.control.CreateProvider(ctx, placement.Provider{UUID: dashed(in.UUID), Name: in.Name, ParentUUID: in.Parent.Value})
	if err != nil {
		return nil, err
	}
	resp := &rest.Response{Status: http.StatusCreated}
	if r.Version.AtLeast("1.20") {
		resp = a.fresh(r, rest.OK(viewProvider(r, relative(r, allProviders), &p)), p.UpdatedAt)
	}
	return resp.With("Location", r.Link(allProviders+"/"+p.UUID)), nil
}

// dashed is a UUID as it is kept: small letters, with hyphens.
func dashed(text string) string {
	if u, err := uuid.Parse(text); err == nil {
		return u.String()
	}
	return strings.ToLower(text)
}

func (a *api) showProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, err := a.control.Provider(ctx, r.Path("uuid"))
	if err != nil {
		return nil, err
	}
	return a.fresh(r, rest.OK(viewProvider(r, relative(r, allProviders), &p)), p.UpdatedAt), nil
}

type updateProvider struct {
	Name   string   `json:"name" check:"required len=1..200"`
	Parent optional `json:"parent_provider_uuid" mv:"1.14-" check:"uuid null"`
}

func (a *api) updateProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.exists(ctx, r); err != nil {
		return nil, err
	}
	var in updateProvider
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	u := placement.ProviderUpdate{Name: &in.Name, Move: r.Version.AtLeast("1.37")}
	if in.Parent.Set {
		u.Parent = &in.Parent.Value
	}
	p, err := a.control.UpdateProvider(ctx, r.Path("uuid"), u)
	if err != nil {
		return nil, err
	}
	return a.fresh(r, rest.OK(viewProvider(r, relative(r, allProviders), &p)), p.UpdatedAt), nil
}

// exists refuses requests below a provider that is not there, before their body
// is looked at.
func (a *api) exists(ctx context.Context, r *rest.Request) error {
	_, err := a.control.Provider(ctx, r.Path("uuid"))
	return err
}

func (a *api) deleteProvider(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.DeleteProvider(ctx, r.Path("uuid")); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}

type aggregatesView struct {
	Aggregates []string `json:"aggregates"`
	Generation int64    `json:"resource_provider_generation" mv:"1.19-"`
}

func (a *api) listAggregates(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, list, err := a.control.Aggregates(ctx, r.Path("uuid"))
	if err != nil {
		return nil, err
	}
	if list == nil {
		list = []string{}
	}
	return a.fresh(r, rest.OK(&aggregatesView{list, p.Generation}), time.Time{}), nil
}

type setAggregates struct {
	Aggregates []string `json:"aggregates" check:"required uuid unique"`
	Generation int64    `json:"resource_provider_generation" check:"required"`
}

func (a *api) setAggregates(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.exists(ctx, r); err != nil {
		return nil, err
	}
	var in setAggregates
	var base *int64
	var err error
	if r.Version.AtLeast("1.19") {
		err, base = decode(r, &in), &in.Generation
	} else { // the list alone
		err = decode(r, &in.Aggregates, "uuid", "unique")
	}
	if err != nil {
		return nil, err
	}
	p, err := a.control.SetAggregates(ctx, r.Path("uuid"), base, in.Aggregates)
	if err != nil {
		return nil, err
	}
	return a.fresh(r, rest.OK(&aggregatesView{in.Aggregates, p.Generation}), time.Time{}), nil
}

type traitsView struct {
	Traits     []string `json:"traits"`
	Generation *int64   `json:"resource_provider_generation,omitempty"`
}

func (a *api) viewTraits(r *rest.Request, list []placement.Named, generation *int64) *rest.Response {
	v := &traitsView{Traits: make([]string, 0, len(list)), Generation: generation}
	var changed time.Time
	for _, t := range list {
		v.Traits = append(v.Traits, t.Name)
		changed = a.latest(changed, t.UpdatedAt)
	}
	return a.fresh(r, rest.OK(v), changed)
}

func (a *api) providerTraits(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, list, err := a.control.ProviderTraits(ctx, r.Path("uuid"))
	if err != nil {
		return nil, err
	}
	return a.viewTraits(r, list, &p.Generation), nil
}

type setTraits struct {
	Traits     []string `json:"traits" check:"required len=1..255"`
	Generation int64    `json:"resource_provider_generation" check:"required"`
}

func (a *api) setProviderTraits(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in setTraits
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	p, list, err := a.control.SetProviderTraits(ctx, r.Path("uuid"), in.Generation, in.Traits)
	if err != nil {
		return nil, err
	}
	return a.viewTraits(r, list, &p.Generation), nil
}

func (a *api) clearProviderTraits(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.ClearProviderTraits(ctx, r.Path("uuid")); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}
