package notify

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"kilonova/service/compute"
)

// Exists words that a server was there in a period, for those who count usage.
func Exists(c Cause, f Formats, s *compute.Server, begin, end time.Time) []Message {
	at := c
	if s.Host != "" {
		at.Host = s.Host
	}
	var all []Message
	if f.Unversioned {
		u := c.usage(s)
		u["audit_period_beginning"], u["audit_period_ending"], u["bandwidth"] = oldTime(begin), oldTime(end), usage{}
		all = append(all, at.message(TopicUnversioned, "compute."+at.Host, "compute.instance.exists", cmp.Or(f.Level, "INFO"), u))
	}
	if f.Versioned {
		d := c.base(s)
		d.existsData = &existsData{period(begin, end)}
		all = append(all, at.versioned(ByCompute, "instance.exists", objectOf("InstanceExistsPayload", "2.1", d)))
	}
	return all
}

// existsData is what instance.exists adds, and instance.update, too.
type existsData struct {
	AuditPeriod object `json:"audit_period"`
}

// Measured words what a host's monitors have measured.
func Measured(c Cause, h *compute.Host) Message {
	c.Host = h.Name
	list := []object{}
	for _, name := range slices.Sorted(maps.Keys(h.Resources.Metrics)) {
		list = append(list, objectOf("MetricPayload", "1.0", struct {
			Name      string         `json:"name"`
			Value     float64        `json:"value"`
			NUMA      map[string]int `json:"numa_membw_values"`
			Timestamp stamp          `json:"timestamp"`
			Source    string         `json:"source"`
		}{name, h.Resources.Metrics[name], nil, stamp{c.Now}, h.Resources.HypervisorType}))
	}
	return c.versioned(ByCompute, "metrics.update", objectOf("MetricsPayload", "1.0", struct {
		Host    string   `json:"host"`
		HostIP  string   `json:"host_ip"`
		Node    string   `json:"nodename"`
		Metrics []object `json:"metrics"`
	}{h.Name, h.Resources.HostIP, cmp.Or(h.Resources.HypervisorName, h.Name), list}))
}

// CacheProgress is how far a host of an aggregate has come with images.
type CacheProgress struct {
	Host           string
	Index, Total   int
	Cached, Failed []string
}

// Cached words that a host has fetched images ahead, or could not.
func Cached(c Cause, a compute.Aggregate, p CacheProgress) Message {
	return c.versioned(ByConductor, "aggregate.cache_images.progress", objectOf("AggregateCachePayload", "1.0", struct {
		ID     int64    `json:"id"`
		UUID   string   `json:"uuid"`
		Name   string   `json:"name"`
		Host   string   `json:"host"`
		Cached []string `json:"images_cached"`
		Failed []string `json:"images_failed"`
		Index  int      `json:"index"`
		Total  int      `json:"total"`
	}{a.Seq, a.ID, a.Name, p.Host, orNone(p.Cached), orNone(p.Failed), p.Index, p.Total}))
}
