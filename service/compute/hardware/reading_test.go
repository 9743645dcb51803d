package hardware

import (
	"maps"
	"testing"
)

func TestReadAll(t *testing.T) {
	type m = map[string]string
	for _, c := range []struct{ image, want m }{
		{nil, m{}},
		{m{"hw_architecture": "AMD64", "hw_vif_model": "VirtualE1000"}, m{"hw_architecture": "x86_64", "hw_vif_model": "e1000"}},
		{m{"vm_mode": "HV", "hypervisor_type": "xapi"}, m{"hw_vm_mode": "hvm", "img_hv_type": "xen"}},
		{m{"architecture": "i386", "hw_architecture": "aarch64"}, m{"hw_architecture": "aarch64"}},
		{m{"hw_boot_menu": "yes", "hw_pmu": "0", "os_require_quiesce": "perhaps"}, m{"hw_boot_menu": "True", "hw_pmu": "False", "os_require_quiesce": "False"}},
		{m{"os_distro": "Debian", "my_own": "Yes"}, m{"os_distro": "Debian", "my_own": "Yes"}},
	} {
		if got := ReadAll(c.image); !maps.Equal(got, c.want) {
			t.Errorf("%v is read as %v, want %v", c.image, got, c.want)
		}
	}
	for _, name := range truths {
		if properties[name] == nil {
			t.Errorf("%s is no property", name)
		}
	}
}
