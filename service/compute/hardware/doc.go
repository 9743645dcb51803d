// Package hardware knows what flavors and images may ask of a guest's hardware:
// the flavor's extra specs, the image's properties, and which of them go together.
// Names, values and rules are upstream's (nova/api/validation/extra_specs,
// nova/objects/image_meta.py, nova/virt/hardware.py).
//
// It is pure: texts in, a fault.Invalid that names the setting out, or the topology
// that is asked for. What a host has of that, and where it fits, is the business of
// package schedule.
package hardware
