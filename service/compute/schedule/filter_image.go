package schedule

import (
	"fmt"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute/hardware"
)

// imageProperties wants the host to run what the image is made for:
// architecture, hypervisor type and mode, all in one of the combinations that the
// host supports; and the hypervisor's version.
func imageProperties(o *Options, r *Request) (*filter, error) {
	image := hardware.ReadAll(r.Image.Properties)
	want := [3]string{image["hw_architecture"], image["img_hv_type"], image["hw_vm_mode"]}
	if want[0] == "" {
		_, want[0] = hardware.Read("hw_architecture", o.Filter.DefaultArchitecture)
	}
	if want == [3]string{} {
		return nil, nil
	}
	versions, err := parseVersions(image["img_hv_requested_version"])
	if err != nil {
		return nil, err
	}
	bits := 0
	if text := image["hw_maxphysaddr_bits"]; text != "" {
		if bits, err = strconv.Atoi(text); err != nil {
			return nil, fault.Invalidf("The image property hw_maxphysaddr_bits %.64q is no number.", text)
		}
	}
	return &filter{
		refuse: func(h *Host) string {
			switch {
			case !h.runs(want):
				return "unable to run the image"
			case h.HypervisorVersion != 0 && !versions.allow(h.HypervisorVersion):
				return "of another hypervisor version"
			case bits > 0 && !h.hasAddressBits(bits):
				return "with too few address bits"
			}
			return ""
		},
		detail: func(h *Host) string {
			if !h.runs(want) {
				return fmt.Sprintf("the image wants %s, the host supports %.200s", strings.Trim(strings.Join(want[:], " "), " "), fmt.Sprint(h.Supported))
			}
			return ""
		},
	}, nil
}

// runs reports whether one of the host's combinations has all that is wanted,
// each at its place. (Upstream also takes a mode for a hypervisor of that name.)
func (h *Host) runs(want [3]string) bool {
	for i := range h.Supported {
		s, ok := &h.Supported[i], true
		for k := range want {
			ok = ok && (want[k] == "" || want[k] == s[k])
		}
		if ok {
			return true
		}
	}
	return false
}

// hasAddressBits is also true of hosts that do not say.
func (h *Host) hasAddressBits(bits int) bool {
	m, _ := h.CPUInfo["maxphysaddr"].(map[string]any)
	switch n := m["bits"].(type) {
	case float64:
		return int(n) >= bits || n == 0
	case int:
		return n >= bits || n == 0
	}
	return true
}

// versions are bounds that a hypervisor's version must all keep.
type versions []versionBound

type versionBound struct {
	operator string
	version  int // 1e6*major + 1e3*minor + micro
}

func (v versions) allow(version int) bool {
	for _, b := range v {
		ok := false
		switch b.operator {
		case "<":
			ok = version < b.version
		case "<=":
			ok = version <= b.version
		case ">":
			ok = version > b.version
		case ">=":
			ok = version >= b.version
		case "==":
			ok = version == b.version
		case "!=":
			ok = version != b.version
		}
		if !ok {
			return false
		}
	}
	return true
}

// parseVersions reads "<operator><version>" separated by commas, like
// ">=6.0, <7.2".
func parseVersions(predicate string) (versions, error) {
	var v versions
	for part := range strings.SplitSeq(predicate, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		number := strings.TrimLeft(part, "<>=!")
		b := versionBound{operator: part[:len(part)-len(number)]}
		fields := strings.Split(strings.TrimSpace(number), ".")
		valid := len(fields) <= 3 && strings.Contains(" < <= > >= == != ", " "+b.operator+" ") && b.operator != ""
		for i := range 3 {
			n := 0
			if i < len(fields) {
				var err error
				n, err = strconv.Atoi(fields[i])
				valid = valid && err == nil && n >= 0 && n < 1000
			}
			b.version = 1000*b.version + n
		}
		if !valid {
			return nil, fault.Invalidf("The image property img_hv_requested_version %.64q is no list of versions like \">=6.0, <7.2\".", predicate)
		}
		v = append(v, b)
	}
	return v, nil
}
