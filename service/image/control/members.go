package control

import (
	"context"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

// shared returns an image that the caller may see and that has members.
func (c *Control) shared(ctx context.Context, id string) (*seen, error) {
	s, err := c.see(ctx, id)
	if err == nil && s.Visibility != image.Shared {
		err = fault.Forbiddenf("Only shared images have members.")
	}
	return s, err
}

// Members lists an image's members. A member sees itself only.
func (c *Control) Members(ctx context.Context, id string) ([]image.Member, error) {
	s, err := c.shared(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := policy.Enforce(ctx, "get_members", s.target); err != nil {
		return nil, err
	}
	list, err := c.store.Members(ctx, c.store.DB, id)
	if caller := auth.From(ctx); s.target["member_id"] != "" && !caller.IsAdmin() {
		list = slices.DeleteFunc(list, func(m image.Member) bool { return m.ProjectID != caller.ProjectID })
	}
	return list, err
}

// Member returns one member. Who may not know of it finds none.
func (c *Control) Member(ctx context.Context, id, projectID string) (image.Member, error) {
	if _, err := text("member", projectID, 255); err != nil {
		return image.Member{}, fault.NotFoundf("There is no such member of the image %.64s.", id)
	}
	s, err := c.shared(ctx, id)
	if fault.Is(err, fault.Forbidden) {
		return image.Member{}, fault.NotFoundf("%.64s not found in the member list of the image %s.", projectID, id)
	}
	if err != nil {
		return image.Member{}, err
	}
	if own := s.target["member_id"]; !policy.Allows(ctx, "get_member", s.target) || own != "" && own != projectID && !auth.From(ctx).IsAdmin() {
		return image.Member{}, fault.NotFoundf("%.64s not found in the member list of the image %s.", projectID, id)
	}
	return c.store.Member(ctx, c.store.DB, id, projectID)
}

// AddMember shares an image with a project, which has yet to accept it.
func (c *Control) AddMember(ctx context.Context, id, projectID string) (image.Member, error) {
	s, err := c.shared(ctx, id)
	if err != nil {
		return image.Member{}, err
	}
	if err := policy.Enforce(ctx, "add_member", s.target); err != nil {
		return image.Member{}, err
	}
	if projectID == "" {
		return image.Member{}, fault.Invalidf("Member can't be empty")
	}
	if _, err := text("member", projectID, 255); err != nil {
		return image.Member{}, err
	}
	now := c.stampNow()
	m := image.Member{ImageID: s.ID, ProjectID: projectID, Status: image.Pending, CreatedAt: now, UpdatedAt: now}
	err = c.store.Tx(ctx, func(tx *db.Tx) error {
		if _, err := c.store.Lock(ctx, tx, id); err != nil {
			return err
		}
		list, err := c.store.Members(ctx, tx, id)
		if err != nil {
			return err
		}
		if limit := c.o.ImageMemberQuota; limit >= 0 && len(list) >= limit {
			return exceeded("image members for this image", len(list)+1, limit)
		}
		return c.store.InsertMember(ctx, tx, m)
	})
	return m, err
}

// SetMemberStatus is the member's answer to AddMember; its owner cannot give it.
func (c *Control) SetMemberStatus(ctx context.Context, id, projectID, status string) (image.Member, error) {
	s, err := c.shared(ctx, id)
	if err != nil {
		return image.Member{}, err
	}
	m, err := c.Member(ctx, id, projectID)
	if err != nil {
		return m, err
	}
	s.target["member_id"] = projectID
	if err := policy.Enforce(ctx, "modify_member", s.target); err != nil {
		return m, err
	}
	if !slices.Contains(image.MemberStatuses, image.MemberStatus(status)) {
		return m, fault.Invalidf(`Incorrect request: Status must be "pending", "accepted" or "rejected".`)
	}
	m.Status, m.UpdatedAt = image.MemberStatus(status), c.stampNow()
	return m, c.store.Tx(ctx, func(tx *db.Tx) error { return c.store.SaveMember(ctx, tx, m) })
}

// RemoveMember ends the sharing with a project.
func (c *Control) RemoveMember(ctx context.Context, id, projectID string) error {
	if _, err := text("member", projectID, 255); err != nil {
		return fault.NotFoundf("There is no such member of the image %.64s.", id)
	}
	s, err := c.shared(ctx, id)
	if err != nil {
		return err
	}
	if err := policy.Enforce(ctx, "delete_member", s.target); err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		if _, err := c.store.Member(ctx, tx, id, projectID); err != nil {
			return err
		}
		return c.store.DeleteMember(ctx, tx, id, projectID)
	})
}
