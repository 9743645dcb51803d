package agent

import (
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

func TestConnectionsAreReadInBothForms(t *testing.T) {
	const id = "6f70656e-7374-4163-8b20-342065766572"
	for _, x := range []struct {
		info  string
		want  hypervisor.Volume
		fails bool
		kind  fault.Kind
	}{
		{`{"driver_volume_type": "iscsi", "data": {"target_portal": "10.0.0.1:3260", "target_iqn": "iqn.2010-10.org.openstack:v", "target_lun": 1,
			"auth_method": "CHAP", "auth_username": "u", "auth_password": "s", "access_mode": "ro"}}`,
			hypervisor.Volume{ID: id, Device: "/dev/vdb", Kind: "iscsi", Portal: "10.0.0.1:3260", IQN: "iqn.2010-10.org.openstack:v", LUN: 1, User: "u", Secret: "s", ReadOnly: true}, false, 0},
		{`{"driver_volume_type": "iscsi", "target_portal": "[::1]:3260", "target_iqn": "iqn.a", "target_lun": 0}`,
			hypervisor.Volume{ID: id, Device: "/dev/vdb", Kind: "iscsi", Portal: "[::1]:3260", IQN: "iqn.a"}, false, 0},
		{`{"driver_volume_type": "local", "data": {"device_path": "/dev/vg/v"}}`, hypervisor.Volume{ID: id, Device: "/dev/vdb", Kind: "file", Path: "/dev/vg/v", Format: "raw"}, false, 0},
		{`{"driver_volume_type": "nfs", "export": "192.0.2.1:/srv", "name": "volume-1", "format": "qcow2", "mount_point_base": "/mnt"}`,
			hypervisor.Volume{ID: id, Device: "/dev/vdb", Kind: "file", Path: "/mnt/c892019be91b8793b2cf12e7c4524656/volume-1", Format: "qcow2"}, false, 0},
		{`{"driver_volume_type": "nfs", "data": {"export": "192.0.2.1:/srv", "name": "../volume-1", "format": "raw"}, "mount_point_base": "/mnt"}`, hypervisor.Volume{}, true, fault.Invalid},
		{`{"driver_volume_type": "rbd", "data": {}}`, hypervisor.Volume{}, true, fault.Unsupported},
		{`{"driver_volume_type": "iscsi", "data": {}}`, hypervisor.Volume{}, true, fault.Invalid},
		{`[]`, hypervisor.Volume{}, true, fault.Unavailable},
		{``, hypervisor.Volume{}, true, fault.Conflict},
	} {
		got, err := volume(compute.BlockDevice{VolumeID: id, Device: "/dev/vdb", Connection: []byte(x.info)})
		if x.fails && fault.KindOf(err) != x.kind || !x.fails && (err != nil || got != x.want) {
			t.Errorf("%s: %+v, %v", x.info, got, err)
		}
	}
}
