package control

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
	"kilonova/service/image/store"
)

const (
	admin        = "rule:context_is_admin"
	member       = "role:member and project_id:%(project_id)s"
	reader       = "role:reader and project_id:%(project_id)s"
	sharedReader = "project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s"
)

// policy is upstream's table with its defaults (glance/policies). member_id is
// the caller's project where it is a member of the image.
var policy = auth.MustPolicy(map[string]string{
	"context_is_admin": "role:admin",
	"service_api":      "role:service or role:admin",

	"add_image":         admin + " or (" + member + " and project_id:%(owner)s)",
	"delete_image":      admin + " or (" + member + ")",
	"get_image":         admin + " or (role:reader and (" + sharedReader + "))",
	"get_images":        admin + " or (" + reader + ")",
	"modify_image":      admin + " or (" + member + ")",
	"publicize_image":   admin,
	"communitize_image": admin + " or (" + member + ")",
	"download_image":    admin + " or (role:member and (" + sharedReader + "))",
	"upload_image":      admin + " or (" + member + ")",
	// Upstream's table says admin and its deprecated rule, in force by default, everybody.
	"delete_image_location": admin + " or (" + member + ")",
	"set_image_location":    admin + " or (" + member + ")",
	"add_image_location":    "rule:service_api or (" + member + ")",
	"get_image_location":    admin + " or (" + reader + ")",
	"fetch_image_location":  "rule:service_api",
	"add_member":            admin + " or (" + member + ")",
	"delete_member":         admin + " or (" + member + ")",
	"get_member":            admin + " or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)",
	"get_members":           admin + " or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)",
	"modify_member":         admin + " or (role:member and project_id:%(member_id)s)",
	"deactivate":            admin + " or (" + member + ")",
	"reactivate":            admin + " or (" + member + ")",
	"copy_image":            admin,
	"manage_image_cache":    admin,
	"cache_image":           admin,
	"cache_list":            admin,
	"cache_delete":          admin,
	"stores_info_detail":    admin,
	"tasks_api_access":      admin,

	"get_metadef_namespaces":   admin + " or (" + reader + ")",
	"get_metadef_namespace":    readNamespace,
	"modify_metadef_namespace": writeNamespace,
})

// seen is an image that the caller may know of, with what rules may ask of it.
type seen struct {
	*image.Image
	target auth.Target
}

// see returns an image that the caller may know of. To all others it is as if
// there were none.
func (c *Control) see(ctx context.Context, id string) (*seen, error) {
	if !rest.IsUUID(id) {
		return nil, store.NotFound(id)
	}
	i, err := c.store.Get(ctx, c.store.DB, id)
	if err != nil {
		return nil, err
	}
	s := &seen{i, auth.Target{"project_id": i.Owner, "owner": i.Owner, "visibility": string(i.Visibility)}}
	caller := auth.From(ctx)
	if caller == nil {
		return nil, store.NotFound(id)
	}
	visible := caller.IsAdmin() || i.Visibility == image.Public || i.Visibility == image.Community || i.Owner != "" && i.Owner == caller.ProjectID
	if i.Visibility == image.Shared && caller.ProjectID != "" && caller.ProjectID != i.Owner {
		_, err := c.store.Member(ctx, c.store.DB, id, caller.ProjectID)
		if err == nil {
			s.target["member_id"], visible = caller.ProjectID, true
		} else if !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	if !visible || !policy.Allows(ctx, "get_image", s.target) {
		return nil, store.NotFound(id)
	}
	return s, nil
}

// seeFor is see for those who want to do something that a rule is about.
func (c *Control) seeFor(ctx context.Context, id, rule string) (*seen, error) {
	s, err := c.see(ctx, id)
	if err != nil {
		return nil, err
	}
	return s, policy.Enforce(ctx, rule, s.target)
}

// mayShow checks that the caller may give an image a visibility.
func mayShow(ctx context.Context, v image.Visibility, target auth.Target) error {
	switch v {
	case image.Public:
		return policy.Enforce(ctx, "publicize_image", target)
	case image.Community:
		return policy.Enforce(ctx, "communitize_image", target)
	}
	return nil
}
