package compute

import "slices"

// LocalDisk is a disk that a server has on its host besides the root disk: an
// ephemeral one, with an empty file system, or swap space. It is made with the
// guest, goes with it where it moves, and ends with it.
type LocalDisk struct {
	Swap   bool   `json:"swap,omitempty"`
	SizeMB int    `json:"size_mb,omitempty"` // 0: what the flavor has of it
	Format string `json:"format,omitempty"`  // the file system of an ephemeral disk; "" the host's choice
	Device string `json:"device,omitempty"`  // e.g. /dev/vdb; "" the next that is free
	Tag    string `json:"tag,omitempty"`
}

// FileSystems are those that an ephemeral disk can be made with.
var FileSystems = []string{"ext2", "ext3", "ext4", "xfs", "vfat", "ntfs"}

// LocalDisks are the server's disks on its host besides the root disk, ephemeral
// ones first: those that were asked for, and what its flavor has where nothing
// was asked for. They follow from the flavor, so that a server which changes that
// has other disks, and the old ones again when it goes back.
func (s *Server) LocalDisks() []LocalDisk {
	disks := slices.DeleteFunc(slices.Clone(s.System.LocalDisks), func(d LocalDisk) bool { return d.Swap })
	if len(disks) == 0 && s.Flavor.EphemeralGB > 0 {
		disks = []LocalDisk{{}}
	}
	for i := range disks {
		if disks[i].SizeMB == 0 {
			disks[i].SizeMB = s.Flavor.EphemeralGB << 10
		}
	}
	disks = slices.DeleteFunc(disks, func(d LocalDisk) bool { return d.SizeMB == 0 })
	if s.Flavor.SwapMB > 0 {
		swap := LocalDisk{Swap: true, SizeMB: s.Flavor.SwapMB}
		if i := slices.IndexFunc(s.System.LocalDisks, func(d LocalDisk) bool { return d.Swap }); i >= 0 {
			asked := s.System.LocalDisks[i]
			if asked.SizeMB == 0 || asked.SizeMB > swap.SizeMB {
				asked.SizeMB = swap.SizeMB
			}
			swap = asked
		}
		disks = append(disks, swap)
	}
	for i := range disks {
		if disks[i].Device == "" {
			disks[i].Device = s.freeDevice(disks)
		}
	}
	return disks
}

// freeDevice is the first name that no disk of the server has; "" when there is none.
func (s *Server) freeDevice(local []LocalDisk) string {
	for letter := 'b'; letter <= 'z'; letter++ {
		name := "/dev/vd" + string(letter)
		if name != s.RootDevice && !slices.ContainsFunc(s.Devices, func(d BlockDevice) bool { return d.Device == name }) &&
			!slices.ContainsFunc(local, func(d LocalDisk) bool { return d.Device == name }) {
			return name
		}
	}
	return ""
}
