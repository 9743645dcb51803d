package api

import (
	"context"
	"slices"
	"strconv"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute/control"
)

type quotaResource struct{ name, versions string }

// quotaShown lists the resources that quota sets show, with their windows.
var quotaShown = []quotaResource{
	{"instances", ""}, {"cores", ""}, {"ram", ""}, {"metadata_items", ""}, {"key_pairs", ""}, {"server_groups", ""}, {"server_group_members", ""},
	{"injected_files", "-2.56"}, {"injected_file_content_bytes", "-2.56"}, {"injected_file_path_bytes", "-2.56"},
	{"fixed_ips", "-2.35"}, {"floating_ips", "-2.35"}, {"security_groups", "-2.35"}, {"security_group_rules", "-2.35"},
}

func shownAt(versions string, v rest.Version) bool {
	w, err := rest.ParseWindow(versions)
	return err == nil && w.Contains(v)
}

func (a *api) showLimits(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	project := auth.From(ctx).ProjectID
	if other := firstOf(r.Query.Get("tenant_id"), r.Query.Get("project_id")); other != "" {
		project = other
	}
	q, err := a.control.Limits(ctx, project)
	if err != nil {
		return nil, err
	}
	absolute := map[string]int{"maxTotalInstances": q["instances"].Limit, "maxTotalCores": q["cores"].Limit, "maxTotalRAMSize": q["ram"].Limit,
		"totalInstancesUsed": q["instances"].InUse, "totalCoresUsed": q["cores"].InUse, "totalRAMUsed": q["ram"].InUse,
		"maxServerMeta": q["metadata_items"].Limit, "maxTotalKeypairs": q["key_pairs"].Limit, "maxServerGroups": q["server_groups"].Limit,
		"maxServerGroupMembers": q["server_group_members"].Limit, "totalServerGroupsUsed": q["server_groups"].InUse}
	if !r.Version.AtLeast("2.36") {
		for _, name := range []string{"maxSecurityGroupRules", "maxSecurityGroups", "maxTotalFloatingIps"} {
			absolute[name] = -1
		}
		absolute["totalSecurityGroupsUsed"], absolute["totalFloatingIpsUsed"] = 0, 0
	}
	if !r.Version.AtLeast("2.39") {
		absolute["maxImageMeta"] = q["metadata_items"].Limit
	}
	if !r.Version.AtLeast("2.57") {
		absolute["maxPersonality"], absolute["maxPersonalitySize"] = q["injected_files"].Limit, q["injected_file_content_bytes"].Limit
	}
	return rest.OK(map[string]any{"limits": map[string]any{"rate": []any{}, "absolute": absolute}}), nil
}

func (a *api) showQuotas(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := a.control.Quotas(ctx, r.Path("project"), r.Query.Get("user_id"))
	if err != nil {
		return nil, err
	}
	set := limitSet(r.Version, q, quotaShown)
	set["id"] = r.Path("project")
	return rest.OK(map[string]any{"quota_set": set}), nil
}

// limitSet shows the limits of the resources that quota sets have at a version.
func limitSet(v rest.Version, q map[string]control.QuotaUse, shown []quotaResource) map[string]any {
	set := map[string]any{}
	for _, s := range shown {
		if shownAt(s.versions, v) {
			set[s.name] = q[s.name].Limit
		}
	}
	return set
}

func (a *api) defaultQuotas(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := a.control.DefaultQuotas(ctx, r.Path("project"))
	if err != nil {
		return nil, err
	}
	set := limitSet(r.Version, q, quotaShown)
	set["id"] = r.Path("project")
	return rest.OK(map[string]any{"quota_set": set}), nil
}

func (a *api) detailQuotas(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := a.control.Quotas(ctx, r.Path("project"), r.Query.Get("user_id"))
	if err != nil {
		return nil, err
	}
	set := map[string]any{"id": r.Path("project")}
	for _, s := range quotaShown {
		if shownAt(s.versions, r.Version) {
			set[s.name] = map[string]int{"limit": q[s.name].Limit, "in_use": q[s.name].InUse, "reserved": 0}
		}
	}
	return rest.OK(map[string]any{"quota_set": set}), nil
}

func (a *api) updateQuotas(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Set map[string]any `json:"quota_set" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	force := false
	if value, ok := body.Set["force"]; ok {
		text, _ := value.(string)
		yes, is := value.(bool)
		parsed, err := rest.ParseBool(text)
		if !is && err != nil {
			return nil, fault.Invalidf("Invalid input for field/attribute force. Value: %.64v. It is not of type 'boolean'", value)
		}
		force = yes || parsed
		delete(body.Set, "force")
	}
	limits, err := readLimits(r.Version, "quota_set", body.Set, quotaShown)
	if err != nil {
		return nil, err
	}
	q, err := a.control.SetQuotas(ctx, r.Path("project"), r.Query.Get("user_id"), limits, force)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"quota_set": limitSet(r.Version, q, quotaShown)}), nil
}

// readLimits reads the limits of those of the resources that exist at a version.
func readLimits(v rest.Version, field string, set map[string]any, shown []quotaResource) (map[string]int, error) {
	limits := map[string]int{}
	for name, value := range set {
		if !slices.ContainsFunc(shown, func(s quotaResource) bool { return s.name == name && shownAt(s.versions, v) }) {
			return nil, fault.Invalidf("Invalid input for field/attribute %s. Additional properties are not allowed ('%.64s' was unexpected)", field, name)
		}
		n, ok := wholeNumber(value)
		if !ok || n < -1 || n > 2147483647 {
			return nil, fault.Invalidf("Invalid input for field/attribute %s. Value: %.64v. It is not a whole number from -1 to 2147483647", name, value)
		}
		limits[name] = n
	}
	return limits, nil
}

// classShown lists the resources that quota classes show.
var classShown = []quotaResource{
	{"instances", ""}, {"cores", ""}, {"ram", ""}, {"metadata_items", ""}, {"key_pairs", ""}, {"server_groups", "2.50-"}, {"server_group_members", "2.50-"},
	{"injected_files", "-2.56"}, {"injected_file_content_bytes", "-2.56"}, {"injected_file_path_bytes", "-2.56"},
	{"fixed_ips", "-2.49"}, {"floating_ips", "-2.49"}, {"security_groups", "-2.49"}, {"security_group_rules", "-2.49"},
}

// classTaken are the resources whose limits may be set, two of them before they are
// shown.
var classTaken = append([]quotaResource{{"server_groups", "-2.49"}, {"server_group_members", "-2.49"}}, classShown...)

// classSet shows the limits of a class. It keeps those of what is the network
// service's, too, though nobody heeds them.
func classSet(v rest.Version, q map[string]control.QuotaUse) map[string]any {
	set := limitSet(v, q, classShown)
	for name := range set {
		if u, ok := q[name]; ok {
			set[name] = u.Limit
		}
	}
	return set
}

func (a *api) showQuotaClass(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := a.control.ClassQuotas(ctx, r.Path("class"))
	if err != nil {
		return nil, err
	}
	set := classSet(r.Version, q)
	set["id"] = r.Path("class")
	return rest.OK(map[string]any{"quota_class_set": set}), nil
}

func (a *api) updateQuotaClass(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Set map[string]any `json:"quota_class_set" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if class := r.Path("class"); len(class) > 255 {
		return nil, fault.Invalidf("quota_class_name has %d characters, more than 255.", len(class))
	}
	limits, err := readLimits(r.Version, "quota_class_set", body.Set, classTaken)
	if err != nil {
		return nil, err
	}
	q, err := a.control.SetClassQuotas(ctx, r.Path("class"), limits)
	if err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"quota_class_set": classSet(r.Version, q)}), nil
}

func wholeNumber(v any) (int, bool) {
	switch v := v.(type) {
	case float64:
		return int(v), v == float64(int(v))
	case string:
		n, err := strconv.Atoi(v)
		return n, err == nil
	}
	return 0, false
}

func (a *api) deleteQuotas(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.Accepted(nil), a.control.ResetQuotas(ctx, r.Path("project"), r.Query.Get("user_id"))
}
