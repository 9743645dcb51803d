package control

import (
	"time"

	"kilonova/internal/config"
	"kilonova/service/compute/schedule"
)

// Options are compute's, with upstream's names where it has one.
type Options struct {
	DefaultZone    string          `toml:"default_availability_zone"` // of hosts that are in none
	ScheduleZone   string          `toml:"default_schedule_zone"`     // for requests that name none
	ReportInterval config.Duration `toml:"report_interval"`
	ServiceDown    config.Duration `toml:"service_down_time"`
	// BuildTimeout is how long a server may be on its way to ACTIVE
	// (instance_build_timeout of upstream; there 0 is forever).
	BuildTimeout    config.Duration `toml:"instance_build_timeout"`
	ShutdownTimeout int             `toml:"shutdown_timeout"` // seconds that a guest gets to stop by itself
	// ShelvedOffload is for how many seconds a shelved server stays on its host; 0
	// leaves it at once, a negative number never.
	ShelvedOffload int `toml:"shelved_offload_time"`
	// ReclaimInterval is for how many seconds a deleted server can be restored.
	ReclaimInterval int `toml:"reclaim_instance_interval"`
	// ConsoleTTL is for how many seconds a console can be opened that was asked for
	// ([consoleauth] token_ttl).
	ConsoleTTL int `toml:"-"`
	// RescueImage is what servers are rescued from when nothing is named; "" their own.
	RescueImage    string  `toml:"rescue_image_id"`
	MaxLimit       int     `toml:"max_limit"` // the longest page of a list
	CPURatio       float64 `toml:"cpu_allocation_ratio"`
	RAMRatio       float64 `toml:"ram_allocation_ratio"`
	DiskRatio      float64 `toml:"disk_allocation_ratio"`
	ReservedMemory int     `toml:"reserved_host_memory_mb"`
	ReservedCPUs   int     `toml:"reserved_host_cpus"`
	ReservedDiskMB int     `toml:"reserved_host_disk_mb"`
	// MaxLocalDevices bounds a server's disks on its host, the root disk among them;
	// -1 is no limit.
	MaxLocalDevices int `toml:"max_local_block_devices"`
	// ReimagePerGB is for how many seconds the volume service may write an image over
	// a volume, for each GB of it.
	ReimagePerGB int `toml:"reimage_timeout_per_gb"`
	// MaxAttempts bounds on how many hosts a build is tried.
	MaxAttempts int `toml:"max_attempts"`
	// ResizeToSameHost lets a server stay on its host when its flavor changes.
	ResizeToSameHost bool `toml:"allow_resize_to_same_host"`
	// ConfirmWindow is after how many seconds a resize confirms itself; 0: never.
	ConfirmWindow int `toml:"resize_confirm_window"`
	// UsageAudit has the servers of each host counted once a period, which is an
	// hour, day, month or year, with an offset after "@".
	UsageAudit       bool   `toml:"instance_usage_audit"`
	UsageAuditPeriod string `toml:"instance_usage_audit_period"`
	// Quota holds the defaults; -1 is no limit.
	Quota Quota `toml:"quota"`
	// MetadataDomain is put behind guests' names ([api] dhcp_domain).
	MetadataDomain string `toml:"-"`
	// ForceConfigDrive gives every guest a config drive.
	ForceConfigDrive bool `toml:"force_config_drive"`
	// ShareTimeout is for how many seconds a share's access rule may take to hold
	// ([manila] share_apply_policy_timeout).
	ShareTimeout int `toml:"-"`
	// VolumesInZone has servers and their volumes in the same availability zone (the
	// contrary of [cinder] cross_az_attach).
	VolumesInZone bool `toml:"-"`
	// PackNUMACells has guests' NUMA nodes on the fullest of a host's, and not on the
	// emptiest ([compute] packing_host_numa_cells_allocation_strategy).
	PackNUMACells bool `toml:"-"`
	// PCI, Notify, Messaging and Scheduler have sections of their own.
	PCI       PCIOptions       `toml:"-"`
	Notify    NotifyOptions    `toml:"-"`
	Messaging MessagingOptions `toml:"-"`
	Scheduler schedule.Options `toml:"-"`
}

// Quota is how much a project may have, by upstream's names ([quota] of nova.conf).
type Quota struct {
	Instances          int `toml:"instances"`
	Cores              int `toml:"cores"`
	RAM                int `toml:"ram"` // MiB
	MetadataItems      int `toml:"metadata_items"`
	InjectedFiles      int `toml:"injected_files"`
	InjectedFileBytes  int `toml:"injected_file_content_bytes"`
	InjectedPathBytes  int `toml:"injected_file_path_length"`
	KeyPairs           int `toml:"key_pairs"`
	ServerGroups       int `toml:"server_groups"`
	ServerGroupMembers int `toml:"server_group_members"`
}

// Defaults are the values for what the configuration does not say.
func Defaults() Options {
	return Options{DefaultZone: "nova", ReportInterval: config.Duration(10 * time.Second), ServiceDown: config.Duration(60 * time.Second),
		BuildTimeout: config.Duration(30 * time.Minute), ShutdownTimeout: 60, MaxLimit: 1000, CPURatio: 4, RAMRatio: 1, DiskRatio: 1, ReservedMemory: 512,
		MaxAttempts: 3, ReimagePerGB: 20, MaxLocalDevices: 3, UsageAuditPeriod: "month", Scheduler: schedule.Defaults(),
		Quota: Quota{Instances: 10, Cores: 20, RAM: 51200, MetadataItems: 128, InjectedFiles: 5, InjectedFileBytes: 10240, InjectedPathBytes: 255,
			KeyPairs: 100, ServerGroups: 10, ServerGroupMembers: 10}}
}
