package cloud

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
)

// world is a cloud with one of everything, whose ids stand in the paths and
// bodies that are mangled. What it holds may be harmed: nothing else lives on it.
type world struct {
	*cloud
	names    map[string]string // in seeds, $NAME
	of       map[string]string // by the segment before a wildcard: /servers/{id}
	stranger *user             // of a project that owns nothing
	tokens   map[string]string // "good", "demo", "expired", …
}

// furniture is what a world is furnished with, in order: a name, and the request
// of the administrator that makes it.
var furniture = []struct{ name, service, path, body string }{
	{"PROJECT", "identity", "/v3/projects", `{"project": {"name": "victim", "domain_id": "default"}}`},
	{"DOMAIN", "identity", "/v3/domains", `{"domain": {"name": "victim"}}`},
	{"USER", "identity", "/v3/users", `{"user": {"name": "victim", "domain_id": "default", "password": "pw"}}`},
	{"GROUP", "identity", "/v3/groups", `{"group": {"name": "victim", "domain_id": "default"}}`},
	{"ROLE", "identity", "/v3/roles", `{"role": {"name": "victim"}}`},
	{"SERVICE", "identity", "/v3/services", `{"service": {"name": "victim", "type": "victim"}}`},
	{"REGION", "identity", "/v3/regions", `{"region": {"id": "victim"}}`},
	{"ENDPOINT", "identity", "/v3/endpoints", `{"endpoint": {"interface": "admin", "service_id": "$SERVICE", "url": "http://127.0.0.1/"}}`},
	{"POLICY", "identity", "/v3/policies", `{"policy": {"blob": "{}", "type": "application/json"}}`},
	{"CREDENTIAL", "identity", "/v3/credentials", `{"credential": {"blob": "{}", "type": "cert", "user_id": "$USER"}}`},
	{"IMAGE", "image", "/v2/images", `{"name": "victim", "disk_format": "raw", "container_format": "bare"}`},
	{"NETWORK", "network", "/v2.0/networks", `{"network": {"name": "victim"}}`},
	{"SUBNET", "network", "/v2.0/subnets", `{"subnet": {"network_id": "$NETWORK", "ip_version": 4, "cidr": "10.9.0.0/24"}}`},
	{"PORT", "network", "/v2.0/ports", `{"port": {"network_id": "$NETWORK"}}`},
	{"ROUTER", "network", "/v2.0/routers", `{"router": {"name": "victim"}}`},
	{"SECGROUP", "network", "/v2.0/security-groups", `{"security_group": {"name": "victim"}}`},
	{"RULE", "network", "/v2.0/security-group-rules", `{"security_group_rule": {"security_group_id": "$SECGROUP", "direction": "ingress", "protocol": "tcp"}}`},
	{"FLAVOR", "compute", "/v2.1/flavors", `{"flavor": {"name": "victim", "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": false}}`},
	{"PROVIDER", "placement", "/resource_providers", `{"name": "victim"}`},
}

// segments say which thing a wildcard in a path may be.
var segments = map[string]string{"projects": "PROJECT", "domains": "DOMAIN", "users": "USER", "groups": "GROUP", "roles": "ROLE", "services": "SERVICE",
	"regions": "REGION", "endpoints": "ENDPOINT", "policies": "POLICY", "credentials": "CREDENTIAL", "images": "IMAGE", "networks": "NETWORK",
	"subnets": "SUBNET", "ports": "PORT", "routers": "ROUTER", "security-groups": "SECGROUP", "security-group-rules": "RULE", "flavors": "FLAVOR",
	"servers": "SERVER", "resource_providers": "PROVIDER", "os-quota-sets": "PROJECT", "quotas": "PROJECT", "allocations": "CONSUMER"}

func newWorld(t *testing.T, c *cloud) *world {
	t.Helper()
	hostsUp(t, c)
	w := &world{cloud: c, names: map[string]string{"NONE": "6d5b4f5e-0000-4000-8000-000000000000", "CONSUMER": "6d5b4f5e-0000-4000-8000-00000000c0de"},
		of: map[string]string{}, tokens: map[string]string{}}
	for _, f := range furniture {
		w.names[f.name] = w.make(t, f.service, f.path, w.fill(f.body))
	}
	w.names["SERVER"] = boot(t, c, c.demo, "victim").ID
	w.names["DEMO"], w.names["TENANT"] = whose(t, c.demo)
	w.names["PRIVATE"] = networkID(t, c.demo, "private")
	if _, err := keypairs.Create(t.Context(), c.demo.compute, keypairs.CreateOpts{Name: "victim"}).Extract(); err != nil {
		t.Fatal(err)
	}
	w.names["PUBLIC"], w.names["CIRROS"] = networkID(t, c.demo, "public"), imageID(t, c.demo)
	for segment, name := range segments {
		w.of[segment] = w.names[name]
	}
	w.strange(t)
	return w
}

// fill puts names into a seed.
func (w *world) fill(text string) string {
	for name, id := range w.names {
		text = strings.ReplaceAll(text, "$"+name, id)
	}
	return text
}

// make makes a thing and returns its id.
func (w *world) make(t *testing.T, service, path, body string) string {
	t.Helper()
	answer := w.do(t.Context(), t, request{service: service, method: "POST", path: path, token: w.admin.provider.Token(), body: []byte(body),
		header: map[string]string{"OpenStack-API-Version": "placement 1.38"}})
	id := idIn(answer.body)
	if answer.status >= 300 || id == "" {
		t.Fatalf("POST %s %s: %d %s", path, body, answer.status, answer.body)
	}
	return id
}

// strange makes a user of another project, and the tokens that requests come with.
func (w *world) strange(t *testing.T) {
	t.Helper()
	w.stranger = newUser(t, w.cloud, "stranger")
	w.tokens["nova"] = w.login(t, "nova", w.config.Secrets.NovaPassword, "service").provider.Token()
	w.tokens["good"], w.tokens["demo"], w.tokens["stranger"] = w.admin.provider.Token(), w.demo.provider.Token(), w.stranger.provider.Token()
	if _, err := w.stranger.network.Get(t.Context(), w.stranger.network.ServiceURL("security-groups"), nil, &gophercloud.RequestOpts{}); err != nil {
		t.Fatal(err) // the project has its default group from now on
	}
	good := w.tokens["good"]
	w.tokens["none"], w.tokens["garbage"], w.tokens["cut"] = "", "gAAAAA-this-is-no-token", good[:len(good)-9]
	w.tokens["turned"] = good[:20] + "AAAA" + good[24:]
	w.tokens["long"] = strings.Repeat("gAAA", 4000)
	w.tokens["expired"] = expired(t, w.cloud)
}

// answer is what came back for a request.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// seed is a valid request for a row of a
// service's table.
type seed struct {
	service, route string // "POST /servers"
	body           string
	version        string // microversion
	as             string // whose token; "" the administrator's
	at             string // the path, where it is not made of the route and what the world holds
	media          string // its type; "" JSON
	refused        []int  // what it is answered although its form is right
}

func (s seed) String() string { return fmt.Sprintf("%s %s", s.service, s.route) }

// seeds are valid bodies; what is mangled starts from them.
var seeds = []seed{
	{service: "compute", route: "POST /servers", as: "demo", version: "2.90", body: `{"server": {"name": "s", "description": "d", "flavorRef": "1", "imageRef": "$CIRROS",
		"networks": [{"uuid": "$PRIVATE", "tag": "t", "fixed_ip": "10.0.0.99"}], "metadata": {"k": "v"}, "tags": ["a"], "hostname": "hh", "key_name": "victim",
		"user_data": "YQ==", "min_count": 1, "max_count": 1, "config_drive": true, "availability_zone": "nova", "accessIPv4": "1.2.3.4", "OS-DCF:diskConfig": "AUTO",
		"security_groups": [{"name": "default"}], "adminPass": "x", "block_device_mapping_v2": [{"uuid": "$CIRROS", "source_type": "image",
		"destination_type": "local", "boot_index": 0, "delete_on_termination": true}]}, "os:scheduler_hints": {"same_host": ["$SERVER"], "query": "[]", "cidr": "/24",
		"build_near_host_ip": "1.2.3.4"}}`},
	{service: "compute", route: "PUT /servers/{id}", as: "demo", version: "2.90", body: `{"server": {"name": "n", "description": "d", "hostname": "hh", "accessIPv4": "1.2.3.4", "accessIPv6": "::1", "OS-DCF:diskConfig": "AUTO"}}`},
	{service: "compute", route: "POST /servers/{id}/action reboot", as: "demo", body: `{"reboot": {"type": "SOFT"}}`},
	{service: "compute", route: "POST /servers/{id}/action os-getConsoleOutput", as: "demo", body: `{"os-getConsoleOutput": {"length": 5}}`},
	{service: "compute", route: "POST /servers/{id}/action addSecurityGroup", as: "demo", body: `{"addSecurityGroup": {"name": "default"}}`},
	{service: "compute", route: "POST /servers/{id}/action resize", as: "demo", refused: []int{400}, body: `{"resize": {"flavorRef": "none", "OS-DCF:diskConfig": "AUTO"}}`},
	{service: "compute", route: "POST /servers/{id}/action migrate", version: "2.56", refused: []int{400}, body: `{"migrate": {"host": "nowhere"}}`},
	{service: "compute", route: "POST /servers/{id}/action os-migrateLive", version: "2.30", refused: []int{400}, body: `{"os-migrateLive": {"host": "nowhere", "block_migration": "auto", "force": true}}`},
	{service: "compute", route: "POST /servers/{id}/action evacuate", version: "2.29", refused: []int{404}, body: `{"evacuate": {"host": "nowhere", "adminPass": "x", "force": true}}`},
	{service: "compute", route: "POST /servers/{id}/action rebuild", as: "demo", version: "2.90", refused: []int{400}, body: `{"rebuild": {"imageRef": "6d5b4f5e-0000-4000-8000-0000000000ee", "name": "n",
		"description": "d", "adminPass": "x", "metadata": {"a": "b"}, "OS-DCF:diskConfig": "AUTO", "accessIPv4": "1.2.3.4", "accessIPv6": "::1", "preserve_ephemeral": false, "key_name": "victim",
		"user_data": "YQ==", "trusted_image_certificates": ["x"], "hostname": "hh"}}`},
	{service: "compute", route: "POST /servers/{id}/metadata", as: "demo", body: `{"metadata": {"a": "b"}}`},
	{service: "compute", route: "PUT /servers/{id}/metadata", as: "demo", body: `{"metadata": {"a": "b"}}`},
	{service: "compute", route: "POST /servers/{id}/os-interface", as: "demo", version: "2.49", body: `{"interfaceAttachment": {"net_id": "$PRIVATE", "fixed_ips": [{"ip_address": "10.0.0.98"}], "tag": "x"}}`},
	{service: "compute", route: "POST /os-keypairs", as: "demo", version: "2.10", body: `{"keypair": {"name": "mangled", "type": "ssh",
		"public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx6Yk2t8pOjJDLCgVYGtHyOQ0mAGJHUxkEK7VYO6qVn x"}}`},
	{service: "compute", route: "POST /flavors", version: "2.55", body: `{"flavor": {"name": "mangled", "id": "mangled", "ram": 64, "vcpus": 1, "disk": 1, "swap": 1,
		"OS-FLV-EXT-DATA:ephemeral": 1, "rxtx_factor": 1.0, "os-flavor-access:is_public": true, "description": "d"}}`},
	{service: "compute", route: "PUT /flavors/{id}", version: "2.55", body: `{"flavor": {"description": "d"}}`},
	{service: "compute", route: "POST /flavors/{id}/os-extra_specs", body: `{"extra_specs": {"hw:cpu_policy": "shared"}}`},
	{service: "compute", route: "POST /flavors/{id}/action addTenantAccess", body: `{"addTenantAccess": {"tenant": "$PROJECT"}}`},
	{service: "compute", route: "PUT /os-quota-sets/{project}", body: `{"quota_set": {"instances": 5, "cores": 9, "force": true}}`},
	{service: "compute", route: "POST /os-aggregates", version: "2.41", body: `{"aggregate": {"name": "mangled", "availability_zone": "z"}}`},
	{service: "compute", route: "PUT /os-aggregates/{id}", at: "/v2.1/os-aggregates/1", body: `{"aggregate": {"name": "mangled2", "availability_zone": "z2"}}`},
	{service: "compute", route: "POST /os-aggregates/{id}/action add_host", at: "/v2.1/os-aggregates/1/action", refused: []int{404}, body: `{"add_host": {"host": "h"}}`},
	{service: "compute", route: "POST /os-aggregates/{id}/action remove_host", at: "/v2.1/os-aggregates/1/action", refused: []int{404}, body: `{"remove_host": {"host": "h"}}`},
	{service: "compute", route: "POST /os-aggregates/{id}/action set_metadata", at: "/v2.1/os-aggregates/1/action", body: `{"set_metadata": {"metadata": {"a": "b", "c": null}}}`},
	{service: "compute", route: "POST /os-aggregates/{id}/images", version: "2.81", at: "/v2.1/os-aggregates/1/images", body: `{"cache": [{"id": "$CIRROS"}]}`},
	{service: "compute", route: "POST /os-server-groups", as: "demo", version: "2.64", body: `{"server_group": {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}}`},
	{service: "compute", route: "POST /os-server-groups", as: "demo", version: "2.15", body: `{"server_group": {"name": "g", "policies": ["soft-affinity"]}}`},
	{service: "compute", route: "POST /os-server-external-events", body: `{"events": [{"name": "network-changed", "server_uuid": "$SERVER", "tag": "t", "status": "completed"}]}`},
	{service: "network", route: "POST /v2.0/networks", as: "demo", body: `{"network": {"name": "n", "admin_state_up": true, "mtu": 1400, "description": "d", "port_security_enabled": true,
		"availability_zone_hints": [], "dns_domain": "a.b."}}`},
	{service: "network", route: "PUT /v2.0/networks/{id}", body: `{"network": {"name": "n", "admin_state_up": true, "shared": false, "router:external": false, "mtu": 1300}}`},
	{service: "network", route: "POST /v2.0/subnets", body: `{"subnet": {"network_id": "$NETWORK", "ip_version": 4, "cidr": "10.8.0.0/24", "gateway_ip": "10.8.0.1", "enable_dhcp": true,
		"allocation_pools": [{"start": "10.8.0.9", "end": "10.8.0.20"}], "dns_nameservers": ["1.1.1.1"], "host_routes": [{"destination": "1.0.0.0/8", "nexthop": "10.8.0.2"}]}}`},
	{service: "network", route: "PUT /v2.0/subnets/{id}", body: `{"subnet": {"gateway_ip": "10.9.0.1", "dns_nameservers": ["1.1.1.1"], "allocation_pools": [{"start": "10.9.0.9", "end": "10.9.0.99"}]}}`},
	{service: "network", route: "POST /v2.0/ports", body: `{"port": {"network_id": "$NETWORK", "name": "p", "mac_address": "fa:16:3e:00:00:77", "admin_state_up": true,
		"fixed_ips": [{"subnet_id": "$SUBNET", "ip_address": "10.9.0.77"}], "security_groups": ["$SECGROUP"], "allowed_address_pairs": [{"ip_address": "10.9.0.3", "mac_address": "fa:16:3e:00:00:78"}],
		"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}], "device_id": "x", "device_owner": "y", "binding:host_id": "h", "binding:profile": {"a": 1},
		"binding:vnic_type": "normal", "dns_name": "z", "port_security_enabled": true}}`},
	{service: "network", route: "PUT /v2.0/ports/{id}", body: `{"port": {"name": "p", "fixed_ips": [{"ip_address": "10.9.0.50"}], "security_groups": [], "device_id": "d", "binding:host_id": ""}}`},
	{service: "network", route: "POST /v2.0/routers", body: `{"router": {"name": "r", "admin_state_up": true, "external_gateway_info": {"network_id": "$PUBLIC", "enable_snat": true,
		"external_fixed_ips": [{"ip_address": "172.24.4.99"}]}, "distributed": false, "ha": false}}`},
	{service: "network", route: "PUT /v2.0/routers/{id}", body: `{"router": {"name": "r", "routes": [{"destination": "1.0.0.0/8", "nexthop": "172.24.4.1"}], "external_gateway_info": {"network_id": "$PUBLIC"}}}`},
	{service: "network", route: "PUT /v2.0/routers/{id}/add_router_interface", body: `{"subnet_id": "$SUBNET"}`},
	{service: "network", route: "PUT /v2.0/routers/{id}/remove_router_interface", refused: []int{404}, body: `{"port_id": "$PORT"}`},
	{service: "network", route: "PUT /v2.0/routers/{id}/add_extraroutes", refused: []int{400}, body: `{"router": {"routes": [{"destination": "1.0.0.0/8", "nexthop": "10.9.0.3"}]}}`},
	{service: "network", route: "POST /v2.0/floatingips", refused: []int{400, 404}, body: `{"floatingip": {"floating_network_id": "$PUBLIC", "port_id": "$PORT", "fixed_ip_address": "10.9.0.3", "floating_ip_address": "172.24.4.88", "description": "d"}}`},
	{service: "network", route: "POST /v2.0/security-groups", body: `{"security_group": {"name": "g", "description": "d", "stateful": true}}`},
	{service: "network", route: "PUT /v2.0/security-groups/{id}", body: `{"security_group": {"name": "g", "description": "d"}}`},
	{service: "network", route: "POST /v2.0/security-group-rules", body: `{"security_group_rule": {"security_group_id": "$SECGROUP", "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
		"port_range_min": 80, "port_range_max": 90, "remote_ip_prefix": "10.0.0.0/8", "description": "d"}}`},
	{service: "network", route: "POST /v2.0/rbac-policies", body: `{"rbac_policy": {"object_type": "network", "object_id": "$NETWORK", "action": "access_as_shared", "target_tenant": "$PROJECT"}}`},
	{service: "network", route: "PUT /v2.0/quotas/{id}", body: `{"quota": {"network": 10, "port": 50}}`},
	{service: "network", route: "PUT /v2.0/networks/{id}/tags", body: `{"tags": ["a", "b"]}`},
	{service: "image", route: "POST /v2/images", as: "demo", body: `{"id": "6d5b4f5e-0000-4000-8000-0000000000aa", "name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "private", "min_disk": 1,
		"min_ram": 1, "protected": false, "tags": ["a"], "hw_rng_model": "virtio", "os_hidden": false}`},
	{service: "image", route: "PATCH /v2/images/{id}", media: "application/openstack-images-v2.1-json-patch",
		body: `[{"op": "replace", "path": "/name", "value": "n"}, {"op": "add", "path": "/a~1b", "value": "c"}, {"op": "replace", "path": "/min_disk", "value": 1}]`},
	{service: "image", route: "POST /v2/images/{id}/members", body: `{"member": "$PROJECT"}`},
	{service: "image", route: "POST /v2/images/{id}/import", refused: []int{409}, body: `{"method": {"name": "glance-direct"}, "all_stores": true, "stores": ["file"]}`},
	{service: "image", route: "POST /v2/images/{id}/locations", refused: []int{400, 409}, body: `{"url": "http://127.0.0.1/disk", "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "ab"}}`},
	{service: "image", route: "POST /v2/tasks", refused: []int{400}, body: `{"type": "import", "input": {"import_from": "http://127.0.0.1:1/disk", "import_from_format": "raw", "image_properties": {"name": "n"}}}`},
	{service: "image", route: "POST /v2/metadefs/namespaces", body: `{"namespace": "N::M", "display_name": "d", "visibility": "private", "protected": false, "resource_type_associations": [{"name": "OS::X", "prefix": "p"}],
		"objects": [{"name": "o", "properties": {"p": {"title": "t", "type": "string"}}}], "properties": {"q": {"title": "t", "type": "integer", "minimum": 1}}, "tags": [{"name": "t"}]}`},
	{service: "identity", route: "POST /v3/auth/tokens", body: `{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "demo", "domain": {"id": "default"}, "password": "demo-pw"}}},
		"scope": {"project": {"name": "demo", "domain": {"name": "Default"}}}}}`},
	{service: "identity", route: "POST /v3/users", body: `{"user": {"name": "u", "domain_id": "default", "password": "p", "enabled": true, "default_project_id": "$PROJECT", "email": "e", "options": {"ignore_password_expiry": true}}}`},
	{service: "identity", route: "PATCH /v3/users/{user_id}", body: `{"user": {"name": "victim", "enabled": true, "description": "d", "options": {"lock_password": false}}}`},
	{service: "identity", route: "POST /v3/users/{user_id}/password", body: `{"user": {"original_password": "pw", "password": "pw2"}}`},
	{service: "identity", route: "POST /v3/projects", body: `{"project": {"name": "p", "domain_id": "default", "parent_id": "$PROJECT", "enabled": true, "is_domain": false, "tags": ["a"], "options": {"immutable": false}}}`},
	{service: "identity", route: "PATCH /v3/projects/{project_id}", body: `{"project": {"name": "victim", "description": "d", "enabled": true, "tags": ["x"]}}`},
	{service: "identity", route: "PUT /v3/projects/{project_id}/tags", body: `{"tags": ["a", "b"]}`},
	{service: "identity", route: "POST /v3/domains", body: `{"domain": {"name": "d", "enabled": true, "description": "x"}}`},
	{service: "identity", route: "PATCH /v3/domains/{domain_id}", body: `{"domain": {"name": "victim", "enabled": true}}`},
	{service: "identity", route: "POST /v3/roles", body: `{"role": {"name": "r", "domain_id": "$DOMAIN", "description": "d", "options": {"immutable": false}}}`},
	{service: "identity", route: "POST /v3/groups", body: `{"group": {"name": "g", "domain_id": "default", "description": "d"}}`},
	{service: "identity", route: "POST /v3/services", body: `{"service": {"name": "s", "type": "t", "enabled": true, "description": "d"}}`},
	{service: "identity", route: "POST /v3/endpoints", body: `{"endpoint": {"interface": "public", "service_id": "$SERVICE", "region_id": "victim", "url": "http://x/", "enabled": true}}`},
	{service: "identity", route: "POST /v3/regions", body: `{"region": {"id": "r", "parent_region_id": "victim", "description": "d"}}`},
	{service: "identity", route: "POST /v3/credentials", body: `{"credential": {"blob": "{\"access\": \"a\", \"secret\": \"s\"}", "type": "ec2", "project_id": "$PROJECT", "user_id": "$USER"}}`},
	{service: "identity", route: "POST /v3/registered_limits", body: `{"registered_limits": [{"service_id": "$SERVICE", "region_id": "victim", "resource_name": "r", "default_limit": 5, "description": "d"}]}`},
	{service: "identity", route: "POST /v3/limits", refused: []int{403}, body: `{"limits": [{"service_id": "$SERVICE", "project_id": "$PROJECT", "resource_name": "r", "resource_limit": 5}]}`},
	{service: "identity", route: "POST /v3/OS-TRUST/trusts", as: "demo", body: `{"trust": {"trustor_user_id": "$DEMO", "trustee_user_id": "$USER", "project_id": "$TENANT", "impersonation": true, "expires_at": "2030-01-01T00:00:00.000000Z",
		"remaining_uses": 3, "roles": [{"name": "member"}]}}`},
	{service: "identity", route: "POST /v3/users/{user_id}/application_credentials", as: "demo", at: "/v3/users/$DEMO/application_credentials", body: `{"application_credential": {"name": "c", "secret": "s", "expires_at": "2030-01-01T00:00:00.000000Z", "unrestricted": false,
		"roles": [{"name": "member"}], "access_rules": [{"path": "/v2.1/servers", "method": "GET", "service": "compute"}]}}`},
	{service: "identity", route: "POST /v3/ec2tokens", refused: []int{404}, body: `{"credentials": {"access": "a", "signature": "s", "host": "h", "verb": "GET", "path": "/", "params": {"SignatureVersion": "2", "Timestamp": "2026-01-01T00:00:00Z"}}}`},
	{service: "placement", route: "POST /resource_providers", version: "1.38", body: `{"name": "p", "uuid": "6d5b4f5e-0000-4000-8000-0000000000bb", "parent_provider_uuid": "$PROVIDER"}`},
	{service: "placement", route: "PUT /resource_providers/{uuid}", version: "1.38", body: `{"name": "victim", "parent_provider_uuid": null}`},
	{service: "placement", route: "PUT /resource_providers/{uuid}/inventories", version: "1.38", body: `{"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4, "reserved": 1, "min_unit": 1, "max_unit": 4, "step_size": 1, "allocation_ratio": 2.0}}}`},
	{service: "placement", route: "PUT /resource_providers/{uuid}/traits", refused: []int{409}, version: "1.38", body: `{"resource_provider_generation": 0, "traits": ["HW_CPU_X86_AVX"]}`},
	{service: "placement", route: "PUT /resource_providers/{uuid}/aggregates", refused: []int{409}, version: "1.38", body: `{"resource_provider_generation": 0, "aggregates": ["6d5b4f5e-0000-4000-8000-0000000000cc"]}`},
	{service: "placement", route: "PUT /allocations/{consumer}", version: "1.38", body: `{"allocations": {"$PROVIDER": {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u", "consumer_generation": null, "consumer_type": "INSTANCE"}`},
	{service: "placement", route: "POST /allocations", refused: []int{409}, version: "1.38", body: `{"$CONSUMER": {"allocations": {"$PROVIDER": {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u", "consumer_generation": null, "consumer_type": "INSTANCE"}}`},
	{service: "placement", route: "POST /reshaper", refused: []int{409}, as: "nova", version: "1.38", body: `{"inventories": {"$PROVIDER": {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4}}}}, "allocations": {"$CONSUMER": {"allocations": {},
		"project_id": "p", "user_id": "u", "consumer_generation": null, "consumer_type": "INSTANCE"}}}`},
	{service: "placement", route: "POST /resource_classes", version: "1.38", body: `{"name": "CUSTOM_MANGLED"}`},
}

// newUser makes a project and a user who is a member of it, and logs in.
func newUser(t *testing.T, c *cloud, name string) *user {
	t.Helper()
	var out struct{ Project, User, Role struct{ ID string } }
	ask := func(method, path string, in, out any) {
		t.Helper()
		resp, err := c.admin.identity.Request(t.Context(), method, c.admin.identity.ServiceURL(path), &gophercloud.RequestOpts{JSONBody: in, JSONResponse: out, OkCodes: []int{200, 201, 204}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	type object = map[string]any
	ask("POST", "projects", object{"project": object{"name": name, "domain_id": "default"}}, &out)
	ask("POST", "users", object{"user": object{"name": name, "domain_id": "default", "password": name + "-pw"}}, &out)
	var roles struct{ Roles []struct{ ID string } }
	ask("GET", "roles?name=member", nil, &roles)
	ask("PUT", "projects/"+out.Project.ID+"/users/"+out.User.ID+"/roles/"+roles.Roles[0].ID, nil, nil)
	u := c.login(t, name, name+"-pw", name)
	u.project = out.Project.ID
	return u
}

// expired returns a token that was good once: that of an application credential
// which has ended.
func expired(t *testing.T, c *cloud) string {
	t.Helper()
	token, userID := credentialToken(t, c)
	eventually(t, "a token's end", func() string {
		if status := c.whoAmI(t.Context(), t, token); status != http.StatusUnauthorized {
			return fmt.Sprintf("user %s is still known: %d", userID, status)
		}
		return ""
	})
	return token
}

// whoAmI shows a token to the identity service with itself.
func (c *cloud) whoAmI(ctx context.Context, t *testing.T, token string) int {
	t.Helper()
	return c.do(ctx, t, request{service: "identity", method: "GET", path: "/v3/auth/projects", token: token}).status
}
