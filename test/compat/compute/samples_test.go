package compute

import (
	"encoding/json"
	"fmt"
	"maps"
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
	return slices.DeleteFunc(c.allSamples(t), func(s sample) bool { return s.body == nil || c.isSent(s) })
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
	w.seldom(user, ask)
	root := *w
	root.url = strings.TrimSuffix(w.url, "/v2.1")
	ask(&root, "GET", "/", "2.1", nil)
	ask(w, "POST", "/servers", "2.1", obj{"server": obj{"name": "many", "flavorRef": "1", "imageRef": w.ids["image"], "networks": []obj{{"uuid": w.ids["network"]}}, "return_reservation_id": true}})
	return all
}

// seldom asks what is shown of things in states that the walk passes over.
func (w *walker) seldom(user *walker, ask func(as *walker, method, path, v string, body any)) {
	w.t.Helper()
	own := "/servers/" + user.ids["server"]
	user.must("POST", own+"/action", "2.1", obj{"rescue": nil})
	user.status(user.ids["server"], "RESCUE")
	ask(user, "GET", own, "2.1", nil)
	ask(user, "GET", own, "2.87", nil)
	user.must("POST", own+"/action", "2.1", obj{"unrescue": nil})
	user.status(user.ids["server"], "ACTIVE")
	user.bring(user.ids["server"], "SHUTOFF")
	share := w.manila.Add("NFS", "192.0.2.1:/data")
	ask(user, "POST", own+"/shares", "2.97", obj{"share": obj{"share_id": share}})
	ask(user, "GET", own+"/shares/"+share, "2.97", nil)

	w.carried("MIGRATING")
	for _, v := range []string{"2.23", "2.59", "2.66", "2.80"} {
		ask(w, "GET", "/os-migrations?migration_type=live-migration", v, nil)
	}
	ask(w, "GET", w.makers["GET /os-console-auth-tokens/{}"](w, rest.V("2.31")).path, "2.31", nil)
	w.must("POST", "/os-server-groups", "2.64", obj{"server_group": obj{"name": w.name("group"), "policy": "anti-affinity", "rules": obj{"max_server_per_host": 3}}})
	ask(w, "GET", "/os-server-groups", "2.64", nil)
	w.must("POST", "/flavors/f-private/os-extra_specs", "2.1", obj{"extra_specs": obj{"hw:numa_nodes": "1"}})
	ask(w, "GET", "/flavors/f-private/os-extra_specs/hw:numa_nodes", "2.1", nil)
	ask(w, "PUT", "/flavors/f-private/os-extra_specs/hw:numa_nodes", "2.1", obj{"hw:numa_nodes": "2"})
	image := w.emptyImage()
	w.must("PUT", "/images/"+image+"/metadata/auto_disk_config", "2.1", obj{"meta": obj{"auto_disk_config": "True"}})
	ask(w, "GET", "/images/"+image, "2.1", nil)
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
	"os-server-diagnostics/server-diagnostics-get-resp.json": "the members have the names of the guest's devices",
	"os-services/v2.69/services-list-get-resp.json":          "there are no cells that could be down",
	"servers/v2.69/": "there are no cells that could be down",
	"servers/v2.71/server-get-down-cell-resp.json": "there are no cells that could be down",
}

// likeSamples holds the answers to upstream's samples: for each there is an answer,
// at the sample's version or the last before it that was asked, with the same members
// all the way down. It returns what became of each sample by its file.
func likeSamples(t *testing.T, c *contract, answers []answer) map[string]string {
	t.Helper()
	verdicts, unused := map[string]string{}, maps.Clone(unlike)
	for _, s := range c.samples(t) {
		if c.isGone(s.file) {
			verdicts[s.file] = "not had: the operation is gone, as upstream (410)"
			continue
		}
		differs, excuse := nearest(s, answers), ""
		for start, why := range unlike {
			if strings.HasPrefix(filepath.ToSlash(s.file), start) {
				excuse = why
			}
		}
		switch {
		case differs == "":
			verdicts[s.file] = "ours has the same shape"
		case excuse != "":
			maps.DeleteFunc(unused, func(_, why string) bool { return why == excuse })
			verdicts[s.file] = "not had: " + excuse
		default:
			verdicts[s.file] = "FAILS"
			t.Errorf("%s: %s", s.file, differs)
		}
	}
	for start := range unused {
		t.Errorf("%s: there are answers like it, and its reason is to be struck out", start)
	}
	return verdicts
}

// nearest says how the answer that is most like a sample differs from it; "" if not.
func nearest(s sample, answers []answer) (why string) {
	var near []answer
	for _, a := range answers {
		if shown(a.body) == shown(s.body) && !s.version.Less(a.version) {
			near = append(near, a)
		}
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
			return ""
		}
		if n := between(s.body, a.body); least < 0 || n < least {
			why, least = differs+" ("+a.key+" at "+a.version.String()+")", n
		}
	}
	return why
}

// logSamples prints one table of all samples, each of which has a verdict.
func logSamples(t *testing.T, c *contract, verdicts map[string]string) {
	t.Helper()
	var table strings.Builder
	counts := map[string]int{}
	all := c.allSamples(t)
	for _, s := range all {
		verdict := verdicts[s.file]
		if verdict == "" {
			verdict = "FAILS"
			t.Errorf("%s: neither a request nor an answer", s.file)
		}
		counts[verdict]++
		fmt.Fprintf(&table, "%-80s %s\n", s.file, verdict)
	}
	for _, verdict := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&table, "%5d %s\n", counts[verdict], verdict)
	}
	t.Logf("upstream's %d samples:\n%s", len(all), table.String())
}
