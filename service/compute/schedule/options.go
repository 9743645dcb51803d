package schedule

import "kilonova/internal/fault"

// Options are the sections of the configuration that steer scheduling, in
// upstream's names (nova/conf/scheduler.py).
type Options struct {
	Scheduler SchedulerOptions `toml:"scheduler"`
	Filter    FilterOptions    `toml:"filter_scheduler"`
	Metrics   MetricsOptions   `toml:"metrics"`
}

// SchedulerOptions is section [scheduler].
type SchedulerOptions struct {
	// Driver is one of the constants below, or one of the names that upstream had
	// for them (driverNames).
	Driver string `toml:"driver"`
	// CacheSeconds is how long "caching" uses what Placement has once said.
	CacheSeconds int `toml:"periodic_task_interval"`
	// MaxAttempts is on how many hosts control tries to build a server;
	// MaxPlacementResults how many candidates it asks Placement for.
	MaxAttempts         int `toml:"max_attempts"`
	MaxPlacementResults int `toml:"max_placement_results"`

	// What Placement is asked further, before any filter.
	LimitTenants         bool `toml:"limit_tenants_to_placement_aggregate"`
	TenantsNeedAggregate bool `toml:"placement_aggregate_required_for_tenants"`
	QueryImageType       bool `toml:"query_placement_for_image_type_support"`
	IsolateAggregates    bool `toml:"enable_isolated_aggregate_filtering"`
	ImageMetadata        bool `toml:"image_metadata_prefilter"`
	RoutedNetworks       bool `toml:"query_placement_for_routed_network_aggregates"`
}

// FilterOptions is section [filter_scheduler].
type FilterOptions struct {
	// AvailableFilters bounds what EnabledFilters may name: filters, or
	// "nova.scheduler.filters.all_filters".
	AvailableFilters []string `toml:"available_filters"`
	EnabledFilters   []string `toml:"enabled_filters"`
	// WeightClasses names weighers, or "nova.scheduler.weights.all_weighers".
	WeightClasses []string `toml:"weight_classes"`

	// HostSubsetSize is among how many of the best hosts one is drawn by lot.
	HostSubsetSize int `toml:"host_subset_size"`
	// ShuffleBest puts hosts that share the best weight in random order.
	ShuffleBest bool `toml:"shuffle_best_same_weighed_hosts"`

	MaxIOOpsPerHost     int      `toml:"max_io_ops_per_host"`
	MaxInstancesPerHost int      `toml:"max_instances_per_host"`
	IsolatedImages      []string `toml:"isolated_images"`
	IsolatedHosts       []string `toml:"isolated_hosts"`
	RestrictIsolated    bool     `toml:"restrict_isolated_hosts_to_isolated_images"`
	DefaultArchitecture string   `toml:"image_properties_default_architecture"`
	// PropertiesNamespace and PropertiesSeparator bound the aggregates' keys that
	// AggregateImagePropertiesIsolation looks at to those that begin with both.
	PropertiesNamespace string `toml:"aggregate_image_properties_isolation_namespace"`
	PropertiesSeparator string `toml:"aggregate_image_properties_isolation_separator"`

	RAM               float64 `toml:"ram_weight_multiplier"`
	CPU               float64 `toml:"cpu_weight_multiplier"`
	Disk              float64 `toml:"disk_weight_multiplier"`
	HypervisorVersion float64 `toml:"hypervisor_version_weight_multiplier"`
	NumInstances      float64 `toml:"num_instances_weight_multiplier"`
	IOOps             float64 `toml:"io_ops_weight_multiplier"`
	PCI               float64 `toml:"pci_weight_multiplier"`
	SoftAffinity      float64 `toml:"soft_affinity_weight_multiplier"`
	SoftAntiAffinity  float64 `toml:"soft_anti_affinity_weight_multiplier"`
	BuildFailure      float64 `toml:"build_failure_weight_multiplier"`
	CrossCell         float64 `toml:"cross_cell_move_weight_multiplier"`
	ImageProps        float64 `toml:"image_props_weight_multiplier"`
	// ImagePropsSetting has elements "property=ratio"; empty: all count alike.
	ImagePropsSetting []string `toml:"image_props_weight_setting"`

	// PCIInPlacement has PCI devices asked for and claimed in Placement, once all hosts
	// that have any report them there.
	PCIInPlacement bool `toml:"pci_in_placement"`

	// Filters and weighers of the operator's own, asked after upstream's.
	CELFilters  []CELFilter  `toml:"cel_filters"`
	CELWeighers []CELWeigher `toml:"cel_weighers"`
}

// MetricsOptions is section [metrics].
type MetricsOptions struct {
	Multiplier float64 `toml:"weight_multiplier"`
	// Setting has elements "metric=ratio".
	Setting []string `toml:"weight_setting"`
	// Required refuses hosts that lack a metric of Setting; else they weigh
	// Unavailable.
	Required    bool    `toml:"required"`
	Unavailable float64 `toml:"weight_of_unavailable"`
}

// Drivers.
const (
	// FilterScheduler asks Placement anew for each decision, filters and weighs.
	FilterScheduler = "filter"
	// ChanceScheduler takes any host that is up, each as likely.
	ChanceScheduler = "chance"
	// CachingScheduler filters and weighs what Placement has said a while ago and
	// counts for itself what it has given away since.
	CachingScheduler = "caching"
)

// driverNames are all names of the drivers: ours, those of upstream's entry
// points, and the classes of before (scheduler_driver).
var driverNames = map[string]string{
	FilterScheduler: FilterScheduler, "filter_scheduler": FilterScheduler, "FilterScheduler": FilterScheduler, "": FilterScheduler,
	ChanceScheduler: ChanceScheduler, "chance_scheduler": ChanceScheduler, "ChanceScheduler": ChanceScheduler,
	CachingScheduler: CachingScheduler, "caching_scheduler": CachingScheduler, "CachingScheduler": CachingScheduler,
}

// DriverOf returns the driver that a name of the configuration stands for;
// fault.Invalid when there is none of that name.
func DriverOf(name string) (string, error) {
	driver, ok := driverNames[className(name)]
	if !ok {
		return "", fault.Invalidf("[scheduler] driver %q is not known; there are %s, %s and %s.", name, FilterScheduler, ChanceScheduler, CachingScheduler)
	}
	return driver, nil
}

// Defaults are upstream's defaults.
func Defaults() Options {
	return Options{
		Scheduler: SchedulerOptions{Driver: FilterScheduler, MaxAttempts: 3, MaxPlacementResults: 1000, CacheSeconds: 60},
		Filter: FilterOptions{
			AvailableFilters: []string{"nova.scheduler.filters.all_filters"},
			EnabledFilters: []string{"ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter",
				"ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter"},
			WeightClasses:       []string{"nova.scheduler.weights.all_weighers"},
			HostSubsetSize:      1,
			MaxIOOpsPerHost:     8,
			MaxInstancesPerHost: 50,
			RestrictIsolated:    true,
			PropertiesSeparator: ".",
			RAM:                 1, CPU: 1, Disk: 1, HypervisorVersion: 1, IOOps: -1, PCI: 1,
			SoftAffinity: 1, SoftAntiAffinity: 1, BuildFailure: 1e6, CrossCell: 1e6,
		},
		Metrics: MetricsOptions{Multiplier: 1, Required: true, Unavailable: -10000},
	}
}
