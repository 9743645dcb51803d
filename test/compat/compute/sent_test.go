package compute

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"kilonova/internal/rest"
)

// bodiesOf says which operation the samples of requests are of that are no actions,
// by the beginnings of their names in their folders.
var bodiesOf = []struct{ start, key string }{
	{"flavor-access/flavor-create", "POST /flavors"},
	{"flavor-manage/flavor-create", "POST /flavors"},
	{"flavor-manage/flavor-update", "PUT /flavors/{id}"},
	{"flavor-extra-specs/flavor-extra-specs-create", "POST /flavors/{flavor_id}/os-extra_specs"},
	{"flavor-extra-specs/flavor-extra-specs-update", "PUT /flavors/{flavor_id}/os-extra_specs/{id}"},
	{"images/image-meta-key-put", "PUT /images/{image_id}/metadata/{id}"},
	{"images/image-metadata-post", "POST /images/{image_id}/metadata"},
	{"images/image-metadata-put", "PUT /images/{image_id}/metadata"},
	{"os-agents/agent-post", "POST /os-agents"},
	{"os-agents/agent-update", "PUT /os-agents/{id}"},
	{"os-aggregates/aggregate-post", "POST /os-aggregates"},
	{"os-aggregates/aggregate-update", "PUT /os-aggregates/{id}"},
	{"os-aggregates/aggregate-images", "POST /os-aggregates/{id}/images"},
	{"os-assisted-volume-snapshots/", "POST /os-assisted-volume-snapshots"},
	{"os-attach-interfaces/", "POST /servers/{server_id}/os-interface"},
	{"os-cloudpipe/cloud-pipe-create", "POST /os-cloudpipe"},
	{"os-cloudpipe/cloud-pipe-update", "PUT /os-cloudpipe/{id}"},
	{"os-console-auth-tokens/create", "POST /servers/{server_id}/remote-consoles"},
	{"os-remote-consoles/create", "POST /servers/{server_id}/remote-consoles"},
	{"os-fixed-ips/", "POST /os-fixed-ips/{id}/action reserve"},
	{"os-floating-ip-dns/floating-ip-dns-create-or-update-entry", "PUT /os-floating-ip-dns/{domain_id}/entries/{id}"},
	{"os-floating-ip-dns/floating-ip-dns-create-or-update", "PUT /os-floating-ip-dns/{id}"},
	{"os-floating-ips-bulk/floating-ips-bulk-create", "POST /os-floating-ips-bulk"},
	{"os-floating-ips-bulk/floating-ips-bulk-delete", "PUT /os-floating-ips-bulk/{id}"},
	{"os-floating-ips/", "POST /os-floating-ips"},
	{"os-hosts/host-put", "PUT /os-hosts/{id}"},
	{"os-keypairs/", "POST /os-keypairs"},
	{"os-multiple-create/", "POST /servers"},
	{"os-networks/network-add", "POST /os-networks/add"},
	{"os-networks/network-create", "POST /os-networks"},
	{"os-networks-associate/network-disassociate-req", "POST /os-networks/{id}/action disassociate"},
	{"os-quota-class-sets/", "PUT /os-quota-class-sets/{id}"},
	{"os-quota-sets", "PUT /os-quota-sets/{id}"},
	{"os-security-group-default-rules/", "POST /os-security-group-default-rules"},
	{"os-security-groups/security-group-post", "POST /os-security-groups"},
	{"os-security-groups/security-group-rules-post", "POST /os-security-group-rules"},
	{"os-server-external-events/", "POST /os-server-external-events"},
	{"os-server-groups/", "POST /os-server-groups"},
	{"servers/server-groups", "POST /os-server-groups"},
	{"os-server-shares/server-shares-create", "POST /servers/{server_id}/shares"},
	{"os-server-shares/server-shares-delete", "DELETE /servers/{server_id}/shares/{id}"},
	{"os-server-tags/", "PUT /servers/{server_id}/tags"},
	{"os-services/", "PUT /os-services/{id}"},
	{"os-snapshots/", "POST /os-snapshots"},
	{"os-tenant-networks/", "POST /os-tenant-networks"},
	{"os-volume_attachments/attach", "POST /servers/{server_id}/os-volume_attachments"},
	{"os-volume_attachments/update", "PUT /servers/{server_id}/os-volume_attachments/{id}"},
	{"os-volumes/", "POST /os-volumes"},
	{"server-metadata/server-metadata-all", "POST /servers/{server_id}/metadata"},
	{"server-metadata/server-metadata-req", "PUT /servers/{server_id}/metadata/{id}"},
	{"servers/server-create-req", "POST /servers"},
	{"servers/server-update", "PUT /servers/{id}"},
	{"servers/server-put", "PUT /servers/{id}"},
}

// operationOf finds the operation that a sample is sent to.
func (c *contract) operationOf(s sample) (operation, bool) {
	short := unversioned(s.file)
	for _, b := range bodiesOf {
		if strings.HasPrefix(short, b.start) {
			for _, o := range c.operations {
				if alike(o.key()) == alike(b.key) {
					return o, true
				}
			}
			return operation{}, false
		}
	}
	for _, o := range c.sorted() {
		if o.Action != nil && *o.Action == shown(s.body) && !strings.Contains(o.Path, "os-volumes_boot") {
			return o, true
		}
	}
	return operation{}, false
}

// unversioned is a sample's folder and name.
func unversioned(file string) string {
	file = filepath.ToSlash(file)
	folder, _, _ := strings.Cut(file, "/")
	return folder + "/" + file[strings.LastIndexByte(file, '/')+1:]
}

// requestAt is the schema of what is sent at a version, nil if there is none.
func (c *contract) requestAt(o operation, v rest.Version) (*jsonschema.Schema, error) {
	for _, s := range o.Requests {
		if (s.Max == nil || *s.Max != "2.0") && !v.Less(version(s.Min, lowest)) && !version(s.Max, highest).Less(v) {
			return c.schema(s.Schema)
		}
	}
	return nil, nil
}

// sendSamples sends every body that upstream gives as an example of a request, with
// ids and names of what there is here, and returns what became of each by its file.
func (w *walker) sendSamples(t *testing.T) map[string]string {
	own := w.network("POST", "/networks", obj{"network": obj{"name": "own"}})["network"].(obj)["id"] // what "auto" finds
	w.network("POST", "/subnets", obj{"subnet": obj{"network_id": own, "ip_version": 4, "cidr": "10.99.0.0/24"}})
	w.user = w.someUser()
	w.user.must("POST", "/os-keypairs", "2.1", obj{"keypair": obj{"name": "k"}})
	verdicts := map[string]string{}
	bodies := map[string]any{}
	for _, s := range w.c.allSamples(t) {
		bodies[s.file] = s.body
	}
	for _, s := range w.c.allSamples(t) {
		if !w.c.isSent(s) {
			continue
		}
		t.Run("sample|"+strings.ReplaceAll(s.file, "/", "|"), func(t *testing.T) {
			w.t, w.user.t = t, t
			w.unlimited()
			w.down("")
			if strings.HasPrefix(s.file, "os-quota-sets") { // the quotas in these are small
				w.sweep()
			}
			verdicts[s.file] = w.sendSample(s, bodies[pairOf(s.file, bodies)])
		})
	}
	w.t, w.user.t = t, t
	w.must("PUT", "/os-services/enable", "2.1", obj{"host": "dev-1", "binary": "nova-compute"})
	return verdicts
}

// sendSample sends one; the answer is to be like upstream's, if there is a sample of that.
func (w *walker) sendSample(s sample, theirs any) (verdict string) {
	w.t.Helper()
	o, known := w.c.operationOf(s)
	if !known {
		w.t.Errorf("%s: no operation takes it", s.file)
		return "FAILS"
	}
	r, sender := w.sampleRequest(o, s), w
	if w.byUser(s) {
		sender = w.user
	}
	status, data := sender.call(o.Method, w.url+r.path, s.version, r.body)
	want, verdict := w.sampleStatus(o, s, r)
	if status != want {
		body, _ := json.Marshal(r.body)
		w.t.Errorf("%s %s at %s with %.1500s: %d, want %d: %.400s", o.Method, r.path, s.version, body, status, want, data)
		return "FAILS"
	}
	if want >= 300 || theirs == nil {
		return verdict
	}
	var ours any
	if err := json.Unmarshal(data, &ours); err != nil {
		w.t.Errorf("%.300s: %v", data, err)
		return "FAILS"
	}
	w.answers = append(w.answers, answer{o.key(), s.version, ours})
	if why := apart("", theirs, ours, false); why != "" && strings.HasPrefix(unversioned(s.file), "os-volumes/os-volumes-post") {
		return verdict + "; the answer has no attachments, while upstream's stand-in says of a new volume that it is attached"
	} else if why != "" {
		w.t.Errorf("the answer is not like upstream's: %s: %.1000s", why, data)
		return "FAILS"
	}
	return verdict + "; the answer has the shape of its sample"
}

// byUser reports samples whose answers are those to a user who is no administrator.
func (w *walker) byUser(s sample) bool {
	short := unversioned(s.file)
	return (strings.HasPrefix(short, "servers/server-action-rebuild") || strings.HasPrefix(short, "servers/server-update")) && s.version.AtLeast("2.90")
}

// sampleStatus is with what a sample is to be answered, and what that means.
func (w *walker) sampleStatus(o operation, s sample, r request) (int, string) {
	w.t.Helper()
	if o.Removed != nil {
		return 410, "sent; the operation is gone, as upstream (410)"
	}
	short := unversioned(s.file)
	for start, x := range refusedSamples {
		if strings.HasPrefix(short, start) {
			return x.status, fmt.Sprintf("sent; refused with %d: %s", x.status, x.why)
		}
	}
	schema, err := w.c.requestAt(o, s.version)
	if err != nil {
		w.t.Fatal(err)
	}
	var body any
	data, err := json.Marshal(r.body)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &body); err != nil {
		w.t.Fatal(err)
	}
	if schema != nil {
		if err := schema.Validate(body); err != nil {
			return 400, "sent; upstream's schema of its version refuses it, and so do we"
		}
	}
	want := 200
	if o.Status != nil {
		want = *o.Status
	}
	if special, ok := statuses[o.key()]; ok {
		want = special(s.version)
	}
	return want, "sent and taken"
}

// refusedSamples are those that are right and cannot be had here.
var refusedSamples = map[string]struct {
	status int
	why    string
}{
	"images/image-metadata-post":                 {400, "a kernel_id is an image's id for our image service and upstream's; the sample is of a stand-in that does not look"},
	"os-remote-consoles/create-rdp":              {400, "no hypervisor has such consoles any more"},
	"os-remote-consoles/create-mks":              {400, "VMware's consoles; the walk's hypervisor is another"},
	"os-remote-consoles/create-spice-direct":     {400, "the walk's hypervisor has its SPICE consoles behind a proxy"},
	"os-console-auth-tokens/create-spice-direct": {400, "the walk's hypervisor has its SPICE consoles behind a proxy"},
}

// pairOf finds the sample of the answer to one of a request.
func pairOf(file string, all map[string]any) string {
	folder, name := filepath.Split(file)
	name = strings.TrimSuffix(name, ".json")
	if special, ok := pairs[name]; ok {
		name = special
	} else if strings.Contains(name, "-req") {
		name = strings.TrimSuffix(name, "-req") + "-resp"
	} else {
		name += "-resp"
	}
	if file := folder + name + ".json"; all[file] != nil {
		return file
	}
	return ""
}

// pairs are samples whose answers are called otherwise.
var pairs = map[string]string{
	"aggregate-add-host-post-req": "aggregates-add-host-post-resp", "aggregate-metadata-post-req": "aggregates-metadata-post-resp", "aggregate-remove-host-post-req": "aggregates-remove-host-post-resp",
	"attach-interfaces-create-net_id-req": "attach-interfaces-create-resp", "security-group-post-req": "security-groups-create-resp",
	"server-create-req-with-host-and-node": "server-create-resp", "server-create-req-with-only-host": "server-create-resp", "server-create-req-with-only-node": "server-create-resp",
	"server-put-req": "server-put-resp", "server-shares-create-req": "server-shares-admin-create-resp", "server-shares-create-tag-req": "server-shares-admin-create-resp",
	"server-rescue-req-with-image-ref": "server-rescue", "server-rescue-req": "server-rescue", "networks-post-req": "networks-post-res",
}

// allSamples reads every sample; one that is no JSON has no body.
func (c *contract) allSamples(t *testing.T) []sample {
	t.Helper()
	root := filepath.Join(filepath.Dir(c.dir), "api_samples")
	var all []sample
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s := sample{version: rest.V(lowest)}
		s.file, _ = filepath.Rel(root, path)
		if at := sampleVersion.FindStringSubmatch(filepath.ToSlash(s.file)); at != nil {
			s.version = rest.V("2." + at[1] + at[2])
		}
		if json.Unmarshal(data, &s.body) != nil {
			s.body = nil
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sampleVersion finds a sample's version in its folder's name, or else its own.
var sampleVersion = regexp.MustCompile(`/v2\.(\d+)/|-v2(\d+)\.json$`)

// isSent reports samples of requests.
func (c *contract) isSent(s sample) bool {
	return s.body != nil && (strings.HasSuffix(s.file, "-req.json") || c.asks(s))
}
