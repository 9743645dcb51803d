package api

import (
	"context"
	"net/http"
	"strings"

	"kilonova/internal/rest"
	"kilonova/service/network"
	"kilonova/service/network/control"
)

// qosRoutes are the rules of policies, below their policy and by themselves. Both
// spellings of a path are upstream's: its code joins words by "_", its OpenAPI by "-".
func (a *api) qosRoutes() []rest.Route {
	routes := []rest.Route{
		{Method: http.MethodGet, Path: "/v2.0/qos/rule-types", Handle: a.listRuleTypes, Doc: "List the types of QoS rules"},
		{Method: http.MethodGet, Path: "/v2.0/qos/rule-types/{id}", Handle: a.showRuleType, Doc: "Show a type of QoS rules"},
	}
	for _, kind := range []string{network.MinimumBandwidth, network.MinimumPacketRate} {
		r := qosRules{control: a.control, kind: kind, key: kind + "_rule"}
		alias := qosRules{control: a.control, kind: kind, key: "alias_" + kind + "_rule"}
		words := strings.ReplaceAll(r.key, "_", " ")
		for _, path := range []string{r.key + "s", strings.ReplaceAll(r.key, "_", "-") + "s"} {
			all := "/v2.0/qos/policies/{policy}/" + path
			routes = append(routes,
				rest.Route{Method: http.MethodGet, Path: all, Handle: r.list, Doc: "List the " + words + "s of a QoS policy"},
				rest.Route{Method: http.MethodPost, Path: all, Handle: r.create, Doc: "Add a " + words + " to a QoS policy"})
			routes = append(routes, r.routes(all+"/{id}", words)...)
		}
		for _, path := range []string{alias.key + "s", strings.ReplaceAll(alias.key, "_", "-") + "s"} {
			routes = append(routes, alias.routes("/v2.0/qos/"+path+"/{id}", words+" by its id alone")...)
		}
	}
	return routes
}

// qosRules are the rules of one kind.
type qosRules struct {
	control *control.Control
	kind    string
	key     string // of a rule in bodies
}

func (q qosRules) routes(path, words string) []rest.Route {
	return []rest.Route{
		{Method: http.MethodGet, Path: path, Handle: q.show, Doc: "Show a " + words},
		{Method: http.MethodPut, Path: path, Handle: q.update, Doc: "Change a " + words},
		{Method: http.MethodDelete, Path: path, Handle: q.remove, Doc: "Delete a " + words},
	}
}

// qosRuleView is a rule as it is shown by itself.
type qosRuleView struct {
	ID        string `json:"id"`
	Direction string `json:"direction"`
	Kbps      *int   `json:"min_kbps,omitempty"`
	Kpps      *int   `json:"min_kpps,omitempty"`
}

func viewOfRule(r network.QoSRule) *qosRuleView {
	return &qosRuleView{r.ID, r.Direction, r.Kbps, r.Kpps}
}

// input reads the one rule of a body.
func (q qosRules) input(r *rest.Request, op string) (network.QoSRuleInput, error) {
	list, _, err := decodeMany[network.QoSRule, network.QoSRuleInput](r, q.key, "", op)
	if err != nil {
		return network.QoSRuleInput{}, err
	}
	return list[0], nil
}

func (q qosRules) list(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	query, fields, err := query(r)
	if err != nil {
		return nil, err
	}
	rules, err := q.control.QoSRules(ctx, r.Path("policy"), q.kind)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, rule := range rules {
		for name, values := range query.Filters {
			value, known := map[string]string{"id": rule.ID, "direction": rule.Direction}[name]
			if !known {
				return nil, badRequest("['%.64s'] is invalid attribute for filtering", name)
			}
			for _, v := range values {
				if v != value {
					rule.ID = "" // of an attribute several values are no rule's
				}
			}
		}
		if rule.ID == "" {
			continue
		}
		item, err := pick(viewOfRule(rule), fields)
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return rest.OK(map[string]any{q.key + "s": out}), nil
}

func (q qosRules) show(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	rule, err := q.control.QoSRule(ctx, r.Path("policy"), q.kind, r.Path("id"))
	if err != nil {
		return nil, err
	}
	item, err := pick(viewOfRule(rule), r.Query["fields"])
	return rest.OK(map[string]any{q.key: item}), err
}

func (q qosRules) create(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	in, err := q.input(r, "post")
	if err != nil {
		return nil, err
	}
	rule, err := q.control.CreateQoSRule(ctx, r.Path("policy"), q.kind, in)
	return rest.Created(map[string]any{q.key: viewOfRule(rule)}), err
}

func (q qosRules) update(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	in, err := q.input(r, "put")
	if err != nil {
		return nil, err
	}
	rule, err := q.control.UpdateQoSRule(ctx, r.Path("policy"), q.kind, r.Path("id"), in)
	return rest.OK(map[string]any{q.key: viewOfRule(rule)}), err
}

func (q qosRules) remove(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), q.control.DeleteQoSRule(ctx, r.Path("policy"), q.kind, r.Path("id"))
}

// listRuleTypes answers the same whether those that all drivers have are asked for
// (all_supported) or those that any has (all_rules): there is one.
func (a *api) listRuleTypes(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.control.QoSRuleTypes(ctx)
	out := []any{}
	for _, t := range list {
		if want := r.Query.Get("type"); want == "" || want == t.Type {
			out = append(out, map[string]string{"type": t.Type})
		}
	}
	return rest.OK(map[string]any{"rule_types": out}), err
}

func (a *api) showRuleType(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	t, err := a.control.QoSRuleType(ctx, r.Path("id"))
	return rest.OK(map[string]any{"rule_type": t}), err
}
