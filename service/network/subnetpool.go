package network

import "strconv"

// SubnetPool is a supply of prefixes from which subnets are cut.
type SubnetPool struct {
	Standard
	Name           string   `json:"name"`
	Prefixes       []string `json:"prefixes"`
	IPVersion      int      `json:"ip_version"`
	MinPrefix      Digits   `json:"min_prefixlen"`
	DefaultPrefix  Digits   `json:"default_prefixlen"`
	MaxPrefix      Digits   `json:"max_prefixlen"`
	DefaultQuota   *int     `json:"default_quota"` // addresses (IPv6: /64 prefixes) of one project; nil: no limit
	Shared         bool     `json:"shared"`
	IsDefault      bool     `json:"is_default"`
	AddressScopeID *string  `json:"address_scope_id"`
}

// Digits is a number that the API shows as a text.
type Digits int

// MarshalJSON implements json.Marshaler.
func (d Digits) MarshalJSON() ([]byte, error) {
	return []byte(strconv.Quote(strconv.Itoa(int(d)))), nil
}

// SubnetPoolInput is a request to make or change a subnet pool.
type SubnetPoolInput struct {
	OwnerInput
	Name           Opt[string]   `json:"name" on:"post,put" max:"255"`
	Description    Opt[string]   `json:"description" on:"post,put" max:"255"`
	Prefixes       Opt[[]string] `json:"prefixes" on:"post,put" need:"yes"`
	MinPrefix      Opt[int]      `json:"min_prefixlen" on:"post,put" null:"ok"`
	DefaultPrefix  Opt[int]      `json:"default_prefixlen" on:"post,put" null:"ok"`
	MaxPrefix      Opt[int]      `json:"max_prefixlen" on:"post,put" null:"ok"`
	DefaultQuota   Opt[int]      `json:"default_quota" on:"post,put" null:"ok"`
	Shared         Opt[bool]     `json:"shared" on:"post" default:"false"`
	IsDefault      Opt[bool]     `json:"is_default" on:"post,put" default:"false"`
	AddressScopeID Opt[string]   `json:"address_scope_id" on:"post,put" null:"ok"`
}
