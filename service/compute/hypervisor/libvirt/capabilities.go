package libvirt

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"kilonova/service/compute/hypervisor"
)

// capabilities is what the driver reads of libvirt's capabilities XML
// (https://libvirt.org/formatcaps.html).
type capabilities struct {
	CPU struct {
		Arch     string   `xml:"arch"`
		Model    string   `xml:"model"`
		Vendor   string   `xml:"vendor"`
		Topology topology `xml:"topology"`
		Features []struct {
			Name string `xml:"name,attr"`
		} `xml:"feature"`
	} `xml:"host>cpu"`
	Cells    []capCell `xml:"host>topology>cells>cell"`
	Security []struct {
		Model  string `xml:"model"`
		Labels []struct {
			Type  string `xml:"type,attr"`
			Value string `xml:",chardata"`
		} `xml:"baselabel"`
	} `xml:"host>secmodel"`
	Guests []struct {
		OSType string `xml:"os_type"`
		Arch   struct {
			Name    string `xml:"name,attr"`
			Domains []struct {
				Type string `xml:"type,attr"`
			} `xml:"domain"`
		} `xml:"arch"`
	} `xml:"guest"`
}

func parseCapabilities(text string) (capabilities, error) {
	var c capabilities
	err := xml.Unmarshal([]byte(text), &c)
	return c, err
}

func (c capabilities) cpu() hypervisor.CPU {
	t := c.CPU.Topology
	cpu := hypervisor.CPU{
		Arch: c.CPU.Arch, Model: c.CPU.Model, Vendor: c.CPU.Vendor, Features: []string{},
		Topology: hypervisor.CPUTopology{Sockets: max(1, t.Sockets), Cores: max(1, t.Cores), Threads: max(1, t.Threads)},
	}
	for _, f := range c.CPU.Features {
		cpu.Features = append(cpu.Features, f.Name)
	}
	slices.Sort(cpu.Features)
	return cpu
}

// supported lists what can run here; KVM only if a guest really runs under it.
func (c capabilities) supported(virtType string) [][3]string {
	var all [][3]string
	for _, g := range c.Guests {
		for _, d := range g.Arch.Domains {
			if d.Type == "qemu" || d.Type == "kvm" && virtType == "kvm" {
				all = append(all, [3]string{g.Arch.Name, d.Type, g.OSType})
			}
		}
	}
	return all
}

func (c capabilities) runs(arch, virtType string) bool {
	return slices.ContainsFunc(c.supported(virtType), func(s [3]string) bool { return s[0] == arch && s[1] == virtType })
}

// qemuUser is the user and group that QEMU runs as, "+uid:+gid" in the base
// label of the security model dac; -1 where libvirt does not say.
func (c capabilities) qemuUser() (uid, gid int) {
	for _, s := range c.Security {
		for _, l := range s.Labels {
			user, group, ok := strings.Cut(l.Value, ":")
			if s.Model != "dac" || !ok {
				continue
			}
			u, userErr := strconv.Atoi(strings.TrimPrefix(user, "+"))
			g, groupErr := strconv.Atoi(strings.TrimPrefix(group, "+"))
			if userErr == nil && groupErr == nil {
				return u, g
			}
		}
	}
	return -1, -1
}

// traits are the Placement traits for the kernel's names of processor features.
// The names on the right are those of os-traits.
var traits = map[string]string{
	"aes": "AESNI", "avx": "AVX", "avx2": "AVX2", "avx512f": "AVX512F", "avx512cd": "AVX512CD",
	"avx512bw": "AVX512BW", "avx512dq": "AVX512DQ", "avx512vl": "AVX512VL", "avx512ifma": "AVX512IFMA",
	"avx512vbmi": "AVX512VBMI", "avx512_vbmi2": "AVX512VBMI2", "avx512_vnni": "AVX512VNNI",
	"avx512_bitalg": "AVX512BITALG", "avx512_vpopcntdq": "AVX512VPOPCNTDQ", "gfni": "AVX512GFNI",
	"vaes": "AVX512VAES", "vpclmulqdq": "AVX512VPCLMULQDQ",
	"abm": "ABM", "bmi1": "BMI", "bmi2": "BMI2", "f16c": "F16C", "fma": "FMA3", "fma4": "FMA4",
	"mmx": "MMX", "pclmulqdq": "CLMUL", "sha_ni": "SHA", "sse": "SSE", "sse2": "SSE2", "pni": "SSE3",
	"ssse3": "SSSE3", "sse4_1": "SSE41", "sse4_2": "SSE42", "sse4a": "SSE4A", "xop": "XOP", "tbm": "TBM",
	"3dnow": "3DNOW", "pdpe1gb": "PDPE1GB", "pcid": "INTEL_PCID",
}

// readTraits derives HW_CPU_X86_* from the flags of a cpuinfo file.
func readTraits(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the processor's features: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, flags, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) != "flags" {
			continue
		}
		var all []string
		for _, flag := range strings.Fields(flags) {
			if t, ok := traits[flag]; ok {
				all = append(all, "HW_CPU_X86_"+t)
			}
			switch flag { // these two have an old name and a new one
			case "svm":
				all = append(all, "HW_CPU_X86_SVM", "HW_CPU_X86_AMD_SVM")
			case "vmx":
				all = append(all, "HW_CPU_X86_VMX", "HW_CPU_X86_INTEL_VMX")
			}
		}
		slices.Sort(all)
		return all, nil
	}
	return nil, lines.Err()
}
