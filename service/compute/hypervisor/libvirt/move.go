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
	"strings"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

var _ hypervisor.ColdMigrator = (*Driver)(nil)

// parkedSuffix marks the folder of a guest that is put aside, as upstream's
// folders of guests that are being resized.
const parkedSuffix = "_resize"

func (d *Driver) parkedDir(id string) string { return d.dir(id) + parkedSuffix }

// domainPath is where a parked guest's definition is kept.
func domainPath(dir string) string { return filepath.Join(dir, "domain.xml") }

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Park implements hypervisor.ColdMigrator: the definition goes into the guest's
// folder, and the folder gets another name.
func (d *Driver) Park(ctx context.Context, id string) error {
	t, end, err := d.begin(ctx, id)
	if err != nil {
		return err
	}
	defer end()
	if isDir(d.parkedDir(id)) {
		return nil
	}
	dom, err := d.find(ctx, t, id)
	switch {
	case err == nil:
		text, err := ask(ctx, d.conn, t, "read the definition of guest "+id, func(l *lv.Libvirt) (string, error) {
			return l.DomainGetXMLDesc(dom, lv.DomainXMLInactive|lv.DomainXMLSecure)
		})
		if err != nil {
			return err
		}
		if err := os.Mkdir(d.dir(id), 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make the folder of guest %s: %w", id, err)
		}
		if err := writeFile(domainPath(d.dir(id)), []byte(text), 0o600); err != nil {
			return err
		}
		if err := d.undefine(ctx, t, dom); err != nil {
			return err
		}
	case !fault.Is(err, fault.NotFound) || !isDir(d.dir(id)):
		return err
	}
	if err := os.Rename(d.dir(id), d.parkedDir(id)); err != nil {
		return fmt.Errorf("put the folder of guest %s aside: %w", id, err)
	}
	return nil
}

// Parked implements hypervisor.ColdMigrator.
func (d *Driver) Parked(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.cfg.InstancesPath)
	if err != nil {
		return nil, fmt.Errorf("look for parked guests: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), parkedSuffix); ok && hypervisor.IsUUID(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Parcel implements hypervisor.ColdMigrator: the disks, but for swap space, in
// which nothing lasts. What else is in the folder is made anew.
func (d *Driver) Parcel(_ context.Context, id string) ([]hypervisor.ParcelFile, error) {
	if !hypervisor.IsUUID(id) || !isDir(d.parkedDir(id)) {
		return nil, fault.NotFoundf("Guest %q is not parked on host %s.", id, d.static.HypervisorName)
	}
	entries, err := os.ReadDir(d.parkedDir(id))
	if err != nil {
		return nil, fmt.Errorf("look at the parked disks of guest %s: %w", id, err)
	}
	var files []hypervisor.ParcelFile
	for _, e := range entries {
		if e.Name() != rootName && !isEphemeral(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("look at a parked disk of guest %s: %w", id, err)
		}
		files = append(files, hypervisor.ParcelFile{Name: e.Name(), Size: info.Size()})
	}
	return files, nil
}

// OpenParcel implements hypervisor.ColdMigrator.
func (d *Driver) OpenParcel(ctx context.Context, id, name string) (hypervisor.ParcelReader, error) {
	files, err := d.Parcel(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.Name == name {
			return os.Open(filepath.Join(d.parkedDir(id), f.Name))
		}
	}
	return nil, fault.NotFoundf("The parcel of guest %s has no file %q.", id, name)
}

// Receive implements hypervisor.ColdMigrator. The disk stands on the image in
// this host's cache, and grows to the flavor's size; it never shrinks.
func (d *Driver) Receive(ctx context.Context, g hypervisor.Guest, parcel []hypervisor.ParcelFile, open func(context.Context, string) (io.ReadCloser, error)) error {
	if err := g.Check(); err != nil {
		return err
	}
	_, end, err := d.begin(ctx, g.ID)
	if err != nil {
		return err
	}
	defer end()
	dir := d.dir(g.ID)
	for _, f := range parcel {
		if f.Name != rootName && !isEphemeral(f.Name) {
			return fault.Invalidf("The parcel of guest %s has a file %q, which means nothing here.", g.ID, f.Name)
		}
		path := filepath.Join(dir, f.Name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
			return fault.New(fault.Unavailable, "The folder of guest %s cannot be made: %w", g.ID, err)
		}
		if err := d.receiveDisk(ctx, g, f, path, open); err != nil {
			return errors.Join(err, os.RemoveAll(path+".part"), removeIfEmpty(dir))
		}
	}
	return nil
}

func removeIfEmpty(dir string) error {
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return nil
	}
	return os.Remove(dir)
}

// receiveDisk brings one disk to its place; it has its final name when it is whole.
func (d *Driver) receiveDisk(ctx context.Context, g hypervisor.Guest, f hypervisor.ParcelFile, path string, open func(context.Context, string) (io.ReadCloser, error)) error {
	part := path + ".part"
	from, err := open(ctx, f.Name)
	if err != nil {
		return err
	}
	defer from.Close()
	n, err := copySparse(part, from)
	if err != nil {
		return fmt.Errorf("receive a disk of guest %s: %w", g.ID, err)
	}
	if n != f.Size {
		return fault.New(fault.Unavailable, "A disk of guest %s came with %d bytes, where %d were promised.", g.ID, n, f.Size)
	}
	if f.Name == rootName {
		err = d.fitRoot(ctx, g, part)
	} else {
		err = fitEphemeral(g, f.Name, part)
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(part, 0o600); err != nil {
		return fmt.Errorf("close a disk of guest %s to others: %w", g.ID, err)
	}
	if err := d.giveToQEMU(part); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// fitRoot puts a received root disk on the image in this host's cache, and makes
// it as large as the flavor says.
func (d *Driver) fitRoot(ctx context.Context, g hypervisor.Guest, part string) error {
	has, err := virtualSize(part)
	if err != nil {
		return fault.New(fault.KindOf(err), "The disk of guest %s cannot be used: %w", g.ID, err)
	}
	wants := int64(g.Root.SizeGB) * gib
	if wants > 0 && has > wants {
		return fault.Invalidf("Resize error: Unable to resize disk down: the disk of guest %s has %d bytes, the flavor's %d GB are fewer.", g.ID, has, g.Root.SizeGB)
	}
	if g.Image.Path != "" {
		if _, err := d.cfg.Run.Run(ctx, nil, "qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-b", g.Image.Path, "-F", g.Image.Format, part); err != nil {
			return fmt.Errorf("put the disk of guest %s on its image: %w", g.ID, err)
		}
	}
	if wants > has {
		if _, err := d.cfg.Run.Run(ctx, nil, "qemu-img", "resize", "-q", "-f", "qcow2", part, strconv.FormatInt(wants, 10)); err != nil {
			return fmt.Errorf("grow the disk of guest %s: %w", g.ID, err)
		}
	}
	return nil
}

// copySparse writes a file and leaves holes where there are only zeros.
func copySparse(path string, from io.Reader) (n int64, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	block := make([]byte, 64<<10)
	for {
		got, readErr := io.ReadFull(from, block)
		if got > 0 && strings.Trim(string(block[:got]), "\x00") != "" {
			if _, err := f.WriteAt(block[:got], n); err != nil {
				return n, err
			}
		}
		n += int64(got)
		if errors.Is(readErr, io.EOF) || errors.Is(readErr, io.ErrUnexpectedEOF) {
			return n, errors.Join(f.Truncate(n), f.Sync())
		}
		if readErr != nil {
			return n, readErr
		}
	}
}

// virtualSize reads how large a guest sees a qcow2 disk, in bytes.
func virtualSize(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var header [32]byte
	if _, err := io.ReadFull(f, header[:]); err != nil || string(header[:4]) != qcow2Magic {
		return 0, fault.New(fault.Invalid, "its file is not qcow2: %w", err)
	}
	size := binary.BigEndian.Uint64(header[24:])
	if size == 0 || size > uint64(hypervisor.MaxDiskGB)*gib {
		return 0, fault.Invalidf("its virtual size of %d bytes is impossible.", size)
	}
	return int64(size), nil
}

// Unpark implements hypervisor.ColdMigrator.
func (d *Driver) Unpark(ctx context.Context, id string) error {
	t, end, err := d.begin(ctx, id)
	if err != nil {
		return err
	}
	defer end()
	dir, parked := d.dir(id), d.parkedDir(id)
	switch {
	case isDir(parked) && isDir(dir):
		return fault.Conflictf("Guest %s is on host %s twice, parked and not.", id, d.static.HypervisorName)
	case isDir(parked):
		if err := os.Rename(parked, dir); err != nil {
			return fmt.Errorf("take the folder of guest %s back: %w", id, err)
		}
	case !isDir(dir):
		return d.unknown(id)
	}
	text, err := os.ReadFile(domainPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // defined before, or to be by Create
	}
	if err != nil {
		return fmt.Errorf("read the definition of guest %s: %w", id, err)
	}
	if err := tell(ctx, d.conn, t, "define guest "+id, func(l *lv.Libvirt) error {
		_, err := l.DomainDefineXMLFlags(string(text), 0)
		return err
	}); err != nil {
		return err
	}
	return os.Remove(domainPath(dir))
}

// Drop implements hypervisor.ColdMigrator.
func (d *Driver) Drop(_ context.Context, id string) error {
	if !hypervisor.IsUUID(id) {
		return nil
	}
	if err := os.RemoveAll(d.parkedDir(id)); err != nil {
		return fmt.Errorf("remove what is parked of guest %s: %w", id, err)
	}
	return nil
}
