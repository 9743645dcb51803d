package compute

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/rest"
)

// answer is what an operation answered at a version.
type answer struct {
	key     string
	version rest.Version
	body    any
}

// named are objects whose members the user, or the cloud, gives names to.
var named = map[string]bool{"metadata": true, "extra_specs": true, "meta": true, "addresses": true, "properties": true, "log": true, "hosts": true, "OS-SCH-HNT:scheduler_hints": true,
	"scheduler_hints": true, "": false}

// sample is one of upstream's answers.
type sample struct {
	file    string
	version rest.Version
	body    any
}

// samples reads upstream's answers; what is sent is no answer.
func (c *contract) samples(t *testing.T) []sample {
	t.Helper()
	root := filepath.Join(filepath.Dir(c.dir), "api_samples")
	var all []sample
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") || strings.HasSuffix(path, "-req.json") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		s := sample{version: rest.V(lowest)}
		s.file, _ = filepath.Rel(root, path)
		if v, ok := strings.CutPrefix(filepath.Base(filepath.Dir(path)), "v"); ok {
			if s.version, err = rest.ParseVersion(v); err != nil {
				s.version = rest.V(lowest)
			}
		}
		if json.Unmarshal(data, &s.body) != nil || c.asks(s) {
			return nil // a few are templates
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// isGone reports samples of what is gone.
func (c *contract) isGone(file string) bool {
	folder, _, _ := strings.Cut(filepath.ToSlash(file), "/")
	there, gone := false, folder == "os-floating-ips-bulk" || folder == "os-networks-associate"
	for _, o := range c.operations {
		if strings.HasPrefix(o.Path+"/", "/"+folder+"/") || strings.HasSuffix(o.Path, "/"+folder) {
			there, gone = there || o.Removed == nil, gone || o.Removed != nil
		}
	}
	return gone && !there
}

// asks reports samples that are what is sent though their names do not say so: the
// bodies of actions, and of requests.
func (c *contract) asks(s sample) bool {
	if strings.Contains(s.file, "-req-") {
		return true
	}
	for _, o := range c.operations {
		if o.Action != nil && *o.Action == shown(s.body) {
			return true
		}
	}
	return false
}

// paths counts a body's members all the way down.
func paths(at string, body any, into map[string]bool) map[string]bool {
	switch body := body.(type) {
	case map[string]any:
		for key, v := range body {
			into[at+"."+key] = true
			if !named[key] {
				paths(at+"."+key, v, into)
			}
		}
	case []any:
		for _, v := range body {
			paths(at+"[]", v, into)
		}
	}
	return into
}

// between is by how many members two bodies differ.
func between(a, b any) (n int) {
	as, bs := paths("", a, map[string]bool{}), paths("", b, map[string]bool{})
	for p := range as {
		if !bs[p] {
			n++
		}
	}
	for p := range bs {
		if !as[p] {
			n++
		}
	}
	return n
}

// apart says where an answer of ours is of another shape than upstream's; "" nowhere.
func apart(at string, theirs, ours any, free bool) string {
	if ours == nil {
		return "" // there is nothing, which is shown as null
	}
	switch theirs := theirs.(type) {
	case map[string]any:
		ours, ok := ours.(map[string]any)
		if !ok {
			return at + " is no object"
		}
		if free {
			return ""
		}
		for _, key := range slices.Sorted(maps.Keys(theirs)) {
			if strings.HasSuffix(key, "_links") {
				continue // is there where there are more
			}
			if _, ok := ours[key]; !ok {
				return at + "." + key + " is missing"
			}
			if why := apart(at+"."+key, theirs[key], ours[key], named[key]); why != "" {
				return why
			}
		}
		for _, key := range slices.Sorted(maps.Keys(ours)) {
			if _, ok := theirs[key]; !ok && !strings.HasSuffix(key, "_links") {
				return at + "." + key + " is too much"
			}
		}
	case []any:
		ours, ok := ours.([]any)
		if !ok {
			return at + " is no list"
		}
		if len(theirs) == 0 || len(ours) == 0 {
			return ""
		}
		why := ""
		for _, x := range ours {
			if why = apart(at+"[]", theirs[0], x, free); why == "" {
				return ""
			}
		}
		return why
	case nil:
	default:
		if ours != nil && fmt.Sprintf("%T", theirs) != fmt.Sprintf("%T", ours) {
			return fmt.Sprintf("%s is %v, and upstream's %v", at, ours, theirs)
		}
	}
	return ""
}

// shown are the members at the top of a body.
func shown(body any) string {
	o, _ := body.(map[string]any)
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(o)), func(k string) bool { return strings.HasSuffix(k, "_links") })
	return strings.Join(keys, " ")
}

// sampled are the versions at which upstream has samples of servers, actions and
// hypervisors.
var sampled = []string{"2.1", "2.2", "2.3", "2.9", "2.10", "2.11", "2.16", "2.19", "2.23", "2.26", "2.47", "2.51", "2.53", "2.58", "2.59", "2.62", "2.63", "2.66", "2.69", "2.71", "2.73", "2.75", "2.80", "2.84", "2.88",
	"2.90", "2.94", "2.96", "2.98", "2.100", "2.104"}

// varied asks what the walk does not: as a user who is no administrator, for parts
// of lists, with what is left out unless it is asked for.
func (w *walker) varied(user *walker) []answer {
	w.t.Helper()
	var all []answer
	ask := func(as *walker, method, path, v string, body any) {
		w.t.Helper()
		status, data := as.call(method, as.url+path, rest.V(v), body)
		var said any
		if status >= 300 || json.Unmarshal(data, &said) != nil {
			w.t.Errorf("%s %s at %s: %d %.200s", method, path, v, status, data)
			return
		}
		all = append(all, answer{method + " " + path, rest.V(v), said})
	}
	for _, v := range sampled {
		own := "/servers/" + user.ids["server"]
		ask(user, "GET", own, v, nil)
		ask(user, "GET", "/servers/detail", v, nil)
		ask(user, "PUT", own, v, obj{"server": obj{"name": "n"}})
		ask(user, "POST", own+"/action", v, obj{"rebuild": obj{"imageRef": w.ids["image"]}})
		user.status(user.ids["server"], "ACTIVE")
		ask(user, "GET", own+"/os-instance-actions/"+user.ids["request"], v, nil)
		ask(user, "GET", own+"/os-instance-actions?limit=1", v, nil)
		ask(w, "GET", "/os-simple-tenant-usage?start=2012-10-08T21:10:44", v, nil)
		if at := rest.V(v); at.AtLeast("2.53") {
			hypervisor := "/os-hypervisors/" + w.holder()
			ask(w, "GET", hypervisor+"?with_servers=true", v, nil)
			ask(w, "GET", "/os-hypervisors/detail?with_servers=true", v, nil)
			ask(w, "GET", "/os-hypervisors?with_servers=true", v, nil)
		} else {
			ask(w, "PUT", "/os-services/disable-log-reason", v, obj{"host": "dev-1", "binary": "nova-compute", "disabled_reason": "r"})
			if at.AtLeast("2.11") {
				ask(w, "PUT", "/os-services/force-down", v, obj{"host": "dev-1", "binary": "nova-compute", "forced_down": false})
			}
			ask(w, "PUT", "/os-services/enable", v, obj{"host": "dev-1", "binary": "nova-compute"})
		}
		ask(w, "POST", "/os-keypairs", v, obj{"keypair": obj{"name": w.name("imported"), "public_key": publicKey}})
		if !rest.V(v).AtLeast("2.92") {
			ask(w, "POST", "/os-keypairs", v, obj{"keypair": obj{"name": w.name("made")}})
		}
	}
	root := *w
	root.url = strings.TrimSuffix(w.url, "/v2.1")
	ask(&root, "GET", "/", "2.1", nil)
	ask(w, "POST", "/servers", "2.1", obj{"server": obj{"name": "many", "flavorRef": "1", "imageRef": w.ids["image"], "networks": []obj{{"uuid": w.ids["network"]}}, "return_reservation_id": true}})
	return all
}

// holder is the id of a hypervisor that has servers.
func (w *walker) holder() string {
	w.t.Helper()
	for _, h := range w.must("GET", "/os-hypervisors?with_servers=true", "2.53", nil)["hypervisors"].([]any) {
		if h := h.(obj); h["servers"] != nil && len(h["servers"].([]any)) > 0 {
			return h["id"].(string)
		}
	}
	w.t.Fatal("no hypervisor has a server")
	return ""
}

// unlike are the samples that no answer of this cloud is like, and why. What
// begins alike has one reason.
var unlike = map[string]string{
	"flavor-extra-specs/flavor-extra-specs-get-resp.json":                 "the member has the name of the user's extra spec",
	"flavor-extra-specs/flavor-extra-specs-update-resp.json":              "the member has the name of the user's extra spec",
	"images/image-get-resp.json":                                          "OS-DCF:diskConfig is shown of images with auto_disk_config",
	"os-console-auth-tokens/v2.31/get-console-connect-info-get-resp.json": "then these were RDP's only, which is gone",
	"os-migrations/v2.23/migrations-get.json":                             "links are of live migrations under way",
	"os-migrations/v2.59/migrations-get-with-marker.json":                 "links are of live migrations under way",
	"os-migrations/v2.66/migrations-get-with-":                            "links are of live migrations under way",
	"os-migrations/v2.80/migrations-get-with-":                            "links are of live migrations under way",
	"os-rescue/server-get-resp-rescue.json":                               "the walk looks at no server in RESCUE",
	"os-rescue/v2.87/server-get-resp-rescue.json":                         "the walk looks at no server in RESCUE",
	"os-server-diagnostics/server-diagnostics-get-resp.json":              "the members have the names of the guest's devices",
	"os-server-groups/v2.64/server-groups-list-resp.json":                 "rules are shown where there are some",
	"os-server-shares/v2.97/server-shares-create-resp.json":               "the walk asks as an administrator, who is shown more",
	"os-server-shares/v2.97/server-shares-show-resp.json":                 "the walk asks as an administrator, who is shown more",
	"os-services/v2.69/services-list-get-resp.json":                       "there are no cells that could be down",
	"servers/v2.69/": "there are no cells that could be down",
	"servers/v2.71/server-get-down-cell-resp.json": "there are no cells that could be down",
}

// reason finds a sample among those.
func reason(file string) (string, bool) {
	for start, why := range unlike {
		if strings.HasPrefix(filepath.ToSlash(file), start) {
			return why, true
		}
	}
	return "", false
}

// likeSamples holds the walk's answers to upstream's samples: for each there is an
// answer, at the sample's version or the last before it that was called, with the
// same members all the way down.
func likeSamples(t *testing.T, c *contract, answers []answer) {
	t.Helper()
	alike, total, apartFrom := 0, 0, 0
	for _, s := range c.samples(t) {
		if c.isGone(s.file) {
			continue
		}
		total++
		var near []answer
		for _, a := range answers {
			if shown(a.body) != shown(s.body) || s.version.Less(a.version) {
				continue
			}
			near = append(near, a)
		}
		slices.SortStableFunc(near, func(a, b answer) int { return b.version.Minor - a.version.Minor })
		latest := map[string]rest.Version{}
		why, least := "no answer has "+shown(s.body), -1
		for _, a := range near {
			if v, seen := latest[a.key]; seen && v != a.version {
				continue
			}
			latest[a.key] = a.version
			differs := apart("", s.body, a.body, false)
			if differs == "" {
				why = ""
				break
			}
			if n := between(s.body, a.body); least < 0 || n < least {
				why, least = differs+" ("+a.key+" at "+a.version.String()+")", n
			}
		}
		_, excused := reason(s.file)
		switch {
		case why == "":
			alike++
		case excused:
			apartFrom++
		default:
			t.Errorf("%s: %s", s.file, why)
		}
	}
	t.Logf("%d of upstream's %d sample answers have one of ours with the same members, %d have a reason why not", alike, total, apartFrom)
}
