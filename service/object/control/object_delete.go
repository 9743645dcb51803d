package control

import (
	"context"
	"crypto/md5"
	"encoding/hex"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/object"
	"kilonova/service/object/store"
)

// DeleteObject removes an object. Where its container keeps versions, the last of
// them takes its place, or a marker is left among them.
func (c *Control) DeleteObject(ctx context.Context, p object.Path) error {
	if err := c.checkObject(p); err != nil {
		return err
	}
	box, _, err := c.container(ctx, p, "DELETE", true)
	if err != nil {
		return err
	}
	if o, err := c.store.Object(ctx, c.store.DB, box.ID, p.Object); err != nil {
		return err
	} else if o.Expired(c.now()) {
		return notThere()
	}
	return c.tx(ctx, func(tx *db.Tx) error {
		box, err := c.store.LockContainer(ctx, tx, p.Account, p.Container)
		if err != nil {
			return err
		}
		o, err := c.store.LockObject(ctx, tx, box.ID, p.Object)
		if err != nil {
			return err
		}
		now := c.now()
		switch {
		case box.Headers[object.HistoryLocation] != "":
			if err := c.supersede(ctx, tx, p.Account, box, o, now); err != nil {
				return err
			}
			at := later(now, o)
			return c.keepVersion(ctx, tx, object.Path{Account: p.Account, Container: box.Headers[object.HistoryLocation], Object: versionName(o.Name, at)},
				&object.Object{ContentType: "application/x-deleted;swift_versions_deleted=1", ETag: hex.EncodeToString(md5.New().Sum(nil)), CreatedAt: at})
		case box.Headers[object.VersionsLocation] != "":
			return c.restore(ctx, tx, p, box, o)
		}
		return c.store.DeleteObject(ctx, tx, box.ID, o, now)
	})
}

// restore has an object's last version take its place, if there is one.
func (c *Control) restore(ctx context.Context, tx *db.Tx, p object.Path, box *object.Container, o *object.Object) error {
	now := c.now()
	if err := c.store.DeleteObject(ctx, tx, box.ID, o, now); err != nil {
		return err
	}
	versions, err := c.store.LockContainer(ctx, tx, p.Account, box.Headers[object.VersionsLocation])
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	prefix := versionPrefix(p.Object)
	last, err := c.store.ObjectsIn(ctx, tx, versions.ID, store.Range{From: prefix, Until: after(prefix), Reverse: true, Limit: 1})
	if err != nil || len(last) == 0 {
		return err
	}
	version := last[0]
	back := version
	back.Name = p.Object
	if err := c.store.InsertObject(ctx, tx, box.ID, &back); err != nil {
		return err
	}
	return c.store.DeleteObject(ctx, tx, versions.ID, &version, now)
}
