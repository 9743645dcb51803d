package api

import (
	"context"
	"encoding/json"
	"net/netip"
	"net/url"
	"strconv"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

func (a *api) oldSecurityGroups() []rest.Route {
	const until = "2.1-2.35"
	return []rest.Route{
		{Method: "GET", Path: "/os-security-groups", Versions: until, Handle: a.listSecurityGroups, Doc: "list security groups"},
		{Method: "POST", Path: "/os-security-groups", Versions: until, Handle: a.createSecurityGroup, Doc: "create security group"},
		{Method: "GET", Path: "/os-security-groups/{id}", Versions: until, Handle: a.showSecurityGroup, Doc: "show security group"},
		{Method: "PUT", Path: "/os-security-groups/{id}", Versions: until, Handle: a.updateSecurityGroup, Doc: "update security group"},
		{Method: "DELETE", Path: "/os-security-groups/{id}", Versions: until, Handle: a.deleteSecurityGroup, Doc: "delete security group"},
		{Method: "POST", Path: "/os-security-group-rules", Versions: until, Handle: a.createSecurityGroupRule, Doc: "create security group rule"},
		{Method: "DELETE", Path: "/os-security-group-rules/{id}", Versions: until, Handle: a.deleteSecurityGroupRule, Doc: "delete security group rule"},
	}
}

// decodeLoose reads a body that may have more in it than is known.
func decodeLoose(r *rest.Request, into any) error {
	data, err := r.Bytes()
	if err != nil {
		return err
	}
	return rest.DecodeExact(data, r.Version, false, into)
}

type securityGroupBody struct {
	Group *struct {
		Name        *string `json:"name" check:"required len=0..255"`
		Description *string `json:"description" check:"required len=0..255"`
	} `json:"security_group" check:"required"`
}

func (a *api) createSecurityGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body securityGroupBody
	if err := decodeLoose(r, &body); err != nil {
		return nil, err
	}
	g, err := a.control.CreateSecurityGroup(ctx, *body.Group.Name, *body.Group.Description)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"security_group": viewSecurityGroup(g, []compute.SecurityGroup{g})}), nil
}

func groupID(r *rest.Request) (string, error) {
	if id := r.Path("id"); rest.IsUUID(id) {
		return id, nil
	}
	return "", fault.Invalidf("Security group id should be uuid")
}

func (a *api) updateSecurityGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body securityGroupBody
	if err := decodeLoose(r, &body); err != nil {
		return nil, err
	}
	id, err := groupID(r)
	if err != nil {
		return nil, err
	}
	g, err := a.control.UpdateSecurityGroup(ctx, id, *body.Group.Name, *body.Group.Description)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"security_group": viewSecurityGroup(g, []compute.SecurityGroup{g})}), nil
}

func (a *api) deleteSecurityGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, err := groupID(r)
	if err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.DeleteSecurityGroup(ctx, id)
}

func (a *api) createSecurityGroupRule(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Rule *struct {
			Parent   string          `json:"parent_group_id" check:"required uuid"`
			Source   *string         `json:"group_id" check:"null uuid"`
			Protocol json.RawMessage `json:"ip_protocol"`
			From     json.RawMessage `json:"from_port"`
			To       json.RawMessage `json:"to_port"`
			CIDR     json.RawMessage `json:"cidr"`
		} `json:"security_group_rule" check:"required"`
	}
	if err := decodeLoose(r, &body); err != nil {
		return nil, err
	}
	b := body.Rule
	rule := compute.NewRule{GroupID: b.Parent, Protocol: looseText(b.Protocol)}
	var err error
	if b.Source != nil {
		rule.Source = *b.Source
	} else if rule.CIDR, err = ruleCIDR(looseText(b.CIDR)); err != nil {
		return nil, err
	}
	if rule.FromPort, err = loosePort(b.From, rule.Protocol); err != nil {
		return nil, err
	}
	if rule.ToPort, err = loosePort(b.To, rule.Protocol); err != nil {
		return nil, err
	}
	made, source, err := a.control.CreateSecurityGroupRule(ctx, rule)
	if err != nil {
		return nil, err
	}
	if made.Source == "" {
		made.CIDR = rule.CIDR // as it was asked for; the network service keeps the network of it
	}
	parent := compute.SecurityGroup{SecurityGroupRef: compute.SecurityGroupRef{ID: b.Parent}, Rules: []compute.SecurityGroupRule{made}}
	view := viewSecurityGroup(parent, []compute.SecurityGroup{source})
	if len(view.Rules) != 1 {
		return nil, fault.New(fault.Unavailable, "The network service made a rule in security group %s that cannot be shown.", b.Parent)
	}
	return rest.OK(map[string]any{"security_group_rule": view.Rules[0]}), nil
}

// ruleCIDR reads the addresses of a rule: all of IPv4 when none are given.
func ruleCIDR(text string) (string, error) {
	if text == "" {
		return "0.0.0.0/0", nil
	}
	if unescaped, err := url.PathUnescape(text); err == nil {
		text = unescaped
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return "", fault.Invalidf("%.64s is not a valid IP network.", text)
	}
	if prefix.Bits() == 0 && !prefix.Addr().IsUnspecified() {
		return "", fault.Invalidf("Bad prefix for network in cidr %.64s", text)
	}
	return text, nil
}

// looseText is a value of JSON as text: its string, else as it is written.
func looseText(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func loosePort(raw json.RawMessage, protocol string) (*int, error) {
	text := looseText(raw)
	if text == "" && (len(raw) == 0 || string(raw) == "null") {
		return nil, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		if protocol == "icmp" || protocol == "ICMP" {
			return nil, fault.Invalidf("Invalid input received: Type and Code must be integers for ICMP protocol type")
		}
		return nil, fault.Invalidf("Invalid input received: To and From ports must be integers")
	}
	return &n, nil
}

func (a *api) deleteSecurityGroupRule(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	id, err := groupID(r)
	if err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.DeleteSecurityGroupRule(ctx, id)
}
