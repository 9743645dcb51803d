package control

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hardware"
	"kilonova/service/compute/schedule"
)

// aliasSpec is the extra spec that asks for PCI devices.
const aliasSpec = schedule.AliasSpec

// PCIOptions are section [pci].
type PCIOptions struct {
	// Alias gives names to kinds of devices, each a JSON object with name,
	// vendor_id, product_id, device_type, numa_policy, live_migratable and, with
	// [filter_scheduler] pci_in_placement, resource_class and traits. Several of one
	// name are alternatives, which Placement does not know.
	Alias []string `toml:"alias"`
}

// alias is one of them.
type alias struct {
	Name       string `json:"name"`
	Vendor     string `json:"vendor_id"`
	Product    string `json:"product_id"`
	Type       string `json:"device_type"`
	NUMAPolicy string `json:"numa_policy"`
	Capability string `json:"capability_type"`
	Class      string `json:"resource_class"`
	Traits     string `json:"traits"`
	Migratable string `json:"live_migratable"`
}

var idPattern = regexp.MustCompile(`^[0-9a-fA-F]{4}$`)

// aliasesOf reads the configured aliases, by name. inPlacement is whether devices
// are asked for in Placement, which wants one resource class of each.
func aliasesOf(o PCIOptions, inPlacement bool) (map[string][]alias, error) {
	all := map[string][]alias{}
	for _, text := range o.Alias {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		var a alias
		if err := decoder.Decode(&a); err != nil {
			return nil, fault.New(fault.Invalid, "[pci] alias %q cannot be read: %w", text, err)
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return nil, fault.Invalidf("[pci] alias %q has more after the object.", text)
		}
		if a.Name = strings.TrimSpace(a.Name); a.Name == "" {
			return nil, fault.Invalidf("[pci] alias %q has no name.", text)
		}
		if err := a.check(inPlacement); err != nil {
			return nil, fault.New(fault.Invalid, "[pci] alias %s: %w", a.Name, err)
		}
		if before := all[a.Name]; len(before) > 0 {
			switch {
			case inPlacement:
				return nil, fault.Invalidf("[pci] alias %s is there more than once, which [filter_scheduler] pci_in_placement does not allow: give the devices one resource_class in device_spec, and ask for that.", a.Name)
			case before[0].policy() != a.policy():
				return nil, fault.Invalidf("[pci] alias %s is there with the NUMA policies %s and %s.", a.Name, before[0].policy(), a.policy())
			case before[0].Type != a.Type:
				return nil, fault.Invalidf("[pci] alias %s is there with the device types %q and %q.", a.Name, before[0].Type, a.Type)
			}
		}
		all[a.Name] = append(all[a.Name], a)
	}
	return all, nil
}

// check refuses what upstream refuses (nova/pci/request.py), and brings the rest to
// one form.
func (a *alias) check(inPlacement bool) error {
	for name, id := range map[string]*string{"vendor_id": &a.Vendor, "product_id": &a.Product} {
		if *id != "" && !idPattern.MatchString(*id) {
			return fault.Invalidf("the %s %.64q is not of four hexadecimal digits.", name, *id)
		}
		*id = strings.ToLower(*id)
	}
	named := a.Vendor != "" && a.Product != ""
	switch {
	case len(a.Name) > 256:
		return fault.Invalidf("the name is longer than 256 characters.")
	case a.Capability != "" && a.Capability != "pci":
		return fault.Invalidf("the capability_type %.64q is not pci.", a.Capability)
	case a.Type != "" && !slices.Contains([]string{compute.DevicePCI, compute.DevicePF, compute.DeviceVF}, a.Type):
		return fault.Invalidf("the device_type %.64q is not type-PCI, type-PF or type-VF.", a.Type)
	case a.NUMAPolicy != "" && !slices.Contains([]string{"required", "preferred", "legacy", "socket"}, a.NUMAPolicy):
		return fault.Invalidf("the numa_policy %.64q is not required, preferred, legacy or socket.", a.NUMAPolicy)
	case !named && !inPlacement:
		return fault.Invalidf("it needs both vendor_id and product_id.")
	case !named && a.Class == "":
		return fault.Invalidf("it needs vendor_id and product_id, or resource_class.")
	}
	if a.Migratable != "" {
		yes, ok := compute.Truth(a.Migratable)
		if !ok {
			return fault.Invalidf("live_migratable is %.64q, which is neither yes nor no.", a.Migratable)
		}
		a.Migratable = strconv.FormatBool(yes)
	}
	if long := hardware.TooLongForPlacement(append(a.traits(), a.class())...); long != "" {
		return fault.Invalidf("the name %.64s... is too long for Placement.", long)
	}
	return nil
}

// policy is how near to the guest's NUMA nodes the devices have to be.
func (a *alias) policy() string {
	if a.NUMAPolicy == "" {
		return "legacy"
	}
	return a.NUMAPolicy
}

// class is what the devices are in Placement.
func (a *alias) class() string { return hardware.DeviceClass(a.Class, a.Vendor, a.Product) }

// traits are those that who has them must have there.
func (a *alias) traits() []string { return hardware.DeviceTraits(strings.Split(a.Traits, ",")) }

// tags are what a device must be for an alias.
func (a *alias) tags() map[string]string {
	tags := map[string]string{}
	for name, value := range map[string]string{"vendor_id": a.Vendor, "product_id": a.Product, "dev_type": a.Type, "live_migratable": a.Migratable} {
		if value != "" {
			tags[name] = value
		}
	}
	return tags
}

// deviceRequests reads what PCI devices a server asks for by its flavor; an alias
// that is not defined is fault.Invalid.
func (c *Control) deviceRequests(s *compute.Server) ([]schedule.PCIRequest, error) {
	all, err := schedule.AskedDevices(flavorOf(s))
	total := 0
	for i := range all {
		r := &all[i]
		aliases := c.aliases[r.Alias]
		if len(aliases) == 0 {
			return nil, fault.Invalidf("PCI alias %s is not defined", r.Alias)
		}
		if r.Policy = either(s, "pci_numa_affinity_policy"); r.Policy == "" {
			r.Policy = aliases[0].policy()
		}
		for k := range aliases {
			r.Alternatives = append(r.Alternatives, aliases[k].tags())
		}
		if !c.Options.Scheduler.Filter.PCIInPlacement {
			continue
		}
		r.Class, r.Traits = aliases[0].class(), aliases[0].traits()
		if total += r.Count; total > maxPlaced {
			return nil, fault.Invalidf("%s %.64q asks for more than %d devices, which is the most with [filter_scheduler] pci_in_placement.", aliasSpec, s.Flavor.ExtraSpecs[aliasSpec], maxPlaced)
		}
	}
	return all, err
}

// allMigratable reports whether each device that a server asks for is to be one that
// can be exchanged for its like while the guest runs.
func (c *Control) allMigratable(s *compute.Server) bool {
	requests, err := c.deviceRequests(s)
	return err == nil && !slices.ContainsFunc(requests, func(r schedule.PCIRequest) bool {
		return slices.ContainsFunc(r.Alternatives, func(tags map[string]string) bool { return tags["live_migratable"] != "true" })
	})
}
