package libvirt

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

const twoCells = `<capabilities><host><topology><cells num='2'>
<cell id='0'><memory unit='KiB'>16777216</memory><pages unit='KiB' size='4'>4000000</pages><pages unit='KiB' size='2048'>512</pages>
<cpus num='2'><cpu id='0' socket_id='0' core_id='0' siblings='0,2'/><cpu id='2' socket_id='0' core_id='0' siblings='0,2'/></cpus></cell>
<cell id='1'><memory unit='KiB'>8388608</memory><cpus num='2'><cpu id='1' socket_id='1' core_id='0' siblings='1'/><cpu id='3' socket_id='1' core_id='1' siblings='3'/></cpus></cell>
</cells></topology></host></capabilities>`

func TestCells(t *testing.T) {
	c, err := parseCapabilities(twoCells)
	if err != nil {
		t.Fatal(err)
	}
	pages := []compute.PagePool{{SizeKB: 4, Total: 4000000}, {SizeKB: 2048, Total: 512}}
	core := [][]int{{0, 2}}
	for _, tt := range []struct {
		shared, dedicated string
		want              []compute.NUMACell
	}{
		{"", "", []compute.NUMACell{{ID: 0, Socket: new(0), Shared: []int{0, 2}, Siblings: core, MemoryMB: 16384, Pages: pages}, {ID: 1, Socket: new(1), Shared: []int{1, 3}, MemoryMB: 8192}}},
		{"0-1", "2-3", []compute.NUMACell{{ID: 0, Socket: new(0), Shared: []int{0}, Dedicated: []int{2}, Siblings: core, MemoryMB: 16384, Pages: pages},
			{ID: 1, Socket: new(1), Shared: []int{1}, Dedicated: []int{3}, MemoryMB: 8192}}},
		{"", "3", []compute.NUMACell{{ID: 0, Socket: new(0), Siblings: core, MemoryMB: 16384, Pages: pages}, {ID: 1, Socket: new(1), Dedicated: []int{3}, MemoryMB: 8192}}},
	} {
		sets, err := readCPUSets(Config{SharedSet: tt.shared, DedicatedSet: tt.dedicated})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.cells(sets)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("shared %q, dedicated %q: %+v, %v\nwant %+v", tt.shared, tt.dedicated, got, err, tt.want)
		}
	}
	if _, err := readCPUSets(Config{SharedSet: "0-3", DedicatedSet: "3"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a processor in both sets: %v", err)
	}
}

// TestDevices: which of a host's devices are given away, and what is said of them.
func TestDevices(t *testing.T) {
	folder := t.TempDir()
	const vpd = "\x82\x05\x00Model\x90\x11\x00PN\x03123SN\x08AB12\x00\x00\x00\x00\x78"
	for address, files := range map[string]map[string]string{
		"0000:81:00.0": {"vendor": "0x8086", "device": "0x1520", "numa_node": "1", "sriov_totalvfs": "8", "vpd": vpd, "net/ens1f0": ""},
		"0000:81:00.1": {"vendor": "0x8086", "device": "0x1521", "numa_node": "1"},
		"0000:81:00.2": {"vendor": "0x8086", "device": "0x1521", "numa_node": "1", "vdpa3/x": ""},
		"0000:02:00.0": {"vendor": "0x10de", "device": "0x1db4", "numa_node": "-1"},
	} {
		for name, text := range files {
			file := filepath.Join(folder, address, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if name != "vpd" {
				text += "\n"
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, vf := range []string{"0000:81:00.1", "0000:81:00.2"} {
		if err := os.Symlink("../0000:81:00.0", filepath.Join(folder, vf, "physfn")); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		`{"vendor_id": "10DE"}`:                                 "[0000:02:00.0 type-PCI  -1]",
		`{"address": "*:81:00.1", "physical_network": "sriov"}`: "[0000:81:00.1 type-VF 0000:81:00.0 1]",
		`{"address": "0000:81:00.0", "product_id": "1521"}`:     "[0000:81:00.1 type-VF 0000:81:00.0 1] [0000:81:00.2 type-VDPA 0000:81:00.0 1]",
		`{"vendor_id": "8086", "product_id": "1520"}`:           "[0000:81:00.0 type-PF  1]",
		`{"devname": "ens1f0", "product_id": "1521"}`:           "[0000:81:00.1 type-VF 0000:81:00.0 1] [0000:81:00.2 type-VDPA 0000:81:00.0 1]",
		`{"devname": "ens9"}`:                                   "",
		`{"vendor_id": "8086", "remote_managed": "true"}`:       "[0000:81:00.1 type-VF 0000:81:00.0 1 AB12] [0000:81:00.2 type-VDPA 0000:81:00.0 1 AB12]",
		`{"vendor_id": "10de", "remote_managed": "true"}`:       "",
		`[{"vendor_id": "10de"}, {"product_id": "1520"}]`:       "[0000:02:00.0 type-PCI  -1] [0000:81:00.0 type-PF  1]",
		`{"address": {"bus": "0[12]"}}`:                         "[0000:02:00.0 type-PCI  -1]",
		`{"vendor_id": "1234"}`:                                 "",
	} {
		got, err := pciDevices(folder, []string{text}, false)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, d := range got {
			all = append(all, strings.TrimSuffix(fmt.Sprintf("[%s %s %s %d %s", d.Address, d.Type, d.Parent, d.Cell, d.Serial), " ")+"]")
		}
		if now := strings.Join(all, " "); now != want {
			t.Errorf("%s: %s; want %s", text, now, want)
		}
	}
	for _, asked := range []bool{false, true} { // reading it takes some cards seconds, and upsets others
		if d := readDevice(filepath.Join(folder, "0000:81:00.0"), "0000:81:00.0", asked); (d.Serial == "AB12") != asked {
			t.Errorf("its serial number, asked for %v: %q", asked, d.Serial)
		}
	}
	if _, err := pciDevices(folder, []string{`{"vendor_id": "8086"}`}, true); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "0000:81:00.0") {
		t.Errorf("a physical function beside its virtual ones in Placement: %v", err)
	}
}

// TestDeviceOfTheOperators: a device that the operator takes off the host's driver
// is left to them by libvirt.
func TestDeviceOfTheOperators(t *testing.T) {
	for unmanaged, want := range map[bool]string{false: "yes", true: "no"} {
		if h, err := hostdevOf(compute.HeldDevice{Address: "0000:81:00.1", Unmanaged: unmanaged}); err != nil || h.Managed != want {
			t.Errorf("unmanaged %v: %+v, %v", unmanaged, h, err)
		}
	}
}
