package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// swapName is the file of a guest's swap space, and ephemeralName those of its
// ephemeral disks, by upstream's names.
const swapName = "disk.swap"

func ephemeralName(n int) string { return "disk.eph" + strconv.Itoa(n) }

// localPath is the file of the i-th further disk of a guest.
func localPath(dir string, disks []hypervisor.LocalDisk, i int) string {
	if disks[i].Swap {
		return filepath.Join(dir, swapName)
	}
	n := 0
	for _, d := range disks[:i] {
		if !d.Swap {
			n++
		}
	}
	return filepath.Join(dir, ephemeralName(n))
}

// makeLocal makes a further disk: a file of holes with a file system or swap space
// in it. One that is there is kept, and made longer where that is asked for; swap
// space of another size is made anew, since nothing in it lasts.
func (d *Driver) makeLocal(ctx context.Context, g hypervisor.Guest, disk hypervisor.LocalDisk, path string) error {
	size := int64(disk.SizeMB) << 20
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Size() == size:
		return nil
	case err == nil && !disk.Swap:
		return lengthen(path, info.Size(), size, g.ID)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look at a disk of guest %s: %w", g.ID, err)
	}
	part := path + ".part"
	if err := os.WriteFile(part, nil, 0o600); err != nil {
		return fmt.Errorf("make a disk of guest %s: %w", g.ID, err)
	}
	if err := os.Truncate(part, size); err != nil {
		return fault.New(fault.Unavailable, "A disk of %d MB for guest %s cannot be made: %w", disk.SizeMB, g.ID, err)
	}
	command := formatter(disk, d.ephemeralFormat(g), filepath.Base(path))
	if _, err := d.cfg.Run.Run(ctx, nil, command[0], append(command[1:], part)...); err != nil {
		return fmt.Errorf("format a disk of guest %s: %w", g.ID, err)
	}
	if err := d.giveToQEMU(part); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("name a disk of guest %s: %w", g.ID, err)
	}
	return nil
}

// lengthen makes an ephemeral disk longer. It never becomes shorter: what the
// guest wrote at its end would be lost.
func lengthen(path string, has, wants int64, id string) error {
	if has > wants {
		return fault.Invalidf("Resize error: Unable to resize disk down: an ephemeral disk of guest %s has %d bytes, the flavor's %d are fewer.", id, has, wants)
	}
	return os.Truncate(path, wants)
}

// isEphemeral tells the files of ephemeral disks by their names.
func isEphemeral(name string) bool {
	n, ok := strings.CutPrefix(name, "disk.eph")
	_, err := strconv.Atoi(n)
	return ok && err == nil
}

// fitEphemeral makes a received ephemeral disk as large as its guest's flavor
// says; one that the flavor does not have is refused, since its contents would go.
func fitEphemeral(g hypervisor.Guest, name, path string) error {
	for i, disk := range g.Disks {
		if localPath("", g.Disks, i) == name {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return lengthen(path, info.Size(), int64(disk.SizeMB)<<20, g.ID)
		}
	}
	return fault.Invalidf("Resize error: Unable to resize disk down: the flavor has no room for the ephemeral disk %s of guest %s.", name, g.ID)
}

// ephemeralFormat is the file system of ephemeral disks for which none is asked.
func (d *Driver) ephemeralFormat(g hypervisor.Guest) string {
	switch {
	case d.cfg.EphemeralFormat != "":
		return d.cfg.EphemeralFormat
	case g.Properties["os_type"] == "windows":
		return "vfat"
	}
	return "ext4"
}

// formatter is the program, with its arguments, that makes an empty file a disk
// which guests can use. The label is upstream's: ephemeral0 and so on.
func formatter(disk hypervisor.LocalDisk, usual, name string) []string {
	if disk.Swap {
		return []string{"mkswap"}
	}
	label := "ephemeral" + strings.TrimPrefix(name, "disk.eph")
	format := disk.Format
	if format == "" {
		format = usual
	}
	switch format {
	case "vfat":
		return []string{"mkfs.vfat", "-I", "-n", label}
	case "ntfs":
		return []string{"mkfs.ntfs", "-q", "--fast", "--force", "-L", label}
	case "xfs":
		return []string{"mkfs.xfs", "-q", "-f", "-L", label}
	}
	return []string{"mkfs." + format, "-q", "-F", "-L", label}
}
