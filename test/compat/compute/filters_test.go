package compute

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"testing"
	"time"

	"kilonova/internal/rest"
	"kilonova/stack"
)

// names lists the servers that a query gives, in its order, or the status if that is
// not 200.
func (w *walker) names(query, version string) (int, []string) {
	w.t.Helper()
	status, data := w.call("GET", w.url+"/servers/detail?"+query, rest.V(version), nil)
	var out struct{ Servers []struct{ Name string } }
	if status == 200 {
		if err := json.Unmarshal(data, &out); err != nil {
			w.t.Fatal(err)
		}
	}
	var all []string
	for _, s := range out.Servers {
		all = append(all, s.Name)
	}
	return status, all
}

// TestServerFilters asks for servers by everything that they can be asked for by.
func TestServerFilters(t *testing.T) {
	s, err := stack.StartDev(t.Context(), stack.Dev(t.TempDir(), "127.0.0.1:0", 2), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := cloudOf(t, s)
	w.must("DELETE", "/servers/"+w.ids["server"], "2.1", nil)
	made := w.must("POST", "/servers", "2.90", obj{"server": obj{"name": "alpha", "hostname": "first", "description": "the first one", "flavorRef": "1", "imageRef": w.ids["image"], "config_drive": true,
		"networks": []obj{{"uuid": w.ids["network"]}}, "key_name": "k", "accessIPv4": "192.0.2.1", "tags": []string{"x", "y"}, "trusted_image_certificates": []string{"c1", "c2"}}})
	alpha := made["server"].(obj)["id"].(string)
	w.must("POST", "/servers", "2.90", obj{"server": obj{"name": "beta", "flavorRef": "2", "imageRef": w.ids["image"], "networks": "none", "tags": []string{"x"}}})
	for _, name := range []string{"alpha", "beta"} {
		w.await("/servers/detail?name="+name, func(out obj) bool {
			all := out["servers"].([]any)
			return len(all) == 1 && all[0].(obj)["status"] == "ACTIVE"
		})
	}
	w.await("/servers", func(out obj) bool { return len(out["servers"].([]any)) == 2 })
	shown := w.must("GET", "/servers/"+alpha, "2.96", nil)["server"].(obj)
	if certs, _ := json.Marshal(shown["trusted_image_certificates"]); string(certs) != `["c1","c2"]` {
		t.Errorf("certificates are shown as %s", certs)
	}
	host := shown["OS-EXT-SRV-ATTR:host"].(string)
	address := shown["addresses"].(obj)["private"].([]any)[0].(obj)["addr"].(string)
	both, a, b := []string{"beta", "alpha"}, []string{"alpha"}, []string{"beta"}
	for _, c := range []struct {
		query, version string
		status         int
		want           []string
	}{
		{"", "2.1", 200, both},
		{"sort_dir=asc", "2.1", 200, []string{"alpha", "beta"}},
		{"sort_key=display_name&sort_dir=asc", "2.1", 200, []string{"alpha", "beta"}},
		{"sort_key=display_name", "2.1", 200, both},
		{"sort_key=vcpus&sort_key=display_name&sort_dir=asc", "2.1", 200, []string{"alpha", "beta"}},
		{"sort_key=nonsense", "2.1", 400, nil},
		{"sort_key=display_name&sort_dir=up", "2.1", 400, nil},
		{"sort_key=display_name&sort_dir=asc&sort_dir=desc", "2.1", 400, nil},
		{"sort_key=host", "2.1", 200, nil},
		{"name=^a", "2.1", 200, a},
		{"name=l.*a", "2.1", 200, a},
		{"name=" + url.QueryEscape("(a+)+$"), "2.1", 200, both},
		{"name=" + url.QueryEscape("("), "2.1", 400, nil},
		{"hostname=^fir", "2.90", 200, a},
		{"description=first", "2.1", 200, a},
		{"access_ip_v4=" + url.QueryEscape("192.0"), "2.1", 200, a},
		{"ip=" + url.QueryEscape("^"+address+"$"), "2.1", 200, a},
		{"ip6=fd00", "2.5", 200, nil},
		{"key_name=k", "2.1", 200, a},
		{"config_drive=True", "2.1", 200, a},
		{"config_drive=false", "2.1", 200, b},
		{"config_drive=perhaps", "2.1", 200, nil},
		{"flavor=2", "2.1", 200, b},
		{"flavor=none", "2.1", 200, nil},
		{"image=" + w.ids["image"], "2.1", 200, both},
		{"status=ACTIVE", "2.1", 200, both},
		{"status=active&status=shutoff", "2.1", 200, both},
		{"status=SHUTOFF", "2.1", 200, nil},
		{"status=nonsense", "2.1", 200, nil},
		{"status=nonsense", "2.38", 400, nil},
		{"vm_state=active", "2.1", 200, both},
		{"power_state=1", "2.1", 200, both},
		{"power_state=4", "2.1", 200, nil},
		{"power_state=running", "2.1", 200, nil},
		{"uuid=" + alpha, "2.1", 200, a},
		{"availability_zone=nova", "2.1", 200, both},
		{"availability_zone=elsewhere", "2.1", 200, nil},
		{"launch_index=0", "2.1", 200, both},
		{"created_at=^20", "2.1", 200, both},
		{"terminated_at=^20", "2.1", 200, nil},
		{"reservation_id=^r-", "2.1", 200, both},
		{"root_device_name=vda", "2.1", 200, both},
		{"locked=false", "2.73", 200, both},
		{"locked=true", "2.73", 200, nil},
		{"locked=perhaps", "2.73", 400, nil},
		{"tags=x,y", "2.26", 200, a},
		{"tags-any=y,z", "2.26", 200, a},
		{"not-tags=x,y", "2.26", 200, b},
		{"not-tags-any=y", "2.26", 200, b},
		{"changes-since=2000-01-01T00:00:00Z&name=server", "2.1", 200, []string{"server1"}},
		{"changes-since=nonsense", "2.1", 400, nil},
		{"changes-since=2030-01-01T00:00:00Z&changes-before=2000-01-01T00:00:00Z", "2.66", 400, nil},
		{"changes-before=2000-01-01T00:00:00Z", "2.66", 200, nil},
		{"deleted=true", "2.1", 200, []string{"server1"}},
		{"deleted=nonsense", "2.1", 200, both},
		{"status=deleted", "2.1", 200, []string{"server1"}},
		{"all_tenants=1&project_id=" + w.project, "2.1", 200, both},
		{"all_tenants=1&project_id=nobody", "2.1", 200, nil},
		{"all_tenants=perhaps", "2.1", 400, nil},
		{"limit=1", "2.1", 200, b},
		{"limit=0", "2.1", 200, nil},
		{"limit=-1", "2.1", 400, nil},
		{"limit=x", "2.1", 400, nil},
		{"marker=" + alpha, "2.1", 200, nil},
		{"marker=nonsense", "2.1", 400, nil},
	} {
		status, got := w.names(c.query, c.version)
		if c.query == "sort_key=host" {
			got = nil // either may come first
		}
		if status != c.status || !slices.Equal(got, c.want) {
			t.Errorf("%s at %s: %d %v, want %d %v", c.query, c.version, status, got, c.status, c.want)
		}
	}
	hosted, got := w.names("host="+host, "2.1")
	if hosted != 200 || !slices.Contains(got, "alpha") {
		t.Errorf("host=%s: %d %v", host, hosted, got)
	}
	_, demo := s.Logins()
	w.login(demo)
	for query, want := range map[string]int{"status=deleted": 403, "sort_key=host": 403, "sort_key=node": 403, "all_tenants=1": 403, "deleted=true": 200, "host=nowhere": 200} {
		if status, got := w.names(query, "2.1"); status != want || len(got) > 0 {
			t.Errorf("%s by a member: %d %v, want %d", query, status, got, want)
		}
	}
}

// TestServerHostnames: names are held to what each version allows.
func TestServerHostnames(t *testing.T) {
	w := newCloud(t)
	for _, c := range []struct {
		version, name string
		status        int
	}{{"2.90", "good-1", 202}, {"2.90", "with.domain", 400}, {"2.90", "x", 400}, {"2.90", "under_score", 400}, {"2.94", "with.domain", 202}, {"2.94", "bad!", 400}, {"2.89", "good-1", 400}} {
		status, data := w.call("POST", w.url+"/servers", rest.V(c.version), obj{"server": obj{"name": "n", "hostname": c.name, "flavorRef": "1", "imageRef": w.ids["image"], "networks": "none"}})
		if status != c.status {
			t.Errorf("%s at %s: %d %.200s", c.name, c.version, status, data)
		}
	}
	one := obj{"name": "n", "flavorRef": "1", "imageRef": w.ids["image"], "max_count": 2, "networks": []obj{{"uuid": w.ids["network"], "fixed_ip": "10.0.0.200"}}}
	if status, data := w.call("POST", w.url+"/servers", rest.V("2.37"), obj{"server": one}); status != 400 {
		t.Errorf("two servers with one address: %d %.200s", status, data)
	}
	id := w.ids["server"]
	for _, c := range []struct {
		version string
		change  obj
		status  int
	}{{"2.1", obj{}, 200}, {"2.104", obj{"pinned_availability_zone": "nowhere"}, 400}, {"2.104", obj{"pinned_availability_zone": "nova"}, 200},
		{"2.104", obj{"pinned_availability_zone": nil}, 200}, {"2.103", obj{"pinned_availability_zone": nil}, 400}} {
		if status, data := w.call("PUT", w.url+"/servers/"+id, rest.V(c.version), obj{"server": c.change}); status != c.status {
			t.Errorf("PUT %v at %s: %d %.200s", c.change, c.version, status, data)
		}
	}
}
