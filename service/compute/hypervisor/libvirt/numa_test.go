package libvirt

import (
	"os"
	"path/filepath"
	"reflect"
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

func TestDevices(t *testing.T) {
	folder := t.TempDir()
	for address, files := range map[string]map[string]string{
		"0000:81:00.0": {"vendor": "0x8086", "device": "0x1520", "numa_node": "1", "sriov_totalvfs": "8"},
		"0000:81:00.1": {"vendor": "0x8086", "device": "0x1521", "numa_node": "1", "physfn": ""},
		"0000:02:00.0": {"vendor": "0x10de", "device": "0x1db4", "numa_node": "-1"},
	} {
		if err := os.Mkdir(filepath.Join(folder, address), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(folder, address, name), []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for text, want := range map[string][]compute.PCIDevice{
		`{"vendor_id": "10DE"}`:                                 {{Address: "0000:02:00.0", Vendor: "10de", Product: "1db4", Type: "type-PCI", Cell: -1}},
		`{"address": "*:81:00.1", "physical_network": "sriov"}`: {{Address: "0000:81:00.1", Vendor: "8086", Product: "1521", Type: "type-VF", Cell: 1, Network: "sriov"}},
		`{"vendor_id": "8086", "product_id": "1520"}`:           {{Address: "0000:81:00.0", Vendor: "8086", Product: "1520", Type: "type-PF", Cell: 1}},
		`{"vendor_id": "1234"}`:                                 nil,
	} {
		specs, err := readDeviceSpecs([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readDevices(folder, specs); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, bad := range []string{`{}`, `x`, `{"address": "["}`, `{"vendor": "8086"}`} {
		if _, err := readDeviceSpecs([]string{bad}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
