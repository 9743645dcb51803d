package control

import "fmt"

// Options are the object service's configuration, by upstream's names.
type Options struct {
	// OperatorRoles make a user of a project the owner of its account.
	OperatorRoles []string `toml:"operator_roles"`
	// ResellerAdminRole makes a user the owner of all accounts.
	ResellerAdminRole string `toml:"reseller_admin_role"`
	// ResellerPrefix and a project's id are the name of its account.
	ResellerPrefix string      `toml:"reseller_prefix"`
	Constraints    Constraints `toml:"swift-constraints"`
	SLO            SLO         `toml:"slo"`
	TempURL        TempURL     `toml:"tempurl"`
	Bulk           Bulk        `toml:"bulk"`
}

// Constraints are the section [swift-constraints] of swift.conf. Lengths are in bytes.
type Constraints struct {
	MaxFileSize            int64 `toml:"max_file_size" json:"max_file_size"`
	MaxMetaNameLength      int   `toml:"max_meta_name_length" json:"max_meta_name_length"`
	MaxMetaValueLength     int   `toml:"max_meta_value_length" json:"max_meta_value_length"`
	MaxMetaCount           int   `toml:"max_meta_count" json:"max_meta_count"`
	MaxMetaOverallSize     int   `toml:"max_meta_overall_size" json:"max_meta_overall_size"`
	MaxHeaderSize          int   `toml:"max_header_size" json:"max_header_size"`
	MaxObjectNameLength    int   `toml:"max_object_name_length" json:"max_object_name_length"`
	ContainerListingLimit  int   `toml:"container_listing_limit" json:"container_listing_limit"`
	AccountListingLimit    int   `toml:"account_listing_limit" json:"account_listing_limit"`
	MaxAccountNameLength   int   `toml:"max_account_name_length" json:"max_account_name_length"`
	MaxContainerNameLength int   `toml:"max_container_name_length" json:"max_container_name_length"`
}

// SLO is [filter:slo].
type SLO struct {
	MaxSegments int   `toml:"max_manifest_segments" json:"max_manifest_segments"`
	MaxSize     int64 `toml:"max_manifest_size" json:"max_manifest_size"` // of the manifest, in bytes
}

// TempURL is [filter:tempurl].
type TempURL struct {
	Methods []string `toml:"methods" json:"methods"`
	Digests []string `toml:"allowed_digests" json:"allowed_digests"`
}

// Bulk is [filter:bulk].
type Bulk struct {
	MaxDeletes    int `toml:"max_deletes_per_request" json:"max_deletes_per_request"`
	MaxContainers int `toml:"max_containers_per_extraction" json:"max_containers_per_extraction"`
	MaxFailed     int `toml:"max_failed_deletes" json:"max_failed_deletes"`
}

// Defaults are upstream's.
func Defaults() Options {
	return Options{OperatorRoles: []string{"admin", "swiftoperator"}, ResellerAdminRole: "ResellerAdmin", ResellerPrefix: "AUTH_",
		Constraints: Constraints{MaxFileSize: 5<<30 + 2, MaxMetaNameLength: 128, MaxMetaValueLength: 256, MaxMetaCount: 90, MaxMetaOverallSize: 4096, MaxHeaderSize: 8192,
			MaxObjectNameLength: 1024, ContainerListingLimit: 10000, AccountListingLimit: 10000, MaxAccountNameLength: 256, MaxContainerNameLength: 256},
		SLO:     SLO{MaxSegments: 1000, MaxSize: 8 << 20},
		TempURL: TempURL{Methods: []string{"GET", "HEAD", "PUT", "POST", "DELETE"}, Digests: []string{"sha1", "sha256", "sha512"}},
		Bulk:    Bulk{MaxDeletes: 10000, MaxContainers: 10000, MaxFailed: 1000}}
}

// check refuses what the tables have no room for.
func (o *Options) check() error {
	k := o.Constraints
	for _, n := range []struct {
		name  string
		value int
		most  int
	}{{"max_object_name_length", k.MaxObjectNameLength, 1024}, {"max_container_name_length", k.MaxContainerNameLength, 256}, {"max_account_name_length", k.MaxAccountNameLength, 256},
		{"container_listing_limit", k.ContainerListingLimit, 100000}, {"account_listing_limit", k.AccountListingLimit, 100000}, {"max_meta_overall_size", k.MaxMetaOverallSize, 1 << 20}} {
		if n.value < 1 || n.value > n.most {
			return fmt.Errorf("configuration: [object.swift-constraints] %s must be between 1 and %d", n.name, n.most)
		}
	}
	if k.MaxFileSize < 1 || o.SLO.MaxSegments < 1 || o.SLO.MaxSegments > 100000 || o.SLO.MaxSize < 1 || o.SLO.MaxSize > 256<<20 {
		return fmt.Errorf("configuration: [object] max_file_size, max_manifest_segments or max_manifest_size is out of bounds")
	}
	if o.ResellerPrefix == "" {
		return fmt.Errorf("configuration: [object] reseller_prefix is needed")
	}
	return nil
}
