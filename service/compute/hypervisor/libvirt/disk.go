package libvirt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// The files of a guest's folder, by upstream's names.
const rootName = "disk"

func rootPath(dir string) string    { return filepath.Join(dir, rootName) }
func configPath(dir string) string  { return filepath.Join(dir, "disk.config") }
func consolePath(dir string) string { return filepath.Join(dir, "console.log") }

const gib = 1 << 30

// dir is a guest's folder; id is a UUID, which the callers have checked.
func (d *Driver) dir(id string) string { return filepath.Join(d.cfg.InstancesPath, id) }

// makeDisks brings a guest's folder to what g says. What is there already is
// kept, except that the config drive is written anew; nothing is ever there by
// its final name before it is complete.
func (d *Driver) makeDisks(ctx context.Context, g hypervisor.Guest) (err error) {
	dir := d.dir(g.ID)
	defer func() {
		if err != nil {
			_ = os.Remove(dir) // if nothing is in it
		}
	}()
	// QEMU runs as another user and must be able to enter, but not to list.
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Unavailable, "The folder of guest %s cannot be made: %w", g.ID, err)
	}
	if g.Image.Path != "" {
		if err := d.makeRoot(ctx, g, rootPath(dir)); err != nil {
			return err
		}
	}
	for i, disk := range g.Disks {
		if err := d.makeLocal(ctx, g, disk, localPath(dir, g.Disks, i)); err != nil {
			return err
		}
	}
	if len(g.ConfigDrive) > 0 {
		if err := writeFile(configPath(dir), g.ConfigDrive, 0o600); err != nil {
			return err
		}
		if err := d.giveToQEMU(configPath(dir)); err != nil {
			return err
		}
	}
	return nil
}

// makeRoot makes the copy-on-write child of the image.
func (d *Driver) makeRoot(ctx context.Context, g hypervisor.Guest, path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	image, err := imageSize(g.Image.Path, g.Image.Format)
	if err != nil {
		return fault.New(fault.KindOf(err), "Image %s of guest %s cannot be used: %w", g.Image.ID, g.ID, err)
	}
	size := int64(g.Root.SizeGB) * gib
	if size == 0 {
		size = image
	}
	if size < image {
		return fault.Invalidf("Image %s has a virtual size of %d bytes, more than the %d GB (%d bytes) of the flavor's disk for guest %s.",
			g.Image.ID, image, g.Root.SizeGB, size, g.ID)
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a half-made disk: %w", err)
	}
	if _, err := d.cfg.Run.Run(ctx, nil, "qemu-img", "create", "-q", "-f", "qcow2",
		"-b", g.Image.Path, "-F", g.Image.Format, part, strconv.FormatInt(size, 10)); err != nil {
		return fmt.Errorf("make the root disk of guest %s: %w", g.ID, err)
	}
	if err := os.Chmod(part, 0o600); err != nil {
		return fmt.Errorf("close the root disk of guest %s to others: %w", g.ID, err)
	}
	if err := d.giveToQEMU(part); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("name the root disk of guest %s: %w", g.ID, err)
	}
	return nil
}

// giveToQEMU makes a file the property of the user that QEMU runs as: libvirt
// does so by itself only while dynamic_ownership is on.
func (d *Driver) giveToQEMU(path string) error {
	if d.static.uid < 0 || os.Geteuid() != 0 {
		return nil
	}
	if err := os.Chown(path, d.static.uid, d.static.gid); err != nil {
		return fmt.Errorf("give a disk to QEMU's user: %w", err)
	}
	return nil
}

// qcow2Magic and the offsets are those of QEMU's docs/interop/qcow2.txt.
const qcow2Magic = "QFI\xfb"

// imageSize returns the virtual size of an image in bytes. It refuses a qcow2
// file that points to other files: what is in the cache must be the whole image.
func imageSize(path, format string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fault.New(fault.NotFound, "its file is not in the cache: %w", err)
	}
	defer f.Close()
	if format == "raw" {
		return f.Seek(0, io.SeekEnd)
	}
	var header [80]byte
	if n, err := io.ReadFull(f, header[:]); n < 72 {
		return 0, fault.New(fault.Invalid, "its file is too short for a qcow2 header: %w", err)
	}
	version := binary.BigEndian.Uint32(header[4:])
	switch {
	case string(header[:4]) != qcow2Magic || version < 2 || version > 3:
		return 0, fault.Invalidf("its file is not qcow2 of version 2 or 3.")
	case binary.BigEndian.Uint64(header[8:]) != 0:
		return 0, fault.Invalidf("its file has a backing file.")
	case version == 3 && binary.BigEndian.Uint64(header[72:])&4 != 0:
		return 0, fault.Invalidf("its file has an external data file.")
	}
	size := binary.BigEndian.Uint64(header[24:])
	if size == 0 || size > uint64(hypervisor.MaxDiskGB)*gib {
		return 0, fault.Invalidf("its virtual size of %d bytes is impossible.", size)
	}
	return int64(size), nil
}
