package hardware

import (
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// Flavor and Image are what of the two matters here.
type (
	Flavor struct {
		Name            string
		VCPUs, MemoryMB int
		ExtraSpecs      map[string]string
	}
	Image struct {
		ID, Name   string
		Properties map[string]string
	}
)

// Check refuses a flavor and an image that ask for what cannot be, or for what
// contradicts each other.
func Check(f Flavor, i Image) error {
	if err := checkProperties(i.Properties); err != nil {
		return err
	}
	a := &asked{flavor: f, image: i}
	a.memoryEncryption()
	a.sameTruth("pmu")
	if f.VCPUs >= 2 {
		a.sameTruth("vif_multiqueue_enabled")
	}
	a.sameTruth("ephemeral_encryption")
	a.sameTruth("virtio_packed_ring")
	a.tpm()
	a.secureBoot()
	a.unique("maxphysaddr_mode", "hw", enum("passthrough", "emulate"))
	a.unique("ephemeral_encryption_format", "hw", enum("plain", "luks", "luksv2"))
	a.serialPorts()
	a.topology()
	a.pciAffinity()
	a.numa()
	return a.err
}

// asked reads settings of flavor and image, and remembers the first mistake.
type asked struct {
	flavor Flavor
	image  Image
	err    error
}

func (a *asked) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fault.Invalidf(format, args...)
	}
}

// both returns hw:key of the flavor and hw_key of the image.
func (a *asked) both(key string) (flavor, image string) {
	return a.flavor.ExtraSpecs["hw:"+key], a.image.Properties["hw_"+key]
}

// number reads a setting that is a whole number; 0 when it is absent.
func (a *asked) number(where, text string) int {
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		a.fail("%s is %.64q, which is no whole number.", where, text)
	}
	return n
}

// truths reads a setting that both may have; nil is absent.
func (a *asked) truths(key string) (flavor, image *bool) {
	read := func(all map[string]string, name string) *bool {
		text, ok := all[name]
		if !ok {
			return nil
		}
		v := compute.Yes(text)
		return &v
	}
	return read(a.flavor.ExtraSpecs, "hw:"+key), read(a.image.Properties, "hw_"+key)
}

// sameTruth is for settings of which flavor and image may not say the opposite.
// It returns what they say.
func (a *asked) sameTruth(key string) bool {
	flavor, image := a.truths(key)
	if flavor != nil && image != nil && *flavor != *image {
		a.fail("Flavor %s has hw:%s explicitly set to %t, conflicting with image %s which has hw_%s explicitly set to %t.",
			a.flavor.Name, key, *flavor, a.image.Name, key, *image)
	}
	return flavor != nil && *flavor || image != nil && *image
}

// unique is for settings that only one of the two may have, or both alike.
func (a *asked) unique(key, prefix string, check value) string {
	flavor, image := a.flavor.ExtraSpecs[prefix+":"+key], a.image.Properties[prefix+"_"+key]
	if flavor != "" && image != "" && flavor != image {
		a.fail("Flavor %s has %s:%s explicitly set to %.64s, conflicting with image %s which has %s_%s explicitly set to %.64s.",
			a.flavor.Name, prefix, key, flavor, a.image.Name, prefix, key, image)
	}
	if flavor == "" {
		flavor = image
	}
	if flavor != "" {
		if why := check(flavor); why != "" {
			a.fail("Invalid %s:%s: %s", prefix, key, why)
		}
	}
	return flavor
}

// memoryEncryption needs firmware and a machine that can do it.
func (a *asked) memoryEncryption() {
	flavor, image := a.truths("mem_encryption")
	if !a.sameTruth("mem_encryption") {
		return
	}
	var by []string
	if flavor != nil {
		by = append(by, "hw:mem_encryption extra spec in "+a.flavor.Name+" flavor")
	}
	if image != nil {
		by = append(by, "hw_mem_encryption property of image "+a.image.Name)
	}
	who := strings.Join(by, " and ")
	if firmware := a.image.Properties["hw_firmware_type"]; firmware != "uefi" {
		a.fail("Memory encryption requested by %s but image %s doesn't have 'hw_firmware_type' property set to 'uefi'.", who, a.image.Name)
	}
	if machine := a.image.Properties["hw_machine_type"]; machine != "" && !strings.Contains(machine, "q35") {
		a.fail("Machine type '%.64s' is not compatible with image %s (%s): memory encryption needs a q35 machine.", machine, a.image.Name, a.image.ID)
	}
	if model := a.unique("mem_encryption_model", "hw", memoryEncryptions); model == "amd-sev-snp" && !compute.Yes(a.image.Properties["hw_firmware_stateless"]) {
		a.fail("The %s memory encryption model requires stateless firmware but the image metadata doesn't have the 'hw_firmware_stateless' property set to True.", model)
	}
}

func (a *asked) tpm() {
	version := a.unique("tpm_version", "hw", enum("1.2", "2.0"))
	if version == "" {
		return
	}
	if model := a.unique("tpm_model", "hw", enum("tpm-tis", "tpm-crb")); model == "tpm-crb" && version != "2.0" {
		a.fail("TPM model CRB is only valid with TPM version 2.0.")
	}
}

func (a *asked) secureBoot() {
	a.unique("secure_boot", "os", enum("required", "disabled", "optional"))
}

func (a *asked) serialPorts() {
	flavor, image := a.both("serial_port_count")
	most := a.number("hw:serial_port_count", flavor)
	if wanted := a.number("hw_serial_port_count", image); most > 0 && wanted > most {
		a.fail("Image %s asks for %d serial ports; flavor %s allows %d.", a.image.Name, wanted, a.flavor.Name, most)
	}
}

// pciAffinity may be said by one of the two, or by both alike.
func (a *asked) pciAffinity() {
	flavor, image := a.both("pci_numa_affinity_policy")
	if flavor != "" && image != "" && flavor != image {
		a.fail("Image property 'hw_pci_numa_affinity_policy' is not permitted to override the 'hw:pci_numa_affinity_policy' extra spec of flavor %s.", a.flavor.Name)
	}
	a.unique("pci_numa_affinity_policy", "hw", enum("required", "preferred", "legacy", "socket"))
}

// topologyParts are the parts of a processor topology.
var topologyParts = []string{"sockets", "cores", "threads"}

// anyNumber stands for "as many as you like" of a part.
const anyNumber = 65536

// topology holds the image's processor topology to the limits, the limits of the
// image to those of the flavor, and all of them to the number of processors.
func (a *asked) topology() {
	most, product := map[string]int{}, 1
	for _, part := range topologyParts {
		byFlavor, byImage := a.both("cpu_max_" + part)
		flavor, image := a.number("hw:cpu_max_"+part, byFlavor), a.number("hw_cpu_max_"+part, byImage)
		if flavor > 0 && image > flavor {
			a.fail("Image %s limits its %s to %d, which exceeds the limit of flavor %s, %d.", a.image.Name, part, image, a.flavor.Name, flavor)
		}
		most[part] = anyNumber
		for _, n := range []int{flavor, image} {
			if n > 0 {
				most[part] = n
			}
		}
		product = min(product*most[part], 1<<30)
	}
	for _, part := range topologyParts {
		byFlavor, byImage := a.both("cpu_" + part)
		a.number("hw:cpu_"+part, byFlavor)
		if image := a.number("hw_cpu_"+part, byImage); image > most[part] {
			a.fail("Image %s asks for %d %s, which exceeds the limit of %d.", a.image.Name, image, part, most[part])
		}
	}
	if product < a.flavor.VCPUs {
		a.fail("Requested vCPU limits %d:%d:%d are impossible to satisfy for vcpus count %d.", most["sockets"], most["cores"], most["threads"], a.flavor.VCPUs)
	}
}
