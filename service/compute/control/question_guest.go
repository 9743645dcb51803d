package control

import (
	"cmp"
	"strings"

	"kilonova/service/compute"
	"kilonova/service/compute/hardware"
)

// askGuest adds what the guest's hardware takes of Placement and wants of the host's
// hypervisor (nova/scheduler/utils.py, ResourceRequest).
func askGuest(q *question, s *compute.Server) {
	require := func(trait string) { q.Required = append(q.Required, trait) }
	if either(s, "pci_numa_affinity_policy") == "socket" {
		require("COMPUTE_SOCKET_PCI_NUMA_AFFINITY")
	}
	if s.Flavor.ExtraSpecs["os:secure_boot"] == "required" || s.ImageMeta.Properties["os_secure_boot"] == "required" {
		require("COMPUTE_SECURITY_UEFI_SECURE_BOOT")
	}
	if version := either(s, "tpm_version"); version != "" {
		require("COMPUTE_SECURITY_TPM_" + strings.ReplaceAll(version, ".", "_"))
		if either(s, "tpm_model") == "tpm-crb" {
			require("COMPUTE_SECURITY_TPM_CRB")
		} else {
			require("COMPUTE_SECURITY_TPM_TIS")
		}
	}
	switch either(s, "maxphysaddr_mode") {
	case "passthrough":
		require("COMPUTE_ADDRESS_SPACE_PASSTHROUGH")
	case "emulate":
		require("COMPUTE_ADDRESS_SPACE_EMULATED")
	}
	// Without UEFI the property has no meaning.
	if image := s.ImageMeta.Properties; compute.Yes(image["hw_firmware_stateless"]) && image["hw_firmware_type"] == "uefi" {
		require("COMPUTE_SECURITY_STATELESS_FIRMWARE")
	}
	if compute.Yes(either(s, "mem_encryption")) {
		q.Resources["MEM_ENCRYPTION_CONTEXT"] = 1
		model := cmp.Or(either(s, "mem_encryption_model"), "amd-sev")
		require("HW_CPU_X86_" + strings.ToUpper(strings.ReplaceAll(model, "-", "_")))
	}
	for label := range strings.SplitSeq(s.Flavor.ExtraSpecs["hw:pmem"], ",") {
		if label = strings.TrimSpace(label); label != "" {
			q.Resources[hardware.CustomName("PMEM_NAMESPACE_"+label)]++
		}
	}
}
