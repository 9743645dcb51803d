package api

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/placement"
)

type inventoryView struct {
	Total    int64 `json:"total"`
	Reserved int64 `json:"reserved"`
	MinUnit  int64 `json:"min_unit"`
	MaxUnit  int64 `json:"max_unit"`
	StepSize int64 `json:"step_size"`
	Ratio    ratio `json:"allocation_ratio"`
}

// ratio is a number that is written with a decimal point even when it is whole:
// clients in Python show what they get.
type ratio float64

// MarshalJSON implements json.Marshaler.
func (f ratio) MarshalJSON() ([]byte, error) {
	text := strconv.AppendFloat(nil, float64(f), 'g', -1, 64)
	if !bytes.ContainsAny(text, ".e") {
		text = append(text, ".0"...)
	}
	return text, nil
}

func viewInventory(i *placement.Inventory) inventoryView {
	return inventoryView{i.Total, i.Reserved, i.MinUnit, i.MaxUnit, i.StepSize, ratio(i.Ratio)}
}

type oneInventoryView struct {
	Generation int64 `json:"resource_provider_generation"`
	inventoryView
}

type inventoriesView struct {
	Generation  int64                    `json:"resource_provider_generation"`
	Inventories map[string]inventoryView `json:"inventories"`
}

func (a *api) viewInventories(r *rest.Request, generation int64, list []placement.Inventory) *rest.Response {
	v := &inventoriesView{generation, make(map[string]inventoryView, len(list))}
	var changed time.Time
	for i := range list {
		v.Inventories[list[i].Class] = viewInventory(&list[i])
		changed = a.latest(changed, list[i].UpdatedAt)
	}
	return a.fresh(r, rest.OK(v), changed)
}

func (a *api) listInventories(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, list, err := a.control.Inventories(ctx, r.Path("uuid"))
	if err != nil {
		return nil, err
	}
	return a.viewInventories(r, p.Generation, list), nil
}

func (a *api) showInventory(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, i, err := a.control.Inventory(ctx, r.Path("uuid"), r.Path("class"))
	if err != nil {
		return nil, err
	}
	return a.fresh(r, rest.OK(&oneInventoryView{p.Generation, viewInventory(&i)}), i.UpdatedAt), nil
}

// record is an inventory in a body. What is left out has a default.
type record struct {
	Total    int64    `json:"total" check:"required range=1..2147483647"`
	Reserved int64    `json:"reserved" check:"range=0..2147483647"`
	MinUnit  *int64   `json:"min_unit" check:"range=1..2147483647"`
	MaxUnit  *int64   `json:"max_unit" check:"range=1..2147483647"`
	StepSize *int64   `json:"step_size" check:"range=1..2147483647"`
	Ratio    *float64 `json:"allocation_ratio" check:"range=..3.40282e+38"`
	// Generation is allowed here, and means nothing where there is one outside.
	Generation *int64 `json:"resource_provider_generation"`
}

func (in *record) inventory(class string) placement.Inventory {
	return placement.Inventory{Class: class, Total: in.Total, Reserved: in.Reserved, MinUnit: or(in.MinUnit, 1),
		MaxUnit: or(in.MaxUnit, placement.MaxInt), StepSize: or(in.StepSize, 1), Ratio: or(in.Ratio, 1)}
}

func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

type records struct {
	Generation  int64             `json:"resource_provider_generation" check:"required"`
	Inventories map[string]record `json:"inventories" check:"required keys=class"`
}

func (in *records) list() []placement.Inventory {
	list := make([]placement.Inventory, 0, len(in.Inventories))
	for class, i := range in.Inventories {
		list = append(list, i.inventory(class))
	}
	return list
}

// mayBeFull reports whether all of an inventory may be reserved.
func mayBeFull(r *rest.Request) bool { return r.Version.AtLeast("1.26") }

func (a *api) setInventories(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.exists(ctx, r); err != nil {
		return nil, err
	}
	var in records
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	list := in.list()
	p, err := a.control.SetInventories(ctx, r.Path("uuid"), in.Generation, mayBeFull(r), list)
	if err != nil {
		return nil, err
	}
	return a.viewInventories(r, p.Generation, list), nil
}

type newRecord struct {
	Class    string   `json:"resource_class" check:"required match=class len=1..255"`
	Total    int64    `json:"total" check:"required range=1..2147483647"`
	Reserved int64    `json:"reserved" check:"range=0..2147483647"`
	MinUnit  *int64   `json:"min_unit" check:"range=1..2147483647"`
	MaxUnit  *int64   `json:"max_unit" check:"range=1..2147483647"`
	StepSize *int64   `json:"step_size" check:"range=1..2147483647"`
	Ratio    *float64 `json:"allocation_ratio" check:"range=..3.40282e+38"`
	// Generation may be given and is not looked at: what is added cannot overwrite.
	Generation *int64 `json:"resource_provider_generation"`
}

func (a *api) createInventory(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.exists(ctx, r); err != nil {
		return nil, err
	}
	var in newRecord
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	i := (&record{in.Total, in.Reserved, in.MinUnit, in.MaxUnit, in.StepSize, in.Ratio, nil}).inventory(in.Class)
	p, err := a.control.AddInventory(ctx, r.Path("uuid"), mayBeFull(r), i)
	if err != nil {
		return nil, err
	}
	resp := rest.Created(&oneInventoryView{p.Generation, viewInventory(&i)})
	return a.fresh(r, resp, time.Time{}).With("Location", r.Link(allProviders+"/"+p.UUID+"/inventories/"+in.Class)), nil
}

type replaceRecord struct {
	Generation int64    `json:"resource_provider_generation" check:"required"`
	Total      int64    `json:"total" check:"required range=1..2147483647"`
	Reserved   int64    `json:"reserved" check:"range=0..2147483647"`
	MinUnit    *int64   `json:"min_unit" check:"range=1..2147483647"`
	MaxUnit    *int64   `json:"max_unit" check:"range=1..2147483647"`
	StepSize   *int64   `json:"step_size" check:"range=1..2147483647"`
	Ratio      *float64 `json:"allocation_ratio" check:"range=..3.40282e+38"`
}

func (a *api) updateInventory(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.exists(ctx, r); err != nil {
		return nil, err
	}
	var in replaceRecord
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	i := (&record{in.Total, in.Reserved, in.MinUnit, in.MaxUnit, in.StepSize, in.Ratio, nil}).inventory(r.Path("class"))
	p, err := a.control.UpdateInventory(ctx, r.Path("uuid"), in.Generation, mayBeFull(r), i)
	if err != nil {
		return nil, err
	}
	return a.fresh(r, rest.OK(&oneInventoryView{p.Generation, viewInventory(&i)}), time.Time{}), nil
}

func (a *api) deleteInventory(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.DeleteInventory(ctx, r.Path("uuid"), r.Path("class")); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}

func (a *api) clearInventories(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if !r.Version.AtLeast("1.5") { // a window would make it 404, where upstream says 405
		return nil, fault.New(fault.MethodNotAllowed, "The method %s is not allowed for this resource.", http.MethodDelete)
	}
	if err := a.control.ClearInventories(ctx, r.Path("uuid")); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}

func (a *api) providerUsages(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, list, err := a.control.Inventories(ctx, r.Path("uuid"))
	if err != nil {
		return nil, err
	}
	usages := make(map[string]int64, len(list))
	for _, i := range list {
		usages[i.Class] = i.Used
	}
	return a.fresh(r, rest.OK(map[string]any{"resource_provider_generation": p.Generation, "usages": usages}), time.Time{}), nil
}
