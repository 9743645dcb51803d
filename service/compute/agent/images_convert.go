package agent

import (
	"context"
	"errors"
	"os"
	"strconv"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/compute/hypervisor"
)

// convertMemory is how much address space qemu-img may have: an image can be made
// so that it would take more than there is (OSSA-2016-012).
const convertMemory = 2 << 30

// convertible are the formats that are not kept as they come, by qemu-img's names.
var convertible = map[string]string{"vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx", "ploop": "parallels"}

// kept is the format in which an image of a format is kept.
func (c *ImageCache) kept(format string) string {
	switch {
	case convertible[format] != "" && !c.ForceRaw:
		return "qcow2"
	case convertible[format] != "" || c.ForceRaw && format == "qcow2":
		return "raw"
	}
	return format
}

// convert makes the file of an image of one that has been looked into. qemu-img is
// told what it opens: it must not find out by itself (OSSA-2026-002).
func (c *ImageCache) convert(ctx context.Context, id, from, format string, image hypervisor.Image) error {
	run := c.Run
	if run == nil {
		run = host.Local{}
	}
	name := convertible[format]
	if name == "" {
		name = format
	}
	part := image.Path + ".converting"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_, err := run.Run(ctx, nil, "prlimit", "--as="+strconv.FormatInt(convertMemory, 10), "--", "qemu-img", "convert", "-f", name, "-O", image.Format, from, part)
	if err != nil {
		return errors.Join(fault.New(fault.Invalid, "Image %s cannot be converted from %s to %s: %w", id, format, image.Format, err), remove(part))
	}
	return os.Rename(part, image.Path)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
