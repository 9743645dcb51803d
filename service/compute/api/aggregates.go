package api

import (
	"context"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

func (a *api) aggregates() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/os-aggregates", Handle: a.listAggregates, Doc: "list aggregates"},
		{Method: "POST", Path: "/os-aggregates", Handle: a.createAggregate, Doc: "create aggregate"},
		{Method: "GET", Path: "/os-aggregates/{id}", Handle: a.showAggregate, Doc: "show aggregate"},
		{Method: "PUT", Path: "/os-aggregates/{id}", Handle: a.updateAggregate, Doc: "update name or zone of aggregate"},
		{Method: "DELETE", Path: "/os-aggregates/{id}", Handle: a.deleteAggregate, Doc: "delete aggregate"},
		{Method: "POST", Path: "/os-aggregates/{id}/action", Action: "add_host", Handle: a.addAggregateHost, Doc: "add host to aggregate"},
		{Method: "POST", Path: "/os-aggregates/{id}/action", Action: "remove_host", Handle: a.removeAggregateHost, Doc: "remove host from aggregate"},
		{Method: "POST", Path: "/os-aggregates/{id}/action", Action: "set_metadata", Handle: a.setAggregateMetadata, Doc: "create or update metadata of aggregate"},
		{Method: "POST", Path: "/os-aggregates/{id}/images", Versions: "2.81-", Handle: a.cacheImages, Doc: "cache images on the hosts of aggregate"},
	}
}

// aggregateBrief is what creating one answers.
type aggregateBrief struct {
	ID        int64          `json:"id"`
	UUID      string         `json:"uuid" mv:"2.41-"`
	Name      string         `json:"name"`
	Zone      *string        `json:"availability_zone"`
	CreatedAt rest.MicroTime `json:"created_at"`
	UpdatedAt rest.MicroTime `json:"updated_at"`
	Deleted   bool           `json:"deleted"`
	DeletedAt rest.MicroTime `json:"deleted_at"`
}

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

type aggregateBody struct {
	Aggregate *aggregateView `json:"aggregate"`
}

func briefAggregate(a compute.Aggregate) aggregateBrief {
	return aggregateBrief{ID: a.Seq, UUID: a.ID, Name: a.Name, Zone: orNull(a.Metadata["availability_zone"]),
		CreatedAt: rest.MicroTime{Time: a.CreatedAt}, UpdatedAt: rest.MicroTime{Time: a.UpdatedAt}}
}

func viewAggregate(a compute.Aggregate) *aggregateView {
	return &aggregateView{ID: a.Seq, UUID: a.ID, Name: a.Name, Zone: orNull(a.Metadata["availability_zone"]), Hosts: orNone(a.Hosts), Metadata: orEmpty(a.Metadata),
		CreatedAt: rest.MicroTime{Time: a.CreatedAt}, UpdatedAt: rest.MicroTime{Time: a.UpdatedAt}}
}

func answerAggregate(a compute.Aggregate, err error) (*rest.Response, error) {
	if err != nil {
		return nil, err
	}
	return rest.OK(&aggregateBody{viewAggregate(a)}), nil
}

// aggregateID reads the number in the path.
func aggregateID(r *rest.Request) (int64, error) {
	n, err := strconv.ParseInt(r.Path("id"), 10, 64)
	if err != nil {
		return 0, fault.Invalidf("id must be an integer, and not %.64q.", r.Path("id"))
	}
	return n, nil
}

func (a *api) listAggregates(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, err := a.control.Aggregates(ctx)
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
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	return answerAggregate(a.control.Aggregate(ctx, id))
}

func (a *api) createAggregate(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Aggregate struct {
			Name string  `json:"name" check:"required len=1..255 name"`
			Zone *string `json:"availability_zone" check:"null len=1..255 name"`
		} `json:"aggregate" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	zone := ""
	if body.Aggregate.Zone != nil {
		zone = *body.Aggregate.Zone
	}
	made, err := a.control.CreateAggregate(ctx, body.Aggregate.Name, zone)
	if err != nil {
		return nil, err
	}
	brief := briefAggregate(made)
	return rest.OK(&struct {
		Aggregate *aggregateBrief `json:"aggregate"`
	}{&brief}), nil
}

func (a *api) updateAggregate(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Aggregate struct {
			Name *string          `json:"name" check:"len=1..255 printable"`
			Zone rest.Opt[string] `json:"availability_zone" check:"null len=1..255 name"`
		} `json:"aggregate"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Aggregate
	if b.Name == nil && !b.Zone.Set {
		return nil, fault.Invalidf("Invalid input for field/attribute aggregate. It needs a name or an availability_zone.")
	}
	if b.Name != nil {
		name := strings.TrimSpace(*b.Name)
		if b.Name = &name; name == "" {
			return nil, fault.Invalidf("Invalid input for field/attribute name. Value: ''. It is too short.")
		}
	}
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	var zone *string
	if b.Zone.Set { // null is refused as "" is
		zone = &b.Zone.V
	}
	return answerAggregate(a.control.UpdateAggregate(ctx, id, b.Name, zone))
}

func (a *api) deleteAggregate(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	return &rest.Response{Status: 200}, a.control.DeleteAggregate(ctx, id)
}

type hostRef struct {
	Host string `json:"host" check:"required len=1..255 match=hostname"`
}

func (a *api) addAggregateHost(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Action hostRef `json:"add_host" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	return answerAggregate(a.control.AddAggregateHost(ctx, id, body.Action.Host))
}

func (a *api) removeAggregateHost(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Action hostRef `json:"remove_host" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	return answerAggregate(a.control.RemoveAggregateHost(ctx, id, body.Action.Host))
}

func (a *api) setAggregateMetadata(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Action struct {
			Metadata map[string]*string `json:"metadata"`
		} `json:"set_metadata"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.Action.Metadata == nil {
		return nil, fault.Invalidf("Invalid input for field/attribute set_metadata. 'metadata' is a required property.")
	}
	texts := map[string]string{}
	for key, value := range body.Action.Metadata {
		if texts[key] = ""; value != nil {
			texts[key] = *value
		}
	}
	if err := checkMetadata(texts); err != nil {
		return nil, err
	}
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	return answerAggregate(a.control.SetAggregateMetadata(ctx, id, body.Action.Metadata))
}

func (a *api) cacheImages(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Cache []struct {
			ID string `json:"id" check:"required uuid"`
		} `json:"cache" check:"required len=1..1000"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	images, seen := make([]string, 0, len(body.Cache)), map[string]bool{}
	for _, image := range body.Cache {
		if seen[image.ID] {
			return nil, fault.Invalidf("Duplicate images in request")
		}
		seen[image.ID] = true
		images = append(images, image.ID)
	}
	return rest.Accepted(nil), a.control.CacheImages(ctx, id, images)
}
