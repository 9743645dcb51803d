package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
)

// haltedPath is a mark that a guest is paused for a copy of its disk only, for a
// later process that finds it so.
func haltedPath(dir string) string { return filepath.Join(dir, "copying") }

// Snapshot implements hypervisor.Snapshotter. A guest that runs stands still
// meanwhile: QEMU writes out all it knows of the disk when it stops, so that
// what is copied is what a power cut would leave.
func (d *Driver) Snapshot(ctx context.Context, id, path string) (string, error) {
	err := d.with(ctx, id, func(t *turn, dom lv.Domain, state lv.DomainState) (err error) {
		dir := d.dir(id)
		if _, err := os.Stat(rootPath(dir)); errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Unsupported, "Guest %s has no root disk on its host.", id)
		}
		_, markErr := os.Stat(haltedPath(dir))
		if runs(state) {
			if err := os.WriteFile(haltedPath(dir), nil, 0o600); err != nil {
				return fmt.Errorf("mark guest %s as halted: %w", id, err)
			}
			if err := tell(ctx, d.conn, t, "halt guest "+id, func(l *lv.Libvirt) error { return l.DomainSuspend(dom) }); err != nil {
				return err
			}
		}
		if runs(state) || markErr == nil && state == lv.DomainPaused {
			defer func() { err = errors.Join(err, d.unhalt(context.WithoutCancel(ctx), t, dom)) }()
		}
		if _, err := d.cfg.Run.Run(ctx, nil, "qemu-img", "convert", "-U", "-f", "qcow2", "-O", "qcow2", rootPath(dir), path); err != nil {
			return fmt.Errorf("copy the root disk of guest %s: %w", id, err)
		}
		return nil
	})
	return "qcow2", err
}

// unhalt lets a guest run on whose disk has been copied.
func (d *Driver) unhalt(ctx context.Context, t *turn, dom lv.Domain) error {
	id := formatUUID(dom.UUID)
	state, err := d.rawState(ctx, t, dom)
	if err == nil && state == lv.DomainPaused {
		err = tell(ctx, d.conn, t, "let guest "+id+" run on", func(l *lv.Libvirt) error { return l.DomainResume(dom) })
	}
	if err != nil {
		return err
	}
	if err := os.Remove(haltedPath(d.dir(id))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unmark guest %s: %w", id, err)
	}
	return nil
}
