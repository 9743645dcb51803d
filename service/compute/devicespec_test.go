package compute

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/fault"
)

// TestDeviceSpecs: which of a card's functions a specification names.
func TestDeviceSpecs(t *testing.T) {
	card := []PCIDevice{{Address: "0000:0a:00.0", Vendor: "8086", Product: "1520", Type: DevicePF, Interface: "eth0"}}
	for i := 1; i < 4; i++ {
		card = append(card, PCIDevice{Address: fmt.Sprintf("0000:0a:00.%d", i), Parent: "0000:0a:00.0", Vendor: "8086", Product: "1521", Type: DeviceVF})
	}
	card = append(card, PCIDevice{Address: "0001:1f:0a.0", Vendor: "10de", Product: "1db4", Type: DevicePCI})
	for text, want := range map[string]string{
		`{"vendor_id": "8086"}`:                                            "a0 a1 a2 a3",
		`{"vendor_id": "*", "product_id": "0x1521"}`:                       "a1 a2 a3",
		`{"address": "*:0a:00.*"}`:                                         "a0 a1 a2 a3",
		`{"address": ":0a:00."}`:                                           "a0 a1 a2 a3",
		`{"address": "0a:00.2"}`:                                           "a2",
		`{"address": "*:*:*.3"}`:                                           "a3",
		`{"address": "0000:0a:00.0"}`:                                      "a0 a1 a2 a3",
		`{"address": "0000:0a:00.0", "product_id": "1520"}`:                "a0",
		`{"address": {"bus": "0a", "function": "[2-7]"}}`:                  "a2 a3",
		`{"address": {"domain": "000", "slot": ".*", "function": "0"}}`:    "a0 a4",
		`{"devname": "eth0"}`:                                              "a0 a1 a2 a3",
		`{"devname": "eth1"}`:                                              "",
		`[{"product_id": "1db4"}, {"product_id": "1520"}]`:                 "a0 a4",
		`{"vendor_id": "8086", "physical_network": null, "managed": "no"}`: "a0 a1 a2 a3",
	} {
		specs, err := ReadDeviceSpecs([]string{text}, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, d := range AllowDevices(card, specs) {
			got = append(got, fmt.Sprint("a", slices.IndexFunc(card, func(x PCIDevice) bool { return x.Address == d.Address })))
		}
		if now := strings.Join(got, " "); now != want {
			t.Errorf("%s: %s, want %s", text, now, want)
		}
	}
}

// TestDeviceSpecSays: what a specification says of its devices.
func TestDeviceSpecSays(t *testing.T) {
	specs, err := ReadDeviceSpecs([]string{`{"vendor_id": "10de", "resource_class": "gpu", "traits": "blue, big,blue", "live_migratable": "Yes", "managed": false, "one_time_use": true, "trusted": "true"}`,
		`{"vendor_id": "10de", "product_id": "1db4", "resource_class": "other"}`}, true)
	if err != nil {
		t.Fatal(err)
	}
	got := AllowDevices([]PCIDevice{{Address: "0000:01:00.0", Vendor: "10de", Product: "1db4", Type: DevicePCI}}, specs)
	if len(got) != 1 {
		t.Fatal(got)
	}
	d := got[0]
	if d.Class != "gpu" || fmt.Sprint(d.Traits) != "[big blue]" || !isTrue(d.Migratable) || !d.Unmanaged || !d.OneTime || !d.Trusted || d.Remote {
		t.Errorf("%+v", d)
	}
}

// TestBadDeviceSpecs: what is refused, and what the refusal names.
func TestBadDeviceSpecs(t *testing.T) {
	for text, says := range map[string]string{
		`x`:                                         "cannot be read",
		`{}`:                                        "all devices of the host",
		`{"vendor": "8086"}`:                        `"vendor"`,
		`{"vendor_id": "8086"} {}`:                  "more after",
		`{"vendor_id": "Intel"}`:                    "vendor_id",
		`{"product_id": "12345"}`:                   "product_id",
		`{"address": "["}`:                          "slot",
		`{"address": "1:0000:0a:00.1"}`:             "more parts",
		`{"address": "0a:20.1"}`:                    "more than 1F",
		`{"address": "0a:00.8"}`:                    "more than 7",
		`{"address": 5}`:                            "neither a text nor an object",
		`{"address": {"bus": "("}}`:                 "regular expression",
		`{"address": {"box": "0a"}}`:                `"box"`,
		`{"address": "0a:00.1", "devname": "eth0"}`: "both devname and address",
		`{"vendor_id": "8086", "live_migratable": "soon"}`: `"soon"`,
		`{"vendor_id": "8086", "one_time_use": true}`:      "report_in_placement",
		`{"vendor_id": "8086"}}`:                           "more after",

		`{"vendor_id": "8086", "resource_class": "` + strings.Repeat("c", 249) + `"}`: "resource_class",
		`{"vendor_id": "8086", "traits": "a,` + strings.Repeat("t", 249) + `"}`:       "traits",
	} {
		if _, err := ReadDeviceSpecs([]string{text}, false); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "[pci] device_spec") {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
	for text, says := range map[string]string{
		`{"devname": "eth0"}`: "devname",
		`{"vendor_id": "8086", "one_time_use": true, "physical_network": "a"}`: "physical_network",
	} {
		if _, err := ReadDeviceSpecs([]string{text}, true); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("in Placement, %s: %v, want %q", text, err, says)
		}
	}
}

// TestCheckDevices: which devices cannot stand in Placement together.
func TestCheckDevices(t *testing.T) {
	pf := PCIDevice{Address: "0000:0a:00.0", Vendor: "8086", Product: "1520", Type: DevicePF}
	vf := func(n int, f func(*PCIDevice)) PCIDevice {
		d := PCIDevice{Address: fmt.Sprintf("0000:0a:00.%d", n), Parent: pf.Address, Vendor: "8086", Product: "1521", Type: DeviceVF}
		if f != nil {
			f(&d)
		}
		return d
	}
	for name, x := range map[string]struct {
		devices []PCIDevice
		says    string // "" nothing is wrong
	}{
		"alike":              {[]PCIDevice{vf(1, nil), vf(2, nil)}, ""},
		"a PF alone":         {[]PCIDevice{pf}, ""},
		"a PF and its VF":    {[]PCIDevice{pf, vf(1, nil)}, "only either"},
		"a VF and its PF":    {[]PCIDevice{vf(1, nil), pf}, "only either"},
		"a VF for ports":     {[]PCIDevice{pf, vf(1, func(d *PCIDevice) { d.Network = "physnet" })}, ""},
		"classes":            {[]PCIDevice{vf(1, nil), vf(2, func(d *PCIDevice) { d.Class = "GPU" })}, "resource classes"},
		"one class":          {[]PCIDevice{vf(1, func(d *PCIDevice) { d.Class = "gpu" }), vf(2, func(d *PCIDevice) { d.Class = "GPU" })}, ""},
		"products":           {[]PCIDevice{vf(1, nil), vf(2, func(d *PCIDevice) { d.Product = "1522" })}, "resource classes"},
		"traits":             {[]PCIDevice{vf(1, nil), vf(2, func(d *PCIDevice) { d.Traits = []string{"BLUE"} })}, "different traits"},
		"migratable":         {[]PCIDevice{vf(1, nil), vf(2, func(d *PCIDevice) { d.Migratable = new(true) })}, "different traits"},
		"migratable or not":  {[]PCIDevice{vf(1, nil), vf(2, func(d *PCIDevice) { d.Migratable = new(false) })}, ""},
		"one time":           {[]PCIDevice{vf(1, func(d *PCIDevice) { d.OneTime = true })}, "one_time_use"},
		"one time, whole":    {[]PCIDevice{func() PCIDevice { d := pf; d.OneTime = true; return d }()}, ""},
		"a VF without a PF":  {[]PCIDevice{vf(1, func(d *PCIDevice) { d.Parent = "" })}, "physical function"},
		"several, unrelated": {[]PCIDevice{pf, {Address: "0000:01:00.0", Type: DevicePCI}}, ""},
	} {
		err := CheckDevices(x.devices)
		if x.says == "" && err != nil || x.says != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), x.says)) {
			t.Errorf("%s: %v, want %q", name, err, x.says)
		}
	}
}
