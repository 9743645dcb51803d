package compute

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
)

// maxDeviceSpecs bounds how many specifications a host may have, maxDeviceName the
// names in them: Placement has 255 bytes for each, and puts CUSTOM_ before it.
const (
	maxDeviceSpecs = 1024
	maxDeviceName  = 255 - len("CUSTOM_")
)

// DeviceSpec is one element of [pci] device_spec: which devices of a host guests may
// have, and what is said of them (nova/pci/devspec.py). The zero value matches all.
type DeviceSpec struct {
	vendor, product string // "" any
	interfaceName   string
	address         addressSpec
	tags            PCIDevice // what is said of the devices
}

// deviceSpecText is one as it is written. Booleans may be texts.
type deviceSpecText struct {
	Address        json.RawMessage `json:"address"`
	Interface      *string         `json:"devname"`
	Vendor         *string         `json:"vendor_id"`
	Product        *string         `json:"product_id"`
	Network        *string         `json:"physical_network"`
	Class          *string         `json:"resource_class"`
	Traits         *string         `json:"traits"`
	Managed        *flag           `json:"managed"`
	Migratable     *flag           `json:"live_migratable"`
	RemoteManaged  *flag           `json:"remote_managed"`
	Trusted        *flag           `json:"trusted"`
	OneTimeUse     *flag           `json:"one_time_use"`
	CapabilityType *string         `json:"capability_type"` // which old files have; there was only "pci"
}

// flag is a truth, or a text that stands for one.
type flag bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		text = string(data)
	}
	v, ok := Truth(text)
	if !ok {
		return fmt.Errorf("%.64q is neither yes nor no", text)
	}
	*f = flag(v)
	return nil
}

// ReadDeviceSpecs reads [pci] device_spec: each element a JSON object or a list of
// such. inPlacement is whether the devices are to be told to Placement, which needs
// more of them. Whatever is wrong is fault.Invalid.
func ReadDeviceSpecs(texts []string, inPlacement bool) ([]DeviceSpec, error) {
	var all []DeviceSpec
	for _, text := range texts {
		objects := []json.RawMessage{json.RawMessage(text)}
		if strings.HasPrefix(strings.TrimSpace(text), "[") {
			objects = nil
			if err := json.Unmarshal([]byte(text), &objects); err != nil {
				return nil, fault.New(fault.Invalid, "[pci] device_spec %q cannot be read: %w", text, err)
			}
		}
		for _, object := range objects {
			s, err := readDeviceSpec(object, inPlacement)
			if err != nil {
				return nil, fault.New(fault.Invalid, "[pci] device_spec %.255q: %w", object, err)
			}
			if all = append(all, s); len(all) > maxDeviceSpecs {
				return nil, fault.Invalidf("[pci] device_spec has more than %d elements.", maxDeviceSpecs)
			}
		}
	}
	return all, nil
}

func readDeviceSpec(text []byte, inPlacement bool) (DeviceSpec, error) {
	var s DeviceSpec
	var in deviceSpecText
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return s, fault.New(fault.Invalid, "it cannot be read: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return s, fault.Invalidf("there is more after the object.")
	}
	var err error
	if s.vendor, err = deviceID("vendor_id", in.Vendor); err != nil {
		return s, err
	}
	if s.product, err = deviceID("product_id", in.Product); err != nil {
		return s, err
	}
	if s.address, err = readAddressSpec(in.Address); err != nil {
		return s, err
	}
	s.interfaceName = told(in.Interface)
	switch {
	case s.interfaceName != "" && s.address != nil:
		return s, fault.Invalidf("it has both devname and address, and there can be only one of them.")
	case s.interfaceName != "" && inPlacement:
		return s, fault.Invalidf("devices that are named by their interface (devname) cannot be told to Placement, for such names change; use the address, or set [pci] report_in_placement to false.")
	case s.interfaceName == "" && s.address == nil && s.vendor == "" && s.product == "":
		return s, fault.Invalidf("it names no address, interface, vendor or product, and would give all devices of the host away.")
	case told(in.CapabilityType) != "" && told(in.CapabilityType) != "pci":
		return s, fault.Invalidf("its capability_type is %.64q; there is only pci.", *in.CapabilityType)
	}
	t := &s.tags
	if t.Network, t.Class = told(in.Network), strings.TrimSpace(told(in.Class)); len(t.Class) > maxDeviceName {
		return s, fault.Invalidf("its resource_class %.64s... is longer than %d bytes.", t.Class, maxDeviceName)
	}
	for trait := range strings.SplitSeq(told(in.Traits), ",") {
		if trait = strings.TrimSpace(trait); len(trait) > maxDeviceName {
			return s, fault.Invalidf("its traits have %.64s..., which is longer than %d bytes.", trait, maxDeviceName)
		} else if trait != "" {
			t.Traits = append(t.Traits, trait)
		}
	}
	slices.Sort(t.Traits)
	t.Traits = slices.Compact(t.Traits)
	t.Migratable = (*bool)(in.Migratable)
	t.Unmanaged = in.Managed != nil && !bool(*in.Managed)
	t.Remote, t.Trusted, t.OneTime = isTrue((*bool)(in.RemoteManaged)), isTrue((*bool)(in.Trusted)), isTrue((*bool)(in.OneTimeUse))
	if t.OneTime && (!inPlacement || t.Network != "") {
		return s, fault.Invalidf("one_time_use needs [pci] report_in_placement, and no physical_network: it is there that a device is kept back.")
	}
	return s, nil
}

func told(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// deviceID reads a vendor's or a product's number; "" and "*" are any.
func deviceID(name string, text *string) (string, error) {
	id := strings.TrimSpace(told(text))
	if id == "" || id == "*" {
		return "", nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(id), "0x"), 16, 16)
	if err != nil {
		return "", fault.Invalidf("its %s is %.64q, which is no hexadecimal number up to FFFF.", name, id)
	}
	return fmt.Sprintf("%04x", n), nil
}

// AllowDevices returns those of a host's devices that a specification names, each
// with what the first such one says of it.
func AllowDevices(all []PCIDevice, specs []DeviceSpec) []PCIDevice {
	interfaces := map[string]string{}
	for i := range all {
		if all[i].Interface != "" {
			interfaces[all[i].Interface] = all[i].Address
		}
	}
	var allowed []PCIDevice
	for _, d := range all {
		for i := range specs {
			if s := &specs[i]; s.matches(&d, interfaces) {
				t := &s.tags
				d.Network, d.Class, d.Traits, d.Migratable = t.Network, t.Class, t.Traits, t.Migratable
				d.Unmanaged, d.Trusted, d.Remote, d.OneTime = t.Unmanaged, t.Trusted, t.Remote, t.OneTime
				if !d.Remote {
					d.Serial = ""
				}
				allowed = append(allowed, d)
				break
			}
		}
	}
	return allowed
}

// AsksSerial reports whether it names no device without PCIDevice.Serial.
func (s *DeviceSpec) AsksSerial() bool { return s.tags.Remote }

func (s *DeviceSpec) matches(d *PCIDevice, interfaces map[string]string) bool {
	if s.vendor != "" && s.vendor != d.Vendor || s.product != "" && s.product != d.Product {
		return false
	}
	if s.AsksSerial() && (d.Serial == "" || d.Type == DevicePF) {
		return false // nobody could say which card is meant; and what programs it is its physical function
	}
	if s.interfaceName != "" {
		named := interfaces[s.interfaceName]
		return named != "" && (named == d.Address || named == d.Parent)
	}
	if s.address == nil || s.address.matches(d.Address) {
		return true
	}
	// The address of one physical function stands for its virtual ones, too.
	return d.Parent != "" && s.address.single() && s.address.matches(d.Parent)
}

// addressSpec is which addresses are meant: domain, bus, slot and function. nil: any.
type addressSpec []partSpec

// partSpec is a part of it: a number, an expression, or any if both are empty.
type partSpec struct {
	text string
	expr *regexp.Regexp
}

// addressParts are the parts of an address, with how they are written and the
// largest value.
var addressParts = []struct {
	name, format string
	most         uint64
}{{"domain", "%04x", 0xffff}, {"bus", "%02x", 0xff}, {"slot", "%02x", 0x1f}, {"function", "%01x", 7}}

// single reports whether one address is meant.
func (s addressSpec) single() bool {
	return !slices.ContainsFunc(s, func(p partSpec) bool { return p.text == "" })
}

func (s addressSpec) matches(address string) bool {
	parts := strings.FieldsFunc(address, func(r rune) bool { return r == ':' || r == '.' })
	if len(parts) != len(s) {
		return false
	}
	for i, p := range s {
		if p.text != "" && p.text != parts[i] || p.expr != nil && !p.expr.MatchString(parts[i]) {
			return false
		}
	}
	return true
}

// readAddressSpec reads "0000:0a:00.1" with "*" for any part, from the left or the
// right end, or an object with a regular expression for each part.
func readAddressSpec(text json.RawMessage) (addressSpec, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	var glob string
	if json.Unmarshal(text, &glob) == nil {
		return readAddressGlob(glob)
	}
	exprs := map[string]string{}
	if err := json.Unmarshal(text, &exprs); err != nil {
		return nil, fault.Invalidf("its address is neither a text nor an object of texts.")
	}
	s := make(addressSpec, len(addressParts))
	for i, part := range addressParts {
		expr, ok := exprs[part.name]
		if delete(exprs, part.name); !ok {
			continue
		}
		var err error
		if s[i].expr, err = regexp.Compile("^(?:" + expr + ")"); err != nil { // as Python's match: from the beginning, not to the end
			return nil, fault.New(fault.Invalid, "the %s of its address is no regular expression: %w", part.name, err)
		}
	}
	for name := range exprs {
		return nil, fault.Invalidf("its address has %.64q, and addresses have domain, bus, slot and function.", name)
	}
	return s, nil
}

func readAddressGlob(glob string) (addressSpec, error) {
	s := make(addressSpec, len(addressParts))
	if strings.TrimSpace(glob) == "" {
		return nil, nil
	}
	front, function, _ := strings.Cut(glob, ".")
	parts := strings.Split(front, ":")
	if len(parts) > 3 {
		return nil, fault.Invalidf("its address %.64q has more parts than domain:bus:slot.function.", glob)
	}
	for len(parts) < 3 {
		parts = slices.Insert(parts, 0, "*")
	}
	for i, text := range append(parts, function) {
		text = strings.TrimSpace(text)
		if text == "" || text == "*" {
			continue
		}
		part := addressParts[i]
		n, err := strconv.ParseUint(text, 16, 32)
		if err != nil {
			return nil, fault.Invalidf("the %s of its address %.64q is neither a hexadecimal number nor *.", part.name, glob)
		}
		if n > part.most {
			return nil, fault.Invalidf("the %s of its address %.64q is more than %X.", part.name, glob, part.most)
		}
		s[i].text = fmt.Sprintf(part.format, n)
	}
	return s, nil
}
