package agent

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"kilonova/internal/diskimage"
	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// ImageCache keeps images on the host, each fetched once and verified, as the
// files that guests' disks stand on. Files are named by image and never change;
// one that is not complete has another name.
type ImageCache struct {
	Dir    string
	Images compute.Images
	// ForceRaw keeps raw copies of images of all formats; else qcow2 stays, and
	// only formats that guests cannot stand on are converted, to qcow2.
	ForceRaw bool
	Run      host.Runner // runs qemu-img; nil: host.Local
	// Instances is the folder whose guests' disks may stand on the images; "" none.
	Instances string
	Now       func() time.Time
	Log       *slog.Logger

	fetching singleflight.Group
	noting   sync.Mutex // one writer of a note at a time
}

// Get returns an image's file, fetching it if need be. Those who want the same
// image wait for one fetch. fault.Invalid: the data are not what they claim.
func (c *ImageCache) Get(ctx context.Context, id string, meta compute.ImageMeta) (hypervisor.Image, error) {
	image, err := c.file(ctx, id, meta.DiskFormat)
	if err != nil {
		return image, err
	}
	for property, path := range map[string]*string{"kernel_id": &image.Kernel, "ramdisk_id": &image.Ramdisk} {
		if part := meta.Properties[property]; part != "" {
			f, err := c.file(ctx, part, "raw")
			if err != nil {
				return image, err
			}
			*path = f.Path
		}
	}
	return image, c.noteParts(image)
}

// cacheImage fetches an image for servers to come.
func (a *Agent) cacheImage(ctx context.Context, r compute.CacheImageRequest) (compute.Power, error) {
	_, err := a.Images.Get(ctx, r.ImageID, r.Meta)
	return compute.PowerNone, err
}

func (c *ImageCache) file(ctx context.Context, id, format string) (hypervisor.Image, error) {
	switch format {
	case "ami", "aki", "ari", "iso", "":
		format = "raw"
	}
	image := hypervisor.Image{ID: id, Format: c.kept(format), Path: filepath.Join(c.Dir, id)}
	if image.Format != format {
		image.Path += "." + image.Format
	}
	if strings.ContainsAny(id, "/.") || id == "" {
		return image, fault.Invalidf("%q is no image id.", id)
	}
	if c.touch(image.Path) == nil {
		return image, nil
	}
	_, err, _ := c.fetching.Do(filepath.Base(image.Path), func() (any, error) {
		if c.touch(image.Path) == nil { // fetched between the look above and now
			return nil, nil
		}
		return nil, c.fetch(context.WithoutCancel(ctx), id, format, image)
	})
	return image, err
}

func (c *ImageCache) fetch(ctx context.Context, id, format string, image hypervisor.Image) (err error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	info, err := c.Images.Image(ctx, id)
	if err != nil {
		return err
	}
	body, err := c.Images.Open(ctx, id)
	if err != nil {
		return err
	}
	defer body.Close()
	part, err := os.Create(image.Path + ".part")
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, part.Close()); err != nil {
			os.Remove(part.Name())
		}
	}()
	sum, want := checksum(info)
	// One byte more shows that there is more; what an image service sends has no end of its own.
	n, err := io.Copy(io.MultiWriter(part, sum), io.LimitReader(body, info.Size+1))
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "Image %s could not be fetched whole.", id)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); want != "" && got != want || n != info.Size {
		return fault.New(fault.Unavailable, "Image %s came with %d bytes and checksum %s, where %d bytes and %s were promised.", id, n, got, info.Size, want)
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := safe(part.Name(), format); err != nil {
		return fault.New(fault.Invalid, "Image %s is unacceptable: %w", id, err)
	}
	if image.Format == format {
		return os.Rename(part.Name(), image.Path)
	}
	if err := c.convert(ctx, id, part.Name(), format, image); err != nil {
		return err
	}
	return os.Remove(part.Name())
}

// secureHashes are the algorithms of an image service's os_hash_algo that we know.
var secureHashes = map[string]func() hash.Hash{"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

// checksum picks the strongest sum that the image service has promised.
func checksum(info compute.Image) (hash.Hash, string) {
	if make := secureHashes[info.HashAlgo]; make != nil && info.HashValue != "" {
		return make(), info.HashValue
	}
	return md5.New(), info.Checksum
}

// safe looks into the file once more before a hypervisor opens it: the image
// service may be somebody else's.
func safe(path, format string) error {
	info, err := diskimage.File(path)
	if err != nil {
		return err
	}
	return info.Verify(format)
}
