package api

import (
	"time"

	"kilonova/internal/rest"
	"kilonova/service/identity"
)

// object is a resource as it is written: its attributes over the further ones
// that callers store with it.
func object(r *rest.Request, path string, extra identity.Attributes, attributes map[string]any) map[string]any {
	for k, v := range extra {
		if _, known := attributes[k]; !known {
			attributes[k] = v
		}
	}
	attributes["links"] = map[string]string{"self": r.Link("/v3" + path)}
	return attributes
}

// orNull writes "" as null.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// options writes none as {}.
func options(a identity.Attributes) map[string]any {
	if a == nil {
		return map[string]any{}
	}
	return a
}

// micros writes an instant without a zone, null for none.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return rest.MicroTime{Time: t}
}

func zulu(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return rest.MicroTimeZ{Time: t}
}

func userView(r *rest.Request, u *identity.User) map[string]any {
	v := map[string]any{"id": u.ID, "name": u.Name, "domain_id": u.DomainID, "enabled": u.Enabled, "options": options(u.Options),
		"password_expires_at": micros(u.PasswordExpires)}
	if u.DefaultProjectID != "" {
		v["default_project_id"] = u.DefaultProjectID
	}
	return object(r, "/users/"+u.ID, u.Extra, v)
}

func groupView(r *rest.Request, g *identity.Group) map[string]any {
	return object(r, "/groups/"+g.ID, g.Extra, map[string]any{"id": g.ID, "name": g.Name, "domain_id": g.DomainID, "description": g.Description})
}

func tags(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func projectView(r *rest.Request, p *identity.Project) map[string]any {
	return object(r, "/projects/"+p.ID, p.Extra, map[string]any{"id": p.ID, "name": p.Name, "domain_id": orNull(p.DomainID), "parent_id": orNull(p.ParentID),
		"description": p.Description, "enabled": p.Enabled, "is_domain": p.IsDomain, "tags": tags(p.Tags), "options": options(p.Options)})
}

func domainView(r *rest.Request, p *identity.Project) map[string]any {
	return object(r, "/domains/"+p.ID, p.Extra, map[string]any{"id": p.ID, "name": p.Name, "description": p.Description, "enabled": p.Enabled,
		"tags": tags(p.Tags), "options": options(p.Options)})
}

func roleView(r *rest.Request, o *identity.Role) map[string]any {
	return object(r, "/roles/"+o.ID, o.Extra, map[string]any{"id": o.ID, "name": o.Name, "domain_id": orNull(o.DomainID), "description": o.Description,
		"options": options(o.Options)})
}

func regionView(r *rest.Request, o *identity.Region) map[string]any {
	return object(r, "/regions/"+o.ID, o.Extra, map[string]any{"id": o.ID, "parent_region_id": orNull(o.ParentID), "description": o.Description})
}

func serviceView(r *rest.Request, s *identity.Service) map[string]any {
	v := map[string]any{"id": s.ID, "type": s.Type, "enabled": s.Enabled}
	if s.Name != "" {
		v["name"] = s.Name
	}
	return object(r, "/services/"+s.ID, s.Extra, v)
}

func endpointView(r *rest.Request, e *identity.Endpoint) map[string]any {
	return object(r, "/endpoints/"+e.ID, e.Extra, map[string]any{"id": e.ID, "service_id": e.ServiceID, "region_id": orNull(e.RegionID), "region": orNull(e.RegionID),
		"interface": e.Interface, "url": e.URL, "enabled": e.Enabled})
}

func credentialView(r *rest.Request, c *identity.Credential) map[string]any {
	return object(r, "/credentials/"+c.ID, c.Extra, map[string]any{"id": c.ID, "user_id": c.UserID, "project_id": orNull(c.ProjectID), "type": c.Type, "blob": c.Blob})
}
