package control

import (
	"encoding/json"
	"slices"
	"strings"

	"kilonova/service/compute"
)

// withImageDisks adds the disks that an image describes to those asked for, which
// stand above them: an element of the same device name replaces one, or takes it
// away.
func withImageDisks(image compute.Image, asked []NewDisk) ([]NewDisk, error) {
	described, err := imageDisks(image)
	if err != nil {
		return nil, err
	}
	all := make([]NewDisk, 0, len(described)+len(asked))
	for _, d := range described {
		if d.Device == "" || !slices.ContainsFunc(asked, func(x NewDisk) bool { return x.Device == d.Device }) {
			all = append(all, d)
		}
	}
	for _, d := range asked {
		if !d.Absent {
			all = append(all, d)
		}
	}
	return all, nil
}

// imageDisks reads the disks that an image describes. Those of hosts are left out:
// they have nothing in them.
func imageDisks(image compute.Image) ([]NewDisk, error) {
	text := image.Properties[imageMapping]
	if text == "" {
		return nil, nil
	}
	var described []imageDisk
	if err := json.Unmarshal([]byte(text), &described); err != nil || len(described) > maxVolumes+1 {
		return nil, badMapping("image %s describes its disks in a form that cannot be read, or more than %d of them.", image.ID, maxVolumes+1)
	}
	v2 := strings.EqualFold(image.Properties[imageBDMv2], "true")
	var disks []NewDisk
	for _, x := range described {
		if x.NoDevice != nil && *x.NoDevice || x.DestinationType == "local" {
			continue
		}
		d := NewDisk{Source: x.SourceType, ID: x.SnapshotID, BootIndex: -1, SizeGB: x.VolumeSize, Device: compute.DevicePath(x.DeviceName), DeleteOnEnd: x.DeleteOnEnd}
		for source, id := range map[string]*string{"volume": x.VolumeID, "image": x.ImageID} {
			if id != nil && *id != "" && (x.SourceType == "" || x.SourceType == source) {
				d.Source, d.ID = source, *id
			}
		}
		if d.Source == "" && d.ID != "" {
			d.Source = "snapshot"
		}
		switch {
		case d.Source == "" || d.ID == "" && d.Source != "blank":
			return nil, badMapping("image %s describes a disk without a source.", image.ID)
		case x.BootIndex != nil && *x.BootIndex >= 0:
			d.BootIndex = *x.BootIndex
		case !v2 && d.Device != "" && d.Device == compute.DevicePath(image.Properties[imageRoot]):
			d.BootIndex = 0
		}
		if x.Tag != nil {
			d.Tag = *x.Tag
		}
		if x.VolumeType != nil {
			d.VolumeType = *x.VolumeType
		}
		disks = append(disks, d)
	}
	return disks, nil
}
