package control

import (
	"context"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hardware"
)

// checkSources checks what a new server is made from: its image and its disks.
func (c *Control) checkSources(ctx context.Context, s *compute.Server, n *NewServer) error {
	var image compute.Image
	var err error
	if s.ImageID != "" {
		if image, err = c.usableImage(ctx, s.ImageID); err != nil {
			return err
		}
	}
	if n.Disks, err = withImageDisks(image, n.Disks); err != nil {
		return err
	}
	if s.ImageID == "" && len(n.Disks) == 0 {
		return fault.Invalidf("Invalid imageRef provided: a server needs an image.")
	}
	if err := c.checkDisks(ctx, s, *n); err != nil {
		return err
	}
	if s.ImageID == "" {
		return c.checkGuest(s)
	}
	volume := slices.ContainsFunc(n.Disks, func(d NewDisk) bool { return d.BootIndex == 0 && !d.Local })
	return c.takeImage(ctx, s, image, volume)
}

// checkImage checks and takes over the image that a server's root disk is made of.
func (c *Control) checkImage(ctx context.Context, s *compute.Server) error {
	image, err := c.usableImage(ctx, s.ImageID)
	if err != nil {
		return err
	}
	return c.takeImage(ctx, s, image, s.BootsFromVolume())
}

func (c *Control) usableImage(ctx context.Context, id string) (image compute.Image, err error) {
	image, err = c.Images.Image(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return image, fault.Invalidf("Can not find requested image: %s could not be found.", id)
	} else if err != nil {
		return image, err
	}
	if image.Status != "active" {
		return image, fault.Invalidf("Image %s is not active.", id)
	}
	return image, nil
}

// takeImage takes over what a server needs to know of its image, if they go
// together. volume says that the root disk is a volume, which is as large as it is.
func (c *Control) takeImage(ctx context.Context, s *compute.Server, image compute.Image, volume bool) error {
	if image.MinRAMMB > s.Flavor.MemoryMB {
		return fault.Invalidf("Flavor's memory is too small for requested image: flavor %s has %d MB, image %s needs %d MB.", s.Flavor.Name, s.Flavor.MemoryMB, image.ID, image.MinRAMMB)
	}
	if s.Flavor.RootGB == 0 && !volume { // as large as the image is, however large that may be
		if err := c.Policy.Enforce(ctx, "os_compute_api:servers:create:zero_disk_flavor", auth.Own(ctx)); fault.Is(err, fault.Forbidden) {
			return fault.Forbiddenf("Only volume-backed servers are allowed for flavors with zero disk.")
		} else if err != nil {
			return err
		}
	}
	if s.Flavor.RootGB > 0 && !volume {
		if image.MinDiskGB > s.Flavor.RootGB {
			return fault.Invalidf("The created instance's disk would be too small: flavor %s has %d GB, image %s needs %d GB.", s.Flavor.Name, s.Flavor.RootGB, image.ID, image.MinDiskGB)
		}
		if disk := int64(s.Flavor.RootGB) << 30; image.Size > disk {
			return fault.Invalidf("Flavor's disk is too small for requested image. Flavor disk is %d bytes, image is %d bytes.", disk, image.Size)
		}
	}
	s.ImageMeta = metaOf(image)
	if image.Properties["img_config_drive"] == "mandatory" || c.Options.ForceConfigDrive {
		s.ConfigDrive = true
	}
	return c.checkGuest(s)
}

// checkGuest refuses a flavor and an image that do not go together, or ask for what
// cannot be.
func (c *Control) checkGuest(s *compute.Server) error {
	if _, err := c.deviceRequests(s); err != nil {
		return err
	}
	return hardware.Check(wishesOf(s))
}

// wishesOf are a server's flavor and image, as hardware has them.
func wishesOf(s *compute.Server) (hardware.Flavor, hardware.Image) {
	f, image := s.Flavor, s.ImageMeta
	return hardware.Flavor{Name: f.Name, VCPUs: f.VCPUs, MemoryMB: f.MemoryMB, ExtraSpecs: f.ExtraSpecs},
		hardware.Image{ID: s.ImageID, Name: image.Name, Properties: image.Properties}
}
