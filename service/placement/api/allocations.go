package api

import (
	"context"
	"net/url"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/placement"
	"kilonova/service/placement/control"
)

type amounts struct {
	Resources map[string]int64 `json:"resources"`
}

type providerAmounts struct {
	Generation int64            `json:"generation"`
	Resources  map[string]int64 `json:"resources"`
}

type consumerView struct {
	Allocations map[string]*providerAmounts `json:"allocations"`
	ProjectID   *string                     `json:"project_id,omitempty" mv:"1.12-"`
	UserID      *string                     `json:"user_id,omitempty" mv:"1.12-"`
	Generation  *int64                      `json:"consumer_generation,omitempty" mv:"1.28-"`
	Type        *string                     `json:"consumer_type,omitempty" mv:"1.38-"`
}

func (a *api) consumerAllocations(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	consumer, list, err := a.control.ConsumerAllocations(ctx, r.Path("consumer"))
	if err != nil {
		return nil, err
	}
	v := &consumerView{Allocations: map[string]*providerAmounts{}}
	var changed time.Time
	for _, al := range list {
		p := v.Allocations[al.ProviderUUID]
		if p == nil {
			p = &providerAmounts{al.ProviderGeneration, map[string]int64{}}
			v.Allocations[al.ProviderUUID] = p
		}
		p.Resources[al.Class] = al.Used
		changed = a.latest(changed, al.CreatedAt)
	}
	if len(list) > 0 {
		if consumer.Type == "" {
			consumer.Type = placement.UnknownConsumer
		}
		v.ProjectID, v.UserID, v.Generation, v.Type = &consumer.ProjectID, &consumer.UserID, &consumer.Generation, &consumer.Type
	}
	return a.fresh(r, rest.OK(v), changed), nil
}

type consumerAmounts struct {
	Resources  map[string]int64 `json:"resources"`
	Generation int64            `json:"consumer_generation"`
}

func (a *api) providerAllocations(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, list, err := a.control.ProviderAllocations(ctx, r.Path("uuid"))
	if err != nil {
		return nil, err
	}
	withGeneration := r.Version.AtLeast("1.28")
	byConsumer := map[string]any{}
	resources := map[string]map[string]int64{}
	var changed time.Time
	for _, al := range list {
		if resources[al.ConsumerUUID] == nil {
			resources[al.ConsumerUUID] = map[string]int64{}
			if withGeneration {
				byConsumer[al.ConsumerUUID] = consumerAmounts{resources[al.ConsumerUUID], al.ConsumerGeneration}
			} else {
				byConsumer[al.ConsumerUUID] = amounts{resources[al.ConsumerUUID]}
			}
		}
		resources[al.ConsumerUUID][al.Class] = al.Used
		changed = a.latest(changed, al.CreatedAt)
	}
	body := map[string]any{"allocations": byConsumer, "resource_provider_generation": p.Generation}
	return a.fresh(r, rest.OK(body), changed), nil
}

// claimList is a claim until version 1.11.
type claimList struct {
	Allocations []claimListItem `json:"allocations" check:"required items=1.."`
	ProjectID   string          `json:"project_id" mv:"1.8-" check:"required len=1..255"`
	UserID      string          `json:"user_id" mv:"1.8-" check:"required len=1..255"`
}

type claimListItem struct {
	Provider struct {
		UUID string `json:"uuid" check:"required uuid"`
	} `json:"resource_provider" check:"required"`
	Resources map[string]int64 `json:"resources" check:"required keys=class len=1.. range=1..2147483647"`
}

func (a *api) putAllocationList(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	consumer, err := consumerInPath(r)
	if err != nil {
		return nil, err
	}
	var in claimList
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	byProvider := map[string]map[string]int64{} // the last entry of a provider counts
	for _, item := range in.Allocations {
		byProvider[item.Provider.UUID] = item.Resources
	}
	c := placement.Claim{ConsumerUUID: consumer, ProjectID: in.ProjectID, UserID: in.UserID}
	for uuid, resources := range byProvider {
		c.Allocations = append(c.Allocations, placement.ProviderAmounts{ProviderUUID: uuid, Amounts: amountList(resources)})
	}
	if err := a.control.Claim(ctx, c); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}

func consumerInPath(r *rest.Request) (string, error) {
	text := r.Path("consumer")
	if !rest.IsUUID(text) {
		return "", fault.Invalidf("Malformed consumer_uuid: %.64s", text)
	}
	return dashed(text), nil
}

func amountList(resources map[string]int64) []placement.Amount {
	list := make([]placement.Amount, 0, len(resources))
	for class, amount := range resources {
		list = append(list, placement.Amount{Class: class, Amount: amount})
	}
	return list
}

// claimBody is a claim since version 1.12.
type claimBody struct {
	Allocations map[string]claimed `json:"allocations" check:"required keys=uuid"`
	ProjectID   string             `json:"project_id" check:"required len=1..255"`
	UserID      string             `json:"user_id" check:"required len=1..255"`
	Generation  *int64             `json:"consumer_generation" mv:"1.28-" check:"required null"`
	// Mappings come along from a candidate; nothing is done with them.
	Mappings map[string][]string `json:"mappings" mv:"1.34-" check:"keys=any len=1.. items=1.. uuid"`
	Type     string              `json:"consumer_type" mv:"1.38-" check:"required match=consumer len=1..255"`
}

type claimed struct {
	// Generation comes along from a GET; nothing is done with it.
	Generation *int64           `json:"generation"`
	Resources  map[string]int64 `json:"resources" check:"required keys=class len=1.. range=1..2147483647"`
}

func (in *claimBody) claim(r *rest.Request, consumer string) placement.Claim {
	c := placement.Claim{ConsumerUUID: consumer, ProjectID: in.ProjectID, UserID: in.UserID, Type: in.Type,
		CheckGeneration: r.Version.AtLeast("1.28"), Generation: in.Generation}
	for uuid, a := range in.Allocations {
		c.Allocations = append(c.Allocations, placement.ProviderAmounts{ProviderUUID: uuid, Amounts: amountList(a.Resources)})
	}
	return c
}

func (a *api) putAllocations(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	consumer, err := consumerInPath(r)
	if err != nil {
		return nil, err
	}
	var in claimBody
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if len(in.Allocations) == 0 && !r.Version.AtLeast("1.28") { // without a generation nobody could mean it
		return nil, fault.Invalidf("JSON does not validate: %s",
			(&violation{"{} does not have enough properties", "minProperties", "['properties']['allocations']"}).Error())
	}
	if err := a.control.Claim(ctx, in.claim(r, consumer)); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}

func (a *api) postAllocations(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in map[string]claimBody
	if err := decode(r, &in, "keys=uuid", "len=1.."); err != nil {
		return nil, err
	}
	if err := a.control.ClaimAll(ctx, claims(r, in)); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}

func claims(r *rest.Request, in map[string]claimBody) []placement.Claim {
	list := make([]placement.Claim, 0, len(in))
	for consumer, c := range in {
		list = append(list, c.claim(r, consumer))
	}
	return list
}

func (a *api) deleteAllocations(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.Release(ctx, r.Path("consumer")); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}

type reshapeBody struct {
	Inventories map[string]records   `json:"inventories" check:"required keys=uuid len=1.."`
	Allocations map[string]claimBody `json:"allocations" check:"required keys=uuid"`
}

func (a *api) reshape(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var in reshapeBody
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	changes := make([]placement.InventoryChange, 0, len(in.Inventories))
	for uuid, i := range in.Inventories {
		changes = append(changes, placement.InventoryChange{ProviderUUID: uuid, Generation: i.Generation, Inventories: i.list()})
	}
	if err := a.control.Reshape(ctx, changes, claims(r, in.Allocations)); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}

// usageParameters are those of GET /usages, with the rules of their values.
var usageParameters = map[string]string{"project_id": "len=1..255", "user_id": "len=1..255"}

func (a *api) totalUsages(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	project := last(r.Query["project_id"])
	if err := a.control.Authorize(ctx, control.RuleUsages, auth.Target{"project_id": project}); err != nil {
		return nil, err
	}
	byType := r.Version.AtLeast("1.38")
	parameters := usageParameters
	if byType {
		parameters = map[string]string{"consumer_type": "match=consumerfilter len=1..255"}
		for k, v := range usageParameters {
			parameters[k] = v
		}
	}
	if err := checkQuery(r, parameters); err != nil {
		return nil, err
	}
	if !r.Query.Has("project_id") {
		return nil, invalidQuery(&violation{"'project_id' is a required property", "required", ""})
	}
	filter, all := usageFilter(r.Query, byType)
	list, err := a.control.Usages(ctx, filter, byType && !all)
	if err != nil {
		return nil, err
	}
	if !byType {
		usages := map[string]int64{}
		for _, u := range list {
			usages[u.Class] = u.Used
		}
		return a.fresh(r, rest.OK(map[string]any{"usages": usages}), time.Time{}), nil
	}
	usages := map[string]map[string]int64{}
	for _, u := range list {
		if all {
			u.ConsumerType = "all"
		}
		if usages[u.ConsumerType] == nil {
			usages[u.ConsumerType] = map[string]int64{"consumer_count": u.Consumers}
		}
		usages[u.ConsumerType][u.Class] = u.Used
	}
	return a.fresh(r, rest.OK(map[string]any{"usages": usages}), time.Time{}), nil
}

// usageFilter reads the query; all says that the types are not to be told apart.
func usageFilter(q url.Values, byType bool) (f placement.UsageFilter, all bool) {
	f = placement.UsageFilter{ProjectID: last(q["project_id"]), UserID: last(q["user_id"])}
	if byType {
		f.Type = last(q["consumer_type"])
	}
	if f.Type == "all" {
		f.Type, all = "", true
	}
	return f, all
}
