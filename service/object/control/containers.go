package control

import (
	"context"
	"strings"
	"unicode/utf8"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/object"
)

// checkName refuses names that nothing can have.
func checkName(name, what string, most int) error {
	if len(name) > most {
		return fault.Invalidf("%s name length of %d longer than %d", what, len(name), most)
	}
	if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return fault.New(fault.PreconditionFailed, "Invalid UTF8 or contains NULL")
	}
	return nil
}

// Container returns a container.
func (c *Control) Container(ctx context.Context, p object.Path, method string) (*object.Container, error) {
	if err := c.known(p.Account); err != nil {
		return nil, err
	}
	box, owner, err := c.container(ctx, p, method, false)
	if err != nil {
		return nil, err
	}
	box.Headers = shown(box.Headers, owner)
	return box, nil
}

// PutContainer makes a container, or changes the metadata of one that is there.
func (c *Control) PutContainer(ctx context.Context, p object.Path, sent object.Headers) (created bool, err error) {
	if err := c.known(p.Account); err != nil {
		return false, err
	}
	if err := checkName(p.Container, "Container", c.o.Constraints.MaxContainerNameLength); err != nil {
		return false, err
	}
	if p.Container == "." || p.Container == ".." {
		return false, fault.Invalidf("A container cannot be named %s: no client could reach it.", p.Container)
	}
	owner, err := c.may(ctx, ask{Path: object.Path{Account: p.Account, Container: p.Container}, Method: "PUT"})
	if err != nil {
		return false, err
	}
	err = c.store.Tx(ctx, func(tx *db.Tx) error {
		now := c.now()
		box, err := c.store.LockContainer(ctx, tx, p.Account, p.Container)
		if created = fault.Is(err, fault.NotFound); err != nil && !created {
			return err
		}
		if created {
			box = &object.Container{ID: newID(), Account: p.Account, Name: p.Container, CreatedAt: now}
		}
		box.UpdatedAt = now
		if box.Headers, err = c.changed(box.Headers, sent, owner); err != nil {
			return err
		}
		if !created {
			return c.store.SaveContainer(ctx, tx, box)
		}
		a, err := c.store.AccountHead(ctx, tx, p.Account)
		if err != nil {
			return err
		}
		if a.CreatedAt.IsZero() {
			a.CreatedAt = now
			if err := c.store.SaveAccount(ctx, tx, a); err != nil {
				return err
			}
		}
		return c.store.InsertContainer(ctx, tx, box)
	})
	return created, err
}

// changed is what becomes of a container's headers. One place for versions takes the
// other's place.
func (c *Control) changed(old, sent object.Headers, owner bool) (object.Headers, error) {
	next, err := c.remember(ofContainers, old, sent, owner)
	if err != nil {
		return nil, err
	}
	for one, other := range map[string]string{object.VersionsLocation: object.HistoryLocation, object.HistoryLocation: object.VersionsLocation} {
		if sent[one] != "" && sent[other] == "" {
			delete(next, other)
		}
	}
	return next, checkContainer(next)
}

// UpdateContainer changes a container's metadata.
func (c *Control) UpdateContainer(ctx context.Context, p object.Path, sent object.Headers) error {
	if err := c.known(p.Account); err != nil {
		return err
	}
	owner, err := c.may(ctx, ask{Path: object.Path{Account: p.Account, Container: p.Container}, Method: "POST"})
	if err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		box, err := c.store.LockContainer(ctx, tx, p.Account, p.Container)
		if err != nil {
			return err
		}
		if box.Headers, err = c.changed(box.Headers, sent, owner); err != nil {
			return err
		}
		box.UpdatedAt = c.now()
		return c.store.SaveContainer(ctx, tx, box)
	})
}

// DeleteContainer removes a container that is empty.
func (c *Control) DeleteContainer(ctx context.Context, p object.Path) error {
	if err := c.known(p.Account); err != nil {
		return err
	}
	if _, err := c.may(ctx, ask{Path: object.Path{Account: p.Account, Container: p.Container}, Method: "DELETE"}); err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		box, err := c.store.LockContainer(ctx, tx, p.Account, p.Container)
		if err != nil {
			return err
		}
		if box.Objects > 0 {
			return fault.Conflictf("There was a conflict when trying to complete your request. The container %s has %d objects.", p.Container, box.Objects)
		}
		return c.store.DeleteContainer(ctx, tx, box.ID)
	})
}
