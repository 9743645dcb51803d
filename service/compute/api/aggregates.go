package api

import (
	"context"
	"strconv"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

type aggregateView struct {
	ID        int64             `json:"id"`
	UUID      string            `json:"uuid" mv:"2.41-"`
	Name      string            `json:"name"`
	Zone      *string           `json:"availability_zone"`
	Hosts     []string          `json:"hosts"`
	Metadata  map[string]string `json:"metadata"`
	CreatedAt rest.MicroTime    `json:"created_at"`
	UpdatedAt rest.MicroTime    `json:"updated_at"`
	Deleted   bool              `json:"deleted"`
	DeletedAt rest.MicroTime    `json:"deleted_at"`
}

func viewAggregate(a compute.Aggregate) *aggregateView {
	return &aggregateView{ID: a.Seq, UUID: a.ID, Name: a.Name, Zone: orNull(a.Metadata["availability_zone"]), Hosts: orNone(a.Hosts), Metadata: orEmpty(a.Metadata),
		CreatedAt: rest.MicroTime{Time: a.CreatedAt}, UpdatedAt: rest.MicroTime{Time: a.UpdatedAt}}
}

func (a *api) listAggregates(ctx context.Context, _ *rest.Request) (*rest.Response, error) {
	all, err := a.control.Aggregates(ctx, "index")
	if err != nil {
		return nil, err
	}
	return &rest.Response{Items: &rest.Items{Key: "aggregates", Each: func(yield func(any) error) error {
		for _, x := range all {
			if err := yield(viewAggregate(x)); err != nil {
				return err
			}
		}
		return nil
	}}}, nil
}

func (a *api) showAggregate(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, err := a.control.Aggregates(ctx, "show")
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		if strconv.FormatInt(x.Seq, 10) == r.Path("id") {
			return rest.OK(&struct {
				Aggregate *aggregateView `json:"aggregate"`
			}{viewAggregate(x)}), nil
		}
	}
	return nil, fault.NotFoundf("Aggregate %s could not be found.", r.Path("id"))
}
