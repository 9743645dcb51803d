package schedule

// filter refuses hosts for one request.
type filter struct {
	// refuse says in few words why h is refused; "" lets it pass. It is called
	// for every host: it must not allocate, and its reasons must be few, because
	// they are counted.
	refuse func(h *Host) string
	// detail says the same of one host with its figures, for the explanation;
	// nil: there is no more to say.
	detail func(h *Host) string
}

// makeFilter prepares a filter for a request; nil when it would let every host
// pass. A request that is wrong in itself is fault.Invalid.
type makeFilter func(o *Options, r *Request) (*filter, error)

// filterTable has all filters by upstream's class names: today's and those that
// upstream has dropped because Placement does their work, for clouds whose hosts
// are not all in Placement and operators who know them; and TrustedFilter.
var filterTable = map[string]makeFilter{
	"AllHostsFilter": allHosts,

	"ComputeFilter":             computeFilter,
	"ComputeCapabilitiesFilter": computeCapabilities,
	"ImagePropertiesFilter":     imageProperties,
	"IsolatedHostsFilter":       isolatedHosts,
	"JsonFilter":                jsonFilter,
	"MetricsFilter":             metricsFilter,
	"NUMATopologyFilter":        numaTopology,
	"PciPassthroughFilter":      pciPassthrough,
	"RetryFilter":               retryFilter,

	"DifferentHostFilter":           differentHost,
	"SameHostFilter":                sameHost,
	"SimpleCIDRAffinityFilter":      simpleCIDRAffinity,
	"ServerGroupAntiAffinityFilter": groupAntiAffinity,
	"ServerGroupAffinityFilter":     groupAffinity,

	"AggregateImagePropertiesIsolation": aggregateImageProperties,
	"AggregateInstanceExtraSpecsFilter": aggregateExtraSpecs,
	"AggregateMultiTenancyIsolation":    aggregateTenancy,
	"AggregateTypeAffinityFilter":       aggregateType,
	"AvailabilityZoneFilter":            availabilityZone,
	"TypeAffinityFilter":                typeAffinity,
	"TrustedFilter":                     trusted,

	"RamFilter":                   ramFilter,
	"AggregateRamFilter":          aggregateRAM,
	"CoreFilter":                  coreFilter,
	"AggregateCoreFilter":         aggregateCore,
	"DiskFilter":                  diskFilter,
	"AggregateDiskFilter":         aggregateDisk,
	"ExactRamFilter":              exactRAM,
	"ExactCoreFilter":             exactCore,
	"ExactDiskFilter":             exactDisk,
	"IoOpsFilter":                 ioOps,
	"AggregateIoOpsFilter":        aggregateIOOps,
	"NumInstancesFilter":          numInstances,
	"AggregateNumInstancesFilter": aggregateNumInstances,
}

// rebuildFilters are those that a rebuild must pass: without them a user could
// bring an image where it must not run.
var rebuildFilters = map[string]bool{
	"AggregateImagePropertiesIsolation": true,
	"ImagePropertiesFilter":             true,
	"IsolatedHostsFilter":               true,
}

// allHosts refuses none.
func allHosts(*Options, *Request) (*filter, error) { return nil, nil }
