package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
)

func (a *api) listMembers(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.Members(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	views := make([]memberView, len(list))
	for i := range list {
		views[i] = viewMember(&list[i])
	}
	return rest.OK(map[string]any{"members": views, "schema": "/v2/schemas/members"}), nil
}

func (a *api) showMember(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return member(a.c.Member(ctx, r.Path("id"), r.Path("member")))
}

func (a *api) addMember(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	project, err := field(r, "member", "Member to be added not specified", `Expected a member in the form: {"member": "image_id"}`)
	if err != nil {
		return nil, err
	}
	return member(a.c.AddMember(ctx, r.Path("id"), project))
}

func (a *api) updateMember(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	status, err := field(r, "status", "Status not specified", `Expected a status in the form: {"status": "status"}`)
	if err != nil {
		return nil, err
	}
	return member(a.c.SetMemberStatus(ctx, r.Path("id"), r.Path("member"), status))
}

func (a *api) removeMember(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.RemoveMember(ctx, r.Path("id"), r.Path("member"))
}

func member(m image.Member, err error) (*rest.Response, error) {
	if err != nil {
		return nil, err
	}
	return rest.OK(viewMember(&m)), nil
}

// field reads the one member of a body that matters.
func field(r *rest.Request, name, missing, malformed string) (string, error) {
	var body any
	if err := decode(r, &body); err != nil {
		return "", err
	}
	fields, ok := body.(map[string]any)
	if !ok {
		return "", fault.Invalidf("%s", malformed)
	}
	value, ok := fields[name]
	if !ok {
		return "", fault.Invalidf("%s", missing)
	}
	text, ok := value.(string)
	if !ok {
		return "", fault.Invalidf("%s", malformed)
	}
	return text, nil
}
