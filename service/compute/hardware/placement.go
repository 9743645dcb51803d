package hardware

import (
	"regexp"
	"slices"
	"strings"
)

// maxPlacementName bounds the names of resource classes and traits.
const maxPlacementName = 255

// notInNames are the characters that no name in Placement has.
var notInNames = regexp.MustCompile(`[^A-Z0-9_]+`)

// CustomName is how Placement has an operator's own name (normalize_name of os-traits
// and os-resource-classes).
func CustomName(name string) string {
	if name = strings.ToUpper(name); !strings.HasPrefix(name, "CUSTOM_") {
		name = "CUSTOM_" + name
	}
	return notInNames.ReplaceAllString(name, "_")
}

// IsResourceClass reports whether a name is that of a resource class, a standard one or
// an operator's own.
func IsResourceClass(name string) bool {
	return strings.HasPrefix(name, "CUSTOM_") || slices.Contains(resourceClasses, name)
}

// DeviceClass is the resource class of PCI devices: what the operator calls them, as
// Placement has it, or by vendor and product.
func DeviceClass(name, vendor, product string) string {
	if name == "" {
		return strings.ToUpper("CUSTOM_PCI_" + vendor + "_" + product)
	}
	if upper := strings.ToUpper(name); slices.Contains(resourceClasses, upper) {
		return upper
	}
	return CustomName(name)
}

// DeviceTraits are an operator's names of traits as Placement has them, in order and
// each once. Standard ones stay what they are.
func DeviceTraits(names []string) []string {
	var all []string
	for _, name := range names {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if !standard()[name] {
			name = CustomName(name)
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TooLongForPlacement returns the first of the names that is, "" if none is.
func TooLongForPlacement(names ...string) string {
	i := slices.IndexFunc(names, func(n string) bool { return len(n) > maxPlacementName })
	if i < 0 {
		return ""
	}
	return names[i]
}
