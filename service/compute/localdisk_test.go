package compute

import (
	"reflect"
	"testing"
)

func TestLocalDisks(t *testing.T) {
	flavor := Flavor{EphemeralGB: 10, SwapMB: 512}
	for _, tt := range []struct {
		name    string
		flavor  Flavor
		asked   []LocalDisk
		volumes []BlockDevice
		want    []LocalDisk
	}{
		{"no room", Flavor{RootGB: 5}, nil, nil, nil},
		{"the flavor's", flavor, nil, nil, []LocalDisk{{SizeMB: 10240, Device: "/dev/vdb"}, {Swap: true, SizeMB: 512, Device: "/dev/vdc"}}},
		{"beside volumes", flavor, nil, []BlockDevice{{Device: "/dev/vdb"}}, []LocalDisk{{SizeMB: 10240, Device: "/dev/vdc"}, {Swap: true, SizeMB: 512, Device: "/dev/vdd"}}},
		{"as asked", flavor, []LocalDisk{{Swap: true, SizeMB: 256, Device: "/dev/vdb"}, {SizeMB: 2048}, {SizeMB: 4096, Format: "xfs", Tag: "fast"}}, nil,
			[]LocalDisk{{SizeMB: 2048, Device: "/dev/vdc"}, {SizeMB: 4096, Format: "xfs", Device: "/dev/vdd", Tag: "fast"}, {Swap: true, SizeMB: 256, Device: "/dev/vdb"}}},
		{"swap of a smaller flavor", Flavor{SwapMB: 128}, []LocalDisk{{Swap: true, SizeMB: 256}}, nil, []LocalDisk{{Swap: true, SizeMB: 128, Device: "/dev/vdb"}}},
		{"a flavor without", Flavor{}, []LocalDisk{{Swap: true, SizeMB: 256}, {}}, nil, nil},
	} {
		s := &Server{RootDevice: "/dev/vda", Flavor: tt.flavor, Devices: tt.volumes, System: System{LocalDisks: tt.asked}}
		if got := s.LocalDisks(); !reflect.DeepEqual(got, tt.want) && len(got)+len(tt.want) > 0 {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
