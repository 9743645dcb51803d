package schedule

import "fmt"

// trustSpec is the extra spec by which a flavor asks for a level of trust.
const trustSpec = "trust:trusted_host"

// AsksForTrust reports whether TrustedFilter has to know how far hosts are trusted.
func AsksForTrust(f Flavor) bool { return f.ExtraSpecs[trustSpec] != "" }

// trusted wants hosts that an attestation service gives the level that the flavor
// asks for.
func trusted(_ *Options, r *Request) (*filter, error) {
	level := r.Flavor.ExtraSpecs[trustSpec]
	if level == "" {
		return nil, nil
	}
	return &filter{
		refuse: func(h *Host) string {
			switch h.Trust {
			case level:
				return ""
			case "":
				return "not attested"
			}
			return "attested at another level of trust"
		},
		detail: func(h *Host) string {
			if h.Trust == "" {
				return ""
			}
			return fmt.Sprintf("attested as %.32q, not %.32q", h.Trust, level)
		},
	}, nil
}
