package control

import (
	"context"
	"slices"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/undo"
	"kilonova/service/compute"
)

// NewDisk is one element of what a caller says of a new server's disks.
type NewDisk struct {
	Source string // "volume", "image", "snapshot", "blank"
	ID     string // of the source
	// Local disks are the host's and the flavor's; others are volumes.
	Local       bool
	BootIndex   int // 0 is the root disk; -1 is not booted from
	SizeGB      int
	Device, Tag string
	VolumeType  string
	DeleteOnEnd bool
	// Format of a blank local disk: "swap", or the file system of an ephemeral one.
	Format string
	// Absent: the image's disk of this device name is not wanted.
	Absent bool

	zone string // of the volume that is there, once that has been looked at
}

func badMapping(format string, args ...any) error {
	return fault.Invalidf("Block Device Mapping is Invalid: "+format, args...)
}

// checkDisks reads what a caller says of a new server's disks: it finds the one
// to boot from and looks at those that are there already. What has to be made is
// made by makeDisks, when nothing else can be refused any more.
func (c *Control) checkDisks(ctx context.Context, s *compute.Server, n NewServer) error {
	if len(n.Disks) == 0 {
		return nil
	}
	boot := 0
	for i, d := range n.Disks {
		if d.BootIndex == 0 {
			boot++
		}
		if d.Local {
			if d.Source == "blank" && d.BootIndex != 0 {
				s.System.LocalDisks = append(s.System.LocalDisks, d.local())
			} else if err := checkImageDisk(s, d); err != nil {
				return err
			}
			continue
		}
		if err := c.volumesHere(); err != nil {
			return err
		}
		if err := c.Policy.Enforce(ctx, "os_compute_api:servers:create:attach_volume", auth.Own(ctx)); err != nil {
			return err
		}
		meta, err := c.checkVolumeDisk(ctx, &n.Disks[i], n)
		if err != nil {
			return err
		}
		if d.BootIndex == 0 {
			s.ImageMeta = meta
		}
	}
	if err := c.checkLocalDisks(s); err != nil {
		return err
	}
	if s.ImageID != "" && boot == 0 {
		boot = 1 // the image on the flavor's disk
	}
	if boot != 1 {
		return badMapping("Boot sequence for the instance and image/block device mapping combination is not valid.")
	}
	return nil
}

// checkImageDisk checks a local disk that is not blank: only the root disk is made
// of something.
func checkImageDisk(s *compute.Server, d NewDisk) error {
	switch {
	case d.Source == "blank":
		return badMapping("Boot sequence for the instance and image/block device mapping combination is not valid.")
	case d.Source != "image":
		return badMapping("Mapping %s to local is not supported.", d.Source)
	case d.BootIndex != 0:
		return badMapping("Mapping image to local is not supported.")
	case d.ID != s.ImageID:
		return badMapping("Boot sequence for the instance and image/block device mapping combination is not valid.")
	}
	return nil // what a server with an image has anyway
}

// local is the disk of the host's that a blank local mapping asks for.
func (d NewDisk) local() compute.LocalDisk {
	disk := compute.LocalDisk{SizeMB: d.SizeGB << 10, Format: d.Format, Device: d.Device, Tag: d.Tag}
	if d.Format == "swap" {
		disk.Swap, disk.Format, disk.SizeMB = true, "", d.SizeGB // upstream counts swap in MB
	}
	return disk
}

// checkLocalDisks refuses further disks of the host's that the flavor does not have.
func (c *Control) checkLocalDisks(s *compute.Server) error {
	asked := s.System.LocalDisks
	ephemeralMB, swaps, root := 0, 0, 0
	for _, d := range asked {
		switch {
		case d.Swap:
			if swaps++; d.SizeMB > s.Flavor.SwapMB {
				return fault.Invalidf("Swap drive requested is larger than instance type allows.")
			}
		case d.Format != "" && !slices.Contains(compute.FileSystems, d.Format):
			return badMapping("guest_format %.64q is none of %s.", d.Format, strings.Join(compute.FileSystems, ", "))
		case d.SizeMB == 0:
			ephemeralMB += s.Flavor.EphemeralGB << 10
		default:
			ephemeralMB += d.SizeMB
		}
	}
	if s.ImageID != "" {
		root = 1
	}
	most := c.Options.MaxLocalDevices
	switch {
	case swaps > 1:
		return badMapping("More than one swap drive requested.")
	case ephemeralMB > s.Flavor.EphemeralGB<<10:
		return fault.Invalidf("Ephemeral disks requested are larger than the instance type allows. If no size is given in one block device mapping, flavor ephemeral size will be used.")
	case most >= 0 && len(asked) > 0 && root+len(s.LocalDisks()) > most:
		return fault.Invalidf("You specified more local devices than the limit allows: %d, and at most %d are possible.", root+len(s.LocalDisks()), most)
	}
	return nil
}

// checkVolumeDisk checks one that is or becomes a volume and returns what is known
// of the image in it.
func (c *Control) checkVolumeDisk(ctx context.Context, d *NewDisk, n NewServer) (meta compute.ImageMeta, err error) {
	switch d.Source {
	case "volume":
		v, err := c.Volumes.Volume(ctx, d.ID)
		if err != nil {
			return meta, badMapping("failed to get volume %s.", d.ID)
		}
		if max(n.MinCount, n.MaxCount) > 1 && !v.Multiattach {
			return meta, fault.Invalidf("Cannot attach one or more volumes to multiple instances")
		}
		if v.Multiattach && !n.Multiattach {
			return meta, errNoMultiattach
		}
		if v.Status != "available" && !(v.Multiattach && v.Status == "in-use") {
			return meta, fault.Invalidf("Invalid volume: volume '%s' status must be 'available'. Currently in '%s'", d.ID, v.Status)
		}
		if d.BootIndex == 0 && !v.Bootable && n.ImageID == "" { // with an image named, its owner knows what is in it
			return meta, badMapping("Volume %s is not bootable, thus cannot boot from it.", d.ID)
		}
		d.zone = v.Zone
		return v.ImageMeta, nil
	case "snapshot":
		snapshot, err := c.Volumes.Snapshot(ctx, d.ID)
		if err != nil {
			return meta, badMapping("failed to get snapshot %s.", d.ID)
		}
		if d.SizeGB == 0 {
			d.SizeGB = snapshot.SizeGB
		}
		return meta, nil
	case "image":
		image, err := c.Images.Image(ctx, d.ID)
		if fault.Is(err, fault.NotFound) {
			return meta, badMapping("failed to get image %s.", d.ID)
		}
		if err != nil {
			return meta, err
		}
		if d.SizeGB == 0 {
			return meta, badMapping("Images with destination_type 'volume' need to have a non-zero size specified")
		}
		if d.SizeGB < image.MinDiskGB {
			return meta, fault.Invalidf("Volume is smaller than the minimum size specified in image metadata. Volume size is %d GB, minimum size is %d GB.", d.SizeGB, image.MinDiskGB)
		}
		return compute.ImageMeta{Name: image.Name, DiskFormat: image.DiskFormat, ContainerFormat: image.ContainerFormat, MinDiskGB: image.MinDiskGB,
			MinRAMMB: image.MinRAMMB, Properties: image.Properties}, nil
	}
	if d.SizeGB == 0 {
		return meta, badMapping("Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size")
	}
	return meta, nil
}

// makeDisks has the volumes of new servers made and those that are there reserved:
// as the caller, whose quota and whose volumes they are. u takes all of it back.
func (c *Control) makeDisks(ctx context.Context, u *undo.Stack, servers []*compute.Server, disks []NewDisk) error {
	for _, s := range servers {
		for _, d := range disks {
			if d.Local {
				continue
			}
			device := compute.BlockDevice{ID: newID(), Source: d.Source, VolumeID: d.ID, Tag: d.Tag, DeleteOnEnd: d.DeleteOnEnd, Boot: d.BootIndex == 0, Device: d.Device}
			var err error
			if device.Boot {
				device.Device = s.RootDevice
			} else if device.Device, err = freeDevice(s.Devices, s, d.Device); err != nil {
				return err
			}
			if d.Source == "volume" {
				if device.AttachmentID, err = c.Volumes.Reserve(ctx, d.ID, s.ID); err != nil {
					return err
				}
				u.Add("release volume", func(ctx context.Context) error { return c.Volumes.Release(ctx, device.AttachmentID) })
			} else {
				n := compute.NewVolume{SizeGB: d.SizeGB, Type: d.VolumeType, ServerID: s.ID}
				if c.Options.VolumesInZone {
					n.Zone = s.AvailabilityZone
				}
				switch d.Source {
				case "image":
					n.ImageID = d.ID
				case "snapshot":
					n.SnapshotID = d.ID
				}
				v, err := c.Volumes.Create(ctx, n)
				if err != nil {
					return err
				}
				device.VolumeID = v.ID
				u.Add("delete volume", func(ctx context.Context) error { return c.Volumes.Delete(ctx, v.ID) })
			}
			s.Devices = append(s.Devices, device)
		}
	}
	return nil
}
