package api

import (
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

// blockDevice is one element of block_device_mapping_v2.
type blockDevice struct {
	UUID            string    `json:"uuid" check:"len=0..255"`
	SourceType      string    `json:"source_type" check:"enum=volume|image|snapshot|blank"`
	DestinationType string    `json:"destination_type" check:"enum=local|volume"`
	BootIndex       *rest.Int `json:"boot_index" check:"null"`
	DeleteOnEnd     rest.Bool `json:"delete_on_termination"`
	DeviceName      *string   `json:"device_name" check:"match=device len=1..255"`
	DeviceType      string    `json:"device_type" check:"len=0..255"`
	DiskBus         string    `json:"disk_bus" check:"len=0..255"`
	GuestFormat     string    `json:"guest_format" check:"len=0..255"`
	NoDevice        any       `json:"no_device"`
	VolumeSize      *rest.Int `json:"volume_size" check:"range=1..2147483647"`
	Tag             *string   `json:"tag" check:"match=devicetag len=1..60"`
	VolumeType      *string   `json:"volume_type" mv:"2.67-" check:"null len=0..255"`
	VolumeID        string    `json:"volume_id" check:"uuid"`
	SnapshotID      string    `json:"snapshot_id" check:"uuid"`
	ImageID         string    `json:"image_id" check:"uuid"`
	VirtualName     string    `json:"virtual_name" check:"len=0..255"`
	ConnectionInfo  string    `json:"connection_info"`
}

// oldBlockDevice is one element of block_device_mapping, the first form.
type oldBlockDevice struct {
	VolumeID       string    `json:"volume_id" check:"uuid"`
	SnapshotID     string    `json:"snapshot_id" check:"uuid"`
	VolumeSize     *rest.Int `json:"volume_size" check:"range=1..2147483647"`
	DeleteOnEnd    rest.Bool `json:"delete_on_termination"`
	DeviceName     *string   `json:"device_name" check:"match=device len=1..255"`
	NoDevice       any       `json:"no_device"`
	VirtualName    string    `json:"virtual_name" check:"len=0..255"`
	ConnectionInfo string    `json:"connection_info"`
}

func sizeOf(n *rest.Int) int {
	if n == nil {
		return 0
	}
	return int(*n)
}

// taggedDisks are the versions at which disks of a new server have tags.
func taggedDisks(v rest.Version) bool {
	return v.AtLeast("2.42") || v == rest.V("2.32")
}

// takeDisks reads both forms of what a request says of disks.
func (b *createServer) takeDisks(v rest.Version, n *control.NewServer) error {
	if len(b.Disks) > 0 && len(b.OldDisks) > 0 {
		return fault.Invalidf("Using different block_device_mapping syntaxes is not allowed in the same request.")
	}
	for _, d := range b.OldDisks {
		if d.NoDevice != nil && d.NoDevice != false {
			n.Disks = append(n.Disks, control.NewDisk{Absent: true, BootIndex: -1, Device: compute.DevicePath(given(d.DeviceName))})
			continue
		}
		disk := control.NewDisk{Source: "volume", ID: d.VolumeID, BootIndex: -1, SizeGB: sizeOf(d.VolumeSize), Device: compute.DevicePath(given(d.DeviceName)), DeleteOnEnd: bool(d.DeleteOnEnd)}
		if d.SnapshotID != "" {
			disk.Source, disk.ID = "snapshot", d.SnapshotID
		}
		if disk.ID == "" {
			return fault.Invalidf("Block Device Mapping is Invalid: an element names no volume and no snapshot.")
		}
		// In this form the root disk is the one with its name.
		if n.ImageID == "" && (disk.Device == "/dev/vda" || len(b.OldDisks) == 1) {
			disk.BootIndex = 0
		}
		n.Disks = append(n.Disks, disk)
	}
	for _, d := range b.Disks {
		if d.NoDevice != nil && d.NoDevice != false {
			n.Disks = append(n.Disks, control.NewDisk{Absent: true, BootIndex: -1, Device: compute.DevicePath(given(d.DeviceName))})
			continue
		}
		disk, err := d.disk(v, n.ImageID)
		if err != nil {
			return err
		}
		if disk.Local && disk.Source == "image" && disk.BootIndex == 0 && n.ImageID == "" {
			n.ImageID = disk.ID
		}
		n.Disks = append(n.Disks, disk)
	}
	return nil
}

func (d blockDevice) disk(v rest.Version, image string) (control.NewDisk, error) {
	disk := control.NewDisk{Source: d.SourceType, ID: d.UUID, BootIndex: -1, SizeGB: sizeOf(d.VolumeSize), Device: compute.DevicePath(given(d.DeviceName)), Tag: given(d.Tag),
		DeleteOnEnd: bool(d.DeleteOnEnd), Format: d.GuestFormat}
	if d.Tag != nil && !taggedDisks(v) {
		return disk, fault.Invalidf("Invalid input for field/attribute block_device_mapping_v2. Additional properties are not allowed ('tag' was unexpected)")
	}
	if d.BootIndex != nil && *d.BootIndex >= 0 {
		disk.BootIndex = int(*d.BootIndex)
	}
	if d.VolumeType != nil {
		disk.VolumeType = *d.VolumeType
	}
	for source, id := range map[string]string{"volume": d.VolumeID, "snapshot": d.SnapshotID, "image": d.ImageID} {
		if id != "" && (disk.Source == "" || disk.Source == source) {
			disk.Source, disk.ID = source, firstOf(disk.ID, id)
		}
	}
	switch {
	case disk.Source == "":
		return disk, fault.Invalidf("Block Device Mapping is Invalid: source_type is missing.")
	case disk.Source == "blank" && disk.ID != "":
		return disk, fault.Invalidf("Block Device Mapping is Invalid: a blank device has no uuid.")
	case disk.Source != "blank" && !rest.IsUUID(disk.ID):
		return disk, fault.Invalidf("Block Device Mapping is Invalid: a device of the source type %s needs a uuid.", disk.Source)
	}
	disk.Local = d.DestinationType == "local" || d.DestinationType == "" && (disk.Source == "blank" || disk.Source == "image")
	return disk, nil
}
