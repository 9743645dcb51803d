package control

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/config"
	"kilonova/service/image/blob"
)

// Options are the image service's, by upstream's names and in its sections.
type Options struct {
	ImageSizeCap     int64  `toml:"image_size_cap"`     // bytes that one image may have
	UserStorageQuota string `toml:"user_storage_quota"` // of one project's images: "500 GB"; "0" none
	// UseKeystoneLimits has the identity service's limits of each project count, in place of UserStorageQuota.
	UseKeystoneLimits  bool   `toml:"use_keystone_limits"`
	ImageMemberQuota   int    `toml:"image_member_quota"`   // per image; negative: none. So the next three.
	ImagePropertyQuota int    `toml:"image_property_quota"` //
	ImageTagQuota      int    `toml:"image_tag_quota"`      //
	ImageLocationQuota int    `toml:"image_location_quota"` //
	LimitParamDefault  int    `toml:"limit_param_default"`  // images of a list where the client does not say
	APILimitMax        int    `toml:"api_limit_max"`        // images of a list, whatever the client says
	ShowDirectURL      bool   `toml:"show_image_direct_url"`
	ShowLocations      bool   `toml:"show_multiple_locations"`
	HashingAlgorithm   string `toml:"hashing_algorithm"` // sha256, sha384 or sha512
	// LegacyChecksum has images get an MD5 sum too, as upstream's always have. Without it their checksum is
	// null, which the API's schema allows, and os_hash_value is what data is verified by. Not upstream's.
	LegacyChecksum bool `toml:"legacy_checksum"`
	DoSecureHash   bool `toml:"do_secure_hash"` // of what lies at new locations
	HTTPRetries    int  `toml:"http_retries"`   // of that
	// UploadStall is how long an upload may be silent; 0 for ever.
	UploadStall  config.Duration `toml:"upload_stall_timeout"`
	CacheMaxSize int64           `toml:"image_cache_max_size"` // bytes
	// EnabledImportMethods may be glance-direct, copy-image, web-download and
	// glance-download. web-download has this service fetch what a user names, and is off by default.
	EnabledImportMethods []string `toml:"enabled_import_methods"`

	Format    FormatOptions    `toml:"image_format"`
	Task      TaskOptions      `toml:"task"`
	Filtering FilteringOptions `toml:"import_filtering_opts"`

	KeyManager         KeyManagerOptions         `toml:"key_manager"`
	ImportOpts         ImportOptions             `toml:"image_import_opts"`
	Conversion         ConversionOptions         `toml:"image_conversion"`
	Inject             InjectOptions             `toml:"inject_metadata_properties"`
	DownloadProperties DownloadPropertiesOptions `toml:"glance_download_properties"`
}

// FormatOptions say which images are taken.
type FormatOptions struct {
	ContainerFormats []string `toml:"container_formats"`
	DiskFormats      []string `toml:"disk_formats"`
	// RequireMatch refuses images whose content is not of their disk_format.
	// Content that is dangerous is refused in any case.
	RequireMatch bool `toml:"require_image_format_match"`
}

// TaskOptions are about imports.
type TaskOptions struct {
	TimeToLive int `toml:"task_time_to_live"` // hours that ended tasks, and staged data, are kept
}

// KeyManagerOptions say where the certificates of signed images are: one of both.
type KeyManagerOptions struct {
	Endpoint       string `toml:"barbican_endpoint"` // of a key manager's API
	CertificateDir string `toml:"certificate_dir"`   // with ID.pem; not upstream's
}

// ImportOptions say what is done to data on its way from the stage to the stores.
type ImportOptions struct {
	Plugins []string `toml:"image_import_plugins"` // in this order
}

// ConversionOptions are those of the plugin image_conversion.
type ConversionOptions struct {
	OutputFormat string `toml:"output_format"` // raw, qcow2 or vmdk
}

// InjectOptions are those of the plugin inject_image_metadata.
type InjectOptions struct {
	Inject          map[string]string `toml:"inject"` // properties that imported images get
	IgnoreUserRoles []string          `toml:"ignore_user_roles"`
}

// DownloadPropertiesOptions say which properties glance-download brings along.
type DownloadPropertiesOptions struct {
	Extra []string `toml:"extra_properties"` // how their names begin
}

// FilteringOptions say from where web-download may fetch.
type FilteringOptions = blob.Filter

// Defaults are upstream's, but for web-download.
func Defaults() Options {
	return Options{
		ImageSizeCap: 1 << 40, UserStorageQuota: "0",
		ImageMemberQuota: 128, ImagePropertyQuota: 128, ImageTagQuota: 128, ImageLocationQuota: 10,
		LimitParamDefault: 25, APILimitMax: 1000,
		HashingAlgorithm:     "sha512",
		LegacyChecksum:       true,
		UploadStall:          config.Duration(5 * time.Minute),
		CacheMaxSize:         10 << 30,
		DoSecureHash:         true,
		HTTPRetries:          3,
		EnabledImportMethods: []string{"glance-direct", "copy-image"},
		Format: FormatOptions{
			ContainerFormats: []string{"ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"},
			DiskFormats:      []string{"ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"},
			RequireMatch:     true,
		},
		Conversion:         ConversionOptions{OutputFormat: "raw"},
		Inject:             InjectOptions{IgnoreUserRoles: []string{"admin"}},
		DownloadProperties: DownloadPropertiesOptions{Extra: []string{"hw_", "trait:", "os_distro", "os_secure_boot", "os_type"}},
		Task:               TaskOptions{TimeToLive: 48},
		Filtering:          FilteringOptions{AllowedSchemes: []string{"http", "https"}, AllowedPorts: []int{80, 443}},
	}
}

// importMethods are those that there is code for.
var importMethods = []string{"glance-direct", "copy-image", "web-download", "glance-download"}

// check finds options that cannot be.
func (o *Options) check() error {
	for _, m := range o.EnabledImportMethods {
		if !slices.Contains(importMethods, m) {
			return fmt.Errorf("image: enabled_import_methods: %q is not one of %s", m, strings.Join(importMethods, ", "))
		}
	}
	for _, p := range o.ImportOpts.Plugins {
		if !slices.Contains(importPlugins, p) {
			return fmt.Errorf("image: image_import_plugins: %q is not one of %s", p, strings.Join(importPlugins, ", "))
		}
	}
	if f := o.Conversion.OutputFormat; f != "raw" && f != "qcow2" && f != "vmdk" {
		return fmt.Errorf("image: output_format: %q is not one of qcow2, raw, vmdk", f)
	}
	for _, f := range append(slices.Clone(o.Format.DiskFormats), o.Format.ContainerFormats...) {
		if f == "" || len(f) > 20 {
			return fmt.Errorf("image: %q cannot be the name of a format: 1 to 20 characters are needed", f)
		}
	}
	if newHash(o.HashingAlgorithm) == nil {
		return fmt.Errorf("image: hashing_algorithm: %q is not one of sha256, sha384, sha512", o.HashingAlgorithm)
	}
	if o.ImageSizeCap < 1 || o.LimitParamDefault < 1 || o.APILimitMax < 1 || o.Task.TimeToLive < 1 {
		return fmt.Errorf("image: image_size_cap, limit_param_default, api_limit_max and task_time_to_live must be positive")
	}
	_, err := parseBytes(o.UserStorageQuota)
	return err
}

func (o *Options) timeToLive() time.Duration { return time.Duration(o.Task.TimeToLive) * time.Hour }

// parseBytes reads "100", "20 MB", "1TB": units of 1024, as upstream has them.
func parseBytes(text string) (int64, error) {
	text = strings.TrimSpace(text)
	number := strings.TrimRight(text, " BKMGT")
	n, err := strconv.ParseInt(number, 10, 64)
	shift, known := map[string]int{"": 0, "B": 0, "KB": 10, "MB": 20, "GB": 30, "TB": 40}[strings.TrimSpace(text[len(number):])]
	if err != nil || n < 0 || !known || n > 1<<62>>shift {
		return 0, fmt.Errorf("image: user_storage_quota: %q is no size; write \"500 GB\"", text)
	}
	return n << shift, nil
}
