package control

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kilonova/internal/diskimage"
	"kilonova/internal/fault"
	"kilonova/service/image"
	"kilonova/service/image/blob"
)

// The import plugins, by upstream's names.
const (
	pluginDecompress = "image_decompression"
	pluginConvert    = "image_conversion"
	pluginInject     = "inject_image_metadata"
)

var importPlugins = []string{pluginDecompress, pluginConvert, pluginInject, "no_op"}

// convertTime is how long qemu-img may take for one image, convertMemory how
// much address space it may have: an image can be made so that it would take
// more than there is (OSSA-2016-012).
const (
	convertTime   = 2 * time.Hour
	convertMemory = 2 << 30
)

// runPlugins does to staged data what the configured plugins do. What comes of it is
// a staged blob of its own, p.Ready; the payload tells what it is.
func (c *Control) runPlugins(ctx context.Context, i *image.Image, p *importPayload, most limit) error {
	for _, plugin := range c.o.ImportOpts.Plugins {
		var err error
		switch plugin {
		case pluginDecompress:
			err = c.decompress(ctx, i, p, most)
		case pluginConvert:
			err = c.convert(ctx, i, p, most)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// becoming is the image with the formats that it will have.
func (p *importPayload) becoming(i *image.Image) *image.Image {
	next := *i
	if p.DiskFormat != "" {
		next.DiskFormat = p.DiskFormat
	}
	if p.ContainerFormat != "" {
		next.ContainerFormat = p.ContainerFormat
	}
	return &next
}

// staged is the key of what is to be imported.
func (p *importPayload) staged() string {
	if p.Ready != "" {
		return p.Ready
	}
	return p.Stage
}

// restage replaces what is staged by other data.
func (c *Control) restage(ctx context.Context, i *image.Image, p *importPayload, plugin string, data io.Reader, most limit) error {
	key := p.Stage + "." + map[string]string{pluginDecompress: "plain", pluginConvert: "converted"}[plugin]
	if err := c.noteBlob(ctx, i.ID, stagingID, key); err != nil {
		return err
	}
	if p.Ready != "" {
		p.Passed = append(p.Passed, p.Ready)
	}
	p.Ready = key
	_, err := c.take(ctx, i, c.staging, key, Upload{Data: data, Size: -1, again: true}, most, func(*diskimage.Info) error { return nil })
	return err
}

// decompress unpacks gzip, and zip archives of one file. Containers that are
// said to be compressed stay so.
func (c *Control) decompress(ctx context.Context, i *image.Image, p *importPayload, most limit) error {
	if p.becoming(i).ContainerFormat == "compressed" {
		return nil
	}
	source, err := c.staging.Open(ctx, p.staged())
	if err != nil {
		return err
	}
	defer source.Close()
	head := make([]byte, 4)
	if n, err := source.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	} else if head = head[:n]; !bytes.HasPrefix(head, []byte("PK\x03\x04")) && !bytes.HasPrefix(head, []byte("\x1f\x8b")) {
		return nil
	}
	var plain io.ReadCloser
	if head[0] == 'P' {
		if plain, err = openArchive(source, source.Size()); err != nil {
			return err
		}
	} else if plain, err = gzip.NewReader(source); err != nil {
		return fault.Wrap(err, fault.Invalid, "The image's compressed data cannot be unpacked.")
	}
	defer plain.Close()
	return c.restage(ctx, i, p, pluginDecompress, plain, most)
}

// convert brings the data into the configured format with qemu-img, which is told
// what it opens: only what was looked into gets there.
func (c *Control) convert(ctx context.Context, i *image.Image, p *importPayload, most limit) error {
	is, target := p.becoming(i), c.o.Conversion.OutputFormat
	if is.ContainerFormat != "bare" || is.DiskFormat == target {
		return nil
	}
	source, err := c.staging.Open(ctx, p.staged())
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := diskimage.ReaderAt(source, source.Size())
	if err != nil {
		return err
	}
	from, known := map[string]string{"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx", "ploop": "parallels"}[is.DiskFormat]
	if !known { // discs and kernels are what they are
		return nil
	}
	if err := info.Verify(is.DiskFormat); err != nil { // in any case: a program is about to open it
		return refused(err)
	}
	if size := info.SizeAs(is.DiskFormat); size > most.bytes {
		return most.err
	}
	dir, err := os.MkdirTemp(c.workDir, "import-")
	if err != nil {
		return fmt.Errorf("conversion: %w", err)
	}
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := copyToFile(in, source); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, convertTime)
	defer cancel()
	to := map[string]string{"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk"}[target]
	args := []string{"--as=" + fmt.Sprint(int64(convertMemory)), "--", "qemu-img", "convert", "-f", from, "-O", to}
	if to == "vmdk" {
		args = append(args, "-o", "subformat=streamOptimized")
	}
	if _, err := c.run.Run(ctx, nil, "prlimit", append(args, in, out)...); err != nil {
		return fault.Wrap(err, fault.Invalid, "The image's data cannot be converted from %s to %s.", is.DiskFormat, target)
	}
	converted, err := os.Open(out)
	if err != nil {
		return fmt.Errorf("conversion: %w", err)
	}
	defer converted.Close()
	p.DiskFormat = target
	return c.restage(ctx, i, p, pluginConvert, converted, most)
}

func refused(err error) error {
	if r, ok := errors.AsType[*diskimage.Refusal](err); ok {
		return fault.New(fault.UnsupportedMedia, "%s", r.Reason)
	}
	return err
}

func copyToFile(path string, source blob.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("conversion: %w", err)
	}
	_, err = io.Copy(f, source)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("conversion: %w", err)
	}
	return nil
}

// clearWork removes what an earlier process left of its conversions.
func (c *Control) clearWork() error {
	entries, err := os.ReadDir(c.workDir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "import-") {
			err = errors.Join(err, os.RemoveAll(filepath.Join(c.workDir, e.Name())))
		}
	}
	return err
}
