package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

func (a *api) startServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.control.StartServer(ctx, r.Path("id"))
}

func (a *api) stopServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.control.StopServer(ctx, r.Path("id"))
}

func (a *api) rebootServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Reboot struct {
			Type string `json:"type" check:"required enum=HARD|Hard|hard|SOFT|Soft|soft"`
		} `json:"reboot" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.RebootServer(ctx, r.Path("id"), body.Reboot.Type[0]|0x20 == 'h')
}

func (a *api) consoleOutput(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Action struct {
			Length *rest.Int `json:"length" check:"null range=-1.."`
		} `json:"os-getConsoleOutput"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	lines := -1
	if body.Action.Length != nil {
		lines = int(*body.Action.Length)
	}
	text, err := a.control.ConsoleOutput(ctx, r.Path("id"), lines)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]string{"output": text}), nil
}

// memberGroup is a security group by its name or id, whatever they look like.
type memberGroup struct {
	Name string `json:"name" check:"required"`
}

func (a *api) addSecurityGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Group memberGroup `json:"addSecurityGroup" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.ChangeSecurityGroup(ctx, r.Path("id"), body.Group.Name, true)
}

func (a *api) removeSecurityGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Group memberGroup `json:"removeSecurityGroup" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.ChangeSecurityGroup(ctx, r.Path("id"), body.Group.Name, false)
}

func (a *api) listServerSecurityGroups(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	groups, err := a.control.SecurityGroups(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	views := []map[string]any{}
	for _, g := range groups {
		views = append(views, map[string]any{"id": g.ID, "name": g.Name, "description": g.Description, "tenant_id": g.ProjectID, "rules": []any{}})
	}
	return rest.OK(map[string]any{"security_groups": views}), nil
}

// actionView is one entry of a server's history.
type actionView struct {
	Action    string         `json:"action"`
	ServerID  string         `json:"instance_uuid"`
	RequestID string         `json:"request_id"`
	UserID    *string        `json:"user_id"`
	ProjectID *string        `json:"project_id"`
	StartTime rest.MicroTime `json:"start_time"`
	UpdatedAt rest.MicroTime `json:"updated_at" mv:"2.58-"`
	Message   *string        `json:"message"`
	Events    *[]eventView   `json:"events,omitempty"` // nil: not shown; an action of which nothing is done yet has none
}

type eventView struct {
	Event      string           `json:"event"`
	StartTime  rest.MicroTime   `json:"start_time"`
	FinishTime rest.MicroTime   `json:"finish_time"`
	Result     *string          `json:"result"`
	Traceback  rest.Opt[string] `json:"traceback,omitzero"`
	Host       rest.Opt[string] `json:"host,omitzero" mv:"2.62-"`
	HostID     string           `json:"hostId" mv:"2.62-"`
	Details    rest.Opt[string] `json:"details,omitzero" mv:"2.84-"`
}

func viewAction(x compute.Action) *actionView {
	return &actionView{Action: x.Action, ServerID: x.ServerID, RequestID: x.RequestID, UserID: orNull(x.UserID), ProjectID: orNull(x.ProjectID),
		StartTime: rest.MicroTime{Time: x.StartedAt}, UpdatedAt: rest.MicroTime{Time: x.UpdatedAt}, Message: x.Message}
}

func (a *api) listActions(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	actions, err := a.control.Actions(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	page, err := r.Page(a.most)
	if err != nil {
		return nil, err
	}
	if r.Version.AtLeast("2.58") {
		if actions, err = actionsAfter(r, actions, page); err != nil {
			return nil, err
		}
	}
	more := len(actions) > page.Limit
	actions = actions[:min(page.Limit, len(actions))]
	return &rest.Response{Items: &rest.Items{Key: "instanceActions",
		Each: func(yield func(any) error) error {
			for _, x := range actions {
				if err := yield(viewAction(x)); err != nil {
					return err
				}
			}
			return nil
		},
		Tail: func() map[string]any {
			if !more || !r.Version.AtLeast("2.58") {
				return nil
			}
			path := "/v2.1/servers/" + r.Path("id") + "/os-instance-actions"
			return map[string]any{"links": []link{{Rel: "next", Href: r.NextLink(path, actions[len(actions)-1].RequestID)}}}
		}}}, nil
}

func actionsAfter(r *rest.Request, actions []compute.Action, page rest.Page) ([]compute.Action, error) {
	since, before := r.Query.Get("changes-since"), r.Query.Get("changes-before")
	found := page.Marker == ""
	var rest []compute.Action
	for _, x := range actions {
		if !found {
			found = x.RequestID == page.Marker
			continue
		}
		if since != "" {
			t, err := parseTime("changes-since", since)
			if err != nil {
				return nil, err
			}
			if x.UpdatedAt.Before(t) {
				continue
			}
		}
		if before != "" && r.Version.AtLeast("2.66") {
			t, err := parseTime("changes-before", before)
			if err != nil {
				return nil, err
			}
			if x.UpdatedAt.After(t) {
				continue
			}
		}
		rest = append(rest, x)
	}
	if !found {
		return nil, fault.Invalidf("marker [%s] not found", page.Marker)
	}
	return rest, nil
}

func (a *api) showAction(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	x, operator, details, err := a.control.Action(ctx, r.Path("id"), r.Path("request"))
	if err != nil {
		return nil, err
	}
	v := viewAction(x)
	if operator || r.Version.AtLeast("2.51") {
		events := []eventView{}
		for _, e := range x.Events {
			ev := eventView{Event: e.Name, StartTime: rest.MicroTime{Time: e.StartedAt}, FinishTime: rest.MicroTime{Time: e.FinishedAt}, Result: e.Result,
				HostID: hostID(x.ProjectID, e.Host)}
			if operator {
				ev.Traceback, ev.Host = optPtr(e.Traceback), rest.Some(e.Host)
			}
			if details {
				ev.Details = optPtr(e.Details)
			}
			events = append(events, ev)
		}
		v.Events = &events
	}
	return rest.OK(&struct {
		Action *actionView `json:"instanceAction"`
	}{v}), nil
}

func optPtr(p *string) rest.Opt[string] {
	if p == nil {
		return rest.Opt[string]{Set: true, Null: true}
	}
	return rest.Some(*p)
}
