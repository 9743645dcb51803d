package api

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
)

// query says what an operation's query string may have in it.
type query struct {
	// strict is since when a parameter that is not here is refused; before that
	// it is passed over. "": never.
	strict string
	params []param
}

// param is some parameters that are alike: their names, since when they exist, and
// what they may be: "text", "count" (a number from 0), "count1" (from 1), "bool",
// "regex", "host" or "a|b" for one of some words. A trailing "!" is once at most.
type param struct{ names, since, kind string }

// plain is what operations without parameters say: since 2.102 nothing is taken.
var plain = query{strict: "2.102"}

var (
	paging   = []param{{"limit offset", "", "count"}}
	ofUser   = query{"2.75", []param{{"user_id", "", "text"}}}
	ofKeys   = query{"2.75", []param{{"user_id", "2.10", "text"}}}
	usageAll = query{"2.75", []param{{"start end detailed", "", "text"}, {"limit", "2.40", "count"}, {"marker", "2.40", "text"}}}
	usageOne = query{"2.75", []param{{"start end", "", "text"}, {"limit", "2.40", "count"}, {"marker", "2.40", "text"}}}
	fleet    = query{"2.53", []param{{"limit", "2.33", "count"}, {"marker", "2.33", "text"}, {"hypervisor_hostname_pattern", "2.53", "host!"}, {"with_servers", "2.53", "bool!"}}}
	ofFlavor = query{"2.75", []param{{"is_public marker minDisk minRam", "", "text"}, {"limit", "", "count"}, {"sort_dir", "", "asc|desc"},
		{"sort_key", "", "created_at|description|disabled|ephemeral_gb|flavorid|id|is_public|memory_mb|name|root_gb|rxtx_factor|swap|updated_at|vcpu_weight|vcpus"},
		{"name", "2.102", "text"}}}
	ofServers = query{"2.75", []param{
		{"access_ip_v4 access_ip_v6 auto_disk_config availability_zone config_drive created_at description display_description display_name flavor hostname ip ip6", "", "regex"},
		{"kernel_id key_name launched_at locked_by name node power_state progress ramdisk_id reservation_id root_device_name terminated_at", "", "regex"},
		{"all_tenants block_device_mapping deleted host image image_ref info_cache launch_index marker metadata pci_devices project_id security_groups services", "", "text"},
		{"soft_deleted sort_dir sort_key status system_metadata task_state tenant_id user_id uuid vm_state changes-since", "", "text"},
		{"limit", "", "count"}, {"tags tags-any not-tags not-tags-any", "2.26", "regex"}, {"changes-before", "2.66", "text"}, {"locked", "2.73", "text"}}}
)

// queries are the operations whose query strings are not plain.
var queries = map[string]query{
	"GET /": {}, "GET /versions/{id}": {},
	"GET /flavors": ofFlavor, "GET /flavors/detail": ofFlavor,
	"GET /servers": ofServers, "GET /servers/detail": ofServers, "GET /os-volumes_boot": ofServers, "GET /os-volumes_boot/detail": ofServers,
	"GET /limits":      {"2.75", []param{{"tenant_id", "", "text"}}},
	"GET /os-keypairs": {"2.75", []param{{"user_id", "2.10", "text"}, {"limit", "2.35", "count"}, {"marker", "2.35", "text"}}}, "GET /os-keypairs/{name}": ofKeys,
	"DELETE /os-keypairs/{name}":   ofKeys,
	"GET /os-quota-sets/{project}": ofUser, "PUT /os-quota-sets/{project}": ofUser, "DELETE /os-quota-sets/{project}": ofUser, "GET /os-quota-sets/{project}/detail": ofUser,
	"GET /os-quota-sets/{project}/defaults": {},
	"GET /os-hypervisors":                   fleet, "GET /os-hypervisors/detail": fleet, "GET /os-hypervisors/{id}": {"2.53", []param{{"with_servers", "2.53", "bool!"}}},
	"GET /os-services":            {"2.75", []param{{"binary host", "", "text"}}},
	"GET /os-server-groups":       {"2.75", append([]param{{"all_projects", "", "text"}}, paging...)},
	"GET /os-simple-tenant-usage": usageAll, "GET /os-simple-tenant-usage/{project}": usageOne,
	"GET /os-migrations": {"2.59", []param{{"hidden host instance_uuid migration_type source_compute status", "", "text"}, {"changes-since marker", "2.59", "text!"},
		{"limit", "2.59", "count!"}, {"changes-before", "2.66", "text!"}, {"project_id user_id", "2.80", "text!"}}},
	"GET /servers/{id}/os-instance-actions":   {"2.58", []param{{"changes-since marker", "2.58", "text!"}, {"limit", "2.58", "count!"}, {"changes-before", "2.66", "text!"}}},
	"GET /servers/{id}/os-volume_attachments": {"2.75", paging}, "GET /servers/{id}/os-volume_attachments/{volume}": {},
	"GET /servers/{id}/tags": {}, "GET /servers/{id}/tags/{tag}": {},
	"GET /servers/{id}/shares": {strict: "2.97"}, "GET /servers/{id}/shares/{share}": {strict: "2.97"},
	"GET /os-console-auth-tokens/{token}":       {strict: "2.99"},
	"DELETE /os-assisted-volume-snapshots/{id}": {"2.75", []param{{"delete_info", "", "text"}}},
	"GET /os-hosts":   {"", []param{{"zone", "", "text"}}},
	"GET /os-volumes": {"", paging}, "GET /os-volumes/detail": {"", paging}, "GET /os-snapshots": {"", paging}, "GET /os-snapshots/detail": {"", paging},
	"GET /os-security-groups": {"", append([]param{{"all_tenants", "", "text"}}, paging...)},
	"GET /images":             ofImages, "GET /images/detail": ofImages,
}

var ofImages = query{"", []param{{"changes-since marker minDisk minRam name server status type", "", "text"}, {"limit offset page_size", "", "count1"}}}

// mayQuery holds a request's query string to its operation's table and takes from
// it what the operation does not know at that version.
func mayQuery(route rest.Route, r *rest.Request) error {
	key := route.Method + " " + route.Path
	q, ok := queries[key]
	switch {
	case ok:
	case route.Method == "GET" && !strings.HasSuffix(route.Path, "/kilonova-placement"):
		q = plain
	default:
		return nil
	}
	for name, values := range r.Query {
		p := q.find(name, r.Version)
		if p == nil {
			if loosely(key, name) {
				continue
			}
			if q.strict != "" && r.Version.AtLeast(q.strict) {
				return fault.Invalidf("Invalid input for query parameters. Additional properties are not allowed ('%.64s' was unexpected)", name)
			}
			delete(r.Query, name)
			continue
		}
		kind, once := strings.CutSuffix(p.kind, "!")
		if once && len(values) > 1 && r.Version.AtLeast(q.strict) {
			return fault.Invalidf("Invalid input for query parameters %s. It is given %d times, where once is allowed.", name, len(values))
		}
		for _, v := range values {
			if !fits(kind, v) {
				return fault.Invalidf("Invalid input for query parameters %s. Value: %.128s. It is not of the kind %.64s", name, v, kind)
			}
		}
	}
	return nil
}

// loosely reports names of which there are as many as clients think of.
func loosely(key, name string) bool {
	switch {
	case strings.HasPrefix(key, "GET /images"):
		return strings.HasPrefix(name, "property-")
	case strings.HasPrefix(key, "GET /servers"):
		return strings.HasPrefix(name, "_") // what clients add against caches
	}
	return false
}

func (q query) find(name string, v rest.Version) *param {
	for i, p := range q.params {
		if (p.since == "" || v.AtLeast(p.since)) && slices.Contains(strings.Fields(p.names), name) {
			return &q.params[i]
		}
	}
	return nil
}

func fits(kind, value string) bool {
	switch kind {
	case "text":
		return true
	case "count", "count1":
		n, err := strconv.ParseUint(value, 10, 63)
		return err == nil && value[0] != '+' && (kind == "count" || n > 0)
	case "bool":
		_, err := rest.ParseBool(value)
		return err == nil
	case "regex":
		_, err := regexp.Compile(value)
		return err == nil
	case "host":
		return len(value) > 0 && len(value) <= 255 && rest.Patterns["hostname"].MatchString(value)
	}
	return slices.Contains(strings.Split(kind, "|"), value)
}
