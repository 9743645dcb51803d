package api

import (
	"context"
	"encoding/json"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
	"kilonova/service/compute/hardware"
)

type flavorView struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	RAM         int                `json:"ram"`
	Disk        int                `json:"disk"`
	VCPUs       int                `json:"vcpus"`
	Swap        any                `json:"swap"` // "" for none before 2.75
	Ephemeral   int                `json:"OS-FLV-EXT-DATA:ephemeral"`
	Disabled    bool               `json:"OS-FLV-DISABLED:disabled" mv:"-2.101"`
	Public      bool               `json:"os-flavor-access:is_public"`
	RxTxFactor  float64            `json:"rxtx_factor" mv:"-2.101"`
	Description *string            `json:"description" mv:"2.55-"`
	ExtraSpecs  *map[string]string `json:"extra_specs,omitempty" mv:"2.61-"`
	Links       []link             `json:"links"`
}

type flavorBrief struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Description *string `json:"description" mv:"2.55-"`
	Links       []link  `json:"links"`
}

func (v *viewer) flavor(f compute.Flavor) *flavorView {
	out := &flavorView{ID: f.ID, Name: f.Name, RAM: f.MemoryMB, Disk: f.RootGB, VCPUs: f.VCPUs, Swap: f.SwapMB, Ephemeral: f.EphemeralGB,
		Disabled: f.Disabled, Public: f.Public, RxTxFactor: f.RxTxFactor, Description: f.Description, Links: v.links("flavors", f.ID)}
	if f.SwapMB == 0 && !v.r.Version.AtLeast("2.75") {
		out.Swap = ""
	}
	specs := orEmpty(f.ExtraSpecs)
	out.ExtraSpecs = &specs
	return out
}

func (a *api) listFlavors(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	v := a.viewer(r)
	return a.streamFlavors(ctx, r, "/v2.1/flavors", func(f compute.Flavor) any {
		return &flavorBrief{f.ID, f.Name, f.Description, v.links("flavors", f.ID)}
	})
}

func (a *api) listFlavorsDetailed(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	v := a.viewer(r)
	return a.streamFlavors(ctx, r, "/v2.1/flavors/detail", func(f compute.Flavor) any { return v.flavor(f) })
}

func (a *api) streamFlavors(ctx context.Context, r *rest.Request, path string, view func(compute.Flavor) any) (*rest.Response, error) {
	page, err := r.Page(a.most)
	if err != nil {
		return nil, err
	}
	if r.Query.Get("limit") == "0" { // nothing, rather than all
		return rest.OK(map[string]any{"flavors": []any{}}), nil
	}
	q := control.FlavorQuery{Marker: page.Marker, Limit: page.Limit + 1, SortKey: firstOf(r.Query.Get("sort_key"), "flavorid"), Descending: r.Query.Get("sort_dir") == "desc"}
	if control.FlavorSortKeys[q.SortKey] == nil {
		return nil, fault.Invalidf("Invalid input for query parameters sort_key. Value: %.64s. It is no key to sort by.", q.SortKey)
	}
	if q.MinRAM, err = r.QueryInt("minRam", 0); err != nil {
		return nil, fault.Invalidf("Invalid min_ram filter [%.64s]", r.Query.Get("minRam"))
	}
	if q.MinDisk, err = r.QueryInt("minDisk", 0); err != nil {
		return nil, fault.Invalidf("Invalid minDisk filter [%.64s]", r.Query.Get("minDisk"))
	}
	public := true
	q.Public = &public
	if text := r.Query.Get("is_public"); text == "None" || text == "none" {
		q.Public = nil
	} else if text != "" {
		if public, err = rest.ParseBool(text); err != nil {
			return nil, fault.Invalidf("Invalid is_public filter [%.64s]", text)
		}
	}
	flavors, err := a.control.Flavors(ctx, q)
	if err != nil {
		return nil, err
	}
	more := len(flavors) > page.Limit
	flavors = flavors[:min(page.Limit, len(flavors))]
	return &rest.Response{Items: &rest.Items{Key: "flavors",
		Each: func(yield func(any) error) error {
			for _, f := range flavors {
				if err := yield(view(f)); err != nil {
					return err
				}
			}
			return nil
		},
		Tail: func() map[string]any {
			if !more {
				return nil
			}
			return map[string]any{"flavors_links": []link{{Rel: "next", Href: r.NextLink(path, flavors[len(flavors)-1].ID)}}}
		}}}, nil
}

type flavorBody struct {
	Flavor *flavorView `json:"flavor"`
}

func (a *api) showFlavor(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	f, err := a.control.Flavor(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(&flavorBody{a.viewer(r).flavor(f)}), nil
}

type createFlavorBody struct {
	Flavor struct {
		Name        string     `json:"name" check:"required len=1..255 name"`
		ID          *flavorID  `json:"id" check:"null len=1..255 match=flavorid"`
		RAM         *rest.Int  `json:"ram" check:"required range=1..2147483647"`
		VCPUs       *rest.Int  `json:"vcpus" check:"required range=1..2147483647"`
		Disk        *rest.Int  `json:"disk" check:"required range=0..2147483647"`
		Swap        *rest.Int  `json:"swap" check:"range=0..2147483647"`
		Ephemeral   *rest.Int  `json:"OS-FLV-EXT-DATA:ephemeral" check:"range=0..2147483647"`
		RxTxFactor  *flexFloat `json:"rxtx_factor" mv:"-2.101"`
		Public      *rest.Bool `json:"os-flavor-access:is_public"`
		Description *string    `json:"description" mv:"2.55-" check:"null len=0..65535 printable"`
	} `json:"flavor" check:"required"`
}

// flavorID may be a number in old clients' requests.
type flavorID string

// UnmarshalJSON implements json.Unmarshaler.
func (f *flavorID) UnmarshalJSON(data []byte) error {
	text, err := textOrNumber("id", data)
	*f = flavorID(text)
	return err
}

// textOrNumber reads a field that old clients write as a number.
func textOrNumber(field string, data []byte) (string, error) {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case float64:
		return string(data), nil
	}
	return "", fault.Invalidf("Invalid input for field/attribute %s. Value: %.64s. It is not of type 'string', 'number'", field, data)
}

// flexFloat is a number that may be written as a string.
type flexFloat float64

// UnmarshalJSON implements json.Unmarshaler.
func (f *flexFloat) UnmarshalJSON(data []byte) error {
	text := data
	if len(data) > 1 && data[0] == '"' {
		text = data[1 : len(data)-1]
	}
	var v float64
	if err := json.Unmarshal(text, &v); err != nil || v <= 0 || v > 3.40282e38 {
		return fault.Invalidf("Invalid input for field/attribute rxtx_factor. Value: %.64s. It is not a number above 0", data)
	}
	*f = flexFloat(v)
	return nil
}

func (a *api) createFlavor(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body createFlavorBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Flavor
	f := compute.Flavor{Name: b.Name, MemoryMB: int(*b.RAM), VCPUs: int(*b.VCPUs), RootGB: int(*b.Disk), RxTxFactor: 1, Public: true, Description: b.Description}
	if b.ID != nil {
		f.ID = string(*b.ID)
	}
	if f.ID != "" && (f.ID[0] == ' ' || f.ID[len(f.ID)-1] == ' ') {
		return nil, fault.Invalidf("Invalid input for field/attribute id. Value: %s. An id has no white space at its ends.", f.ID)
	}
	if b.Swap != nil {
		f.SwapMB = int(*b.Swap)
	}
	if b.Ephemeral != nil {
		f.EphemeralGB = int(*b.Ephemeral)
	}
	if b.RxTxFactor != nil {
		f.RxTxFactor = float64(*b.RxTxFactor)
	}
	if b.Public != nil {
		f.Public = bool(*b.Public)
	}
	f, err := a.control.CreateFlavor(ctx, f)
	if err != nil {
		return nil, err
	}
	return rest.OK(&flavorBody{a.viewer(r).flavor(f)}), nil
}

func (a *api) updateFlavor(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Flavor struct {
			Description rest.Opt[string] `json:"description" check:"null len=0..65535 printable"`
		} `json:"flavor" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	var text *string
	if d := body.Flavor.Description; d.Set && !d.Null {
		text = &d.V
	}
	f, err := a.control.DescribeFlavor(ctx, r.Path("id"), text)
	if err != nil {
		return nil, err
	}
	return rest.OK(&flavorBody{a.viewer(r).flavor(f)}), nil
}

func (a *api) deleteFlavor(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.control.DeleteFlavor(ctx, r.Path("id"))
}

type accessView struct {
	FlavorID string `json:"flavor_id"`
	TenantID string `json:"tenant_id"`
}

func accessBody(id string, projects []string) map[string]any {
	views := []accessView{}
	for _, p := range projects {
		views = append(views, accessView{id, p})
	}
	return map[string]any{"flavor_access": views}
}

func (a *api) listFlavorAccess(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	projects, err := a.control.FlavorAccess(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(accessBody(r.Path("id"), projects)), nil
}

type accessAction struct {
	Tenant string `json:"tenant" check:"required len=1..255"`
}

func (a *api) addFlavorAccess(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Action accessAction `json:"addTenantAccess" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return a.changeFlavorAccess(ctx, r, body.Action.Tenant, true)
}

func (a *api) removeFlavorAccess(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Action accessAction `json:"removeTenantAccess" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return a.changeFlavorAccess(ctx, r, body.Action.Tenant, false)
}

func (a *api) changeFlavorAccess(ctx context.Context, r *rest.Request, projectID string, allow bool) (*rest.Response, error) {
	projects, err := a.control.ChangeFlavorAccess(ctx, r.Path("id"), projectID, allow)
	if err != nil {
		return nil, err
	}
	return rest.OK(accessBody(r.Path("id"), projects)), nil
}

func (a *api) listExtraSpecs(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	specs, err := a.control.ExtraSpecs(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"extra_specs": orEmpty(specs)}), nil
}

// readSpecs reads extra specs, whose values may be numbers, as text. Those that
// are known are checked since 2.86.
func readSpecs(v rest.Version, raw map[string]json.RawMessage) (map[string]string, error) {
	specs := map[string]string{}
	for k, value := range raw {
		if !rest.Patterns["key"].MatchString(k) {
			return nil, fault.Invalidf("Invalid input for field/attribute extra_specs. The key %.64q does not match '%s'", k, rest.Patterns["key"])
		}
		var text string
		var number json.Number
		if string(value) == "null" || json.Unmarshal(value, &text) != nil {
			if string(value) == "null" || json.Unmarshal(value, &number) != nil {
				return nil, fault.Invalidf("Invalid input for field/attribute %s. Value: %.64s. It is not of type 'string', 'number'", k, value)
			}
			text = number.String()
		}
		if len([]rune(text)) > 255 {
			return nil, fault.Invalidf("Invalid input for field/attribute %s. The value is too long: at most 255 characters are allowed.", k)
		}
		if v.AtLeast("2.86") {
			if err := hardware.CheckExtraSpec(k, text); err != nil {
				return nil, err
			}
		}
		specs[k] = text
	}
	return specs, nil
}

func (a *api) createExtraSpecs(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Specs map[string]json.RawMessage `json:"extra_specs" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	specs, err := readSpecs(r.Version, body.Specs)
	if err != nil {
		return nil, err
	}
	if err := a.control.SetExtraSpecs(ctx, r.Path("id"), specs); err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"extra_specs": specs}), nil
}

func (a *api) showExtraSpec(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	specs, err := a.control.ExtraSpecs(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	key := r.Path("key")
	value, ok := specs[key]
	if !ok {
		return nil, fault.NotFoundf("Flavor %s has no extra specs with key %s.", r.Path("id"), key)
	}
	return rest.OK(map[string]string{key: value}), nil
}

func (a *api) updateExtraSpec(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var raw map[string]json.RawMessage
	if err := r.Decode(&raw); err != nil {
		return nil, err
	}
	specs, err := readSpecs(r.Version, raw)
	if err != nil {
		return nil, err
	}
	if _, ok := specs[r.Path("key")]; !ok || len(specs) != 1 {
		return nil, fault.Invalidf("Request body and URI mismatch")
	}
	if err := a.control.SetExtraSpecs(ctx, r.Path("id"), specs); err != nil {
		return nil, err
	}
	return rest.OK(specs), nil
}

func (a *api) deleteExtraSpec(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return &rest.Response{Status: 200}, a.control.DeleteExtraSpec(ctx, r.Path("id"), r.Path("key"))
}
