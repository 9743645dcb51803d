package compute

import (
	"maps"
	"slices"
	"strings"
)

// imageTraits are the properties of images that ask for a capability of the host,
// with the beginning of its trait (nova/scheduler/request_filter.py).
var imageTraits = map[string]string{
	"hw_cdrom_bus": "COMPUTE_STORAGE_BUS", "hw_disk_bus": "COMPUTE_STORAGE_BUS", "hw_video_model": "COMPUTE_GRAPHICS_MODEL",
	"hw_vif_model": "COMPUTE_NET_VIF_MODEL", "hw_architecture": "HW_ARCH", "hw_emulation_architecture": "COMPUTE_ARCH", "hw_viommu_model": "COMPUTE_VIOMMU_MODEL",
}

// ImageTrait is the trait of hosts that can do what a property of an image asks for;
// "" where a property asks for none.
func ImageTrait(property, value string) string {
	prefix := imageTraits[property]
	if prefix == "" || value == "" {
		return ""
	}
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(value, "-", "_"))
}

// ImageTraits are the traits of a host that knows these values of properties.
func ImageTraits(known map[string][]string) []string {
	var all []string
	for _, property := range slices.Sorted(maps.Keys(known)) {
		for _, value := range known[property] {
			if trait := ImageTrait(property, value); trait != "" {
				all = append(all, trait)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ImageTraitProperties are the properties that ask for a capability, in order.
func ImageTraitProperties() []string { return slices.Sorted(maps.Keys(imageTraits)) }
