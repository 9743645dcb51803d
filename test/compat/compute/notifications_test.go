package compute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kilonova/internal/bus"
	"kilonova/internal/rest"
	kilonova "kilonova/service/compute"
	"kilonova/service/compute/notify"
	"kilonova/stack"
)

// listener keeps what the bus tells.
type listener struct {
	mu     sync.Mutex
	heard  []obj
	topics map[string]int
}

func (l *listener) listen(t *testing.T, b *bus.Bus, topic, priority string) {
	t.Helper()
	stop, err := (bus.Hint[obj]{Name: topic}).Listen(b, priority, func(_ context.Context, m obj) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.topics[topic]++
		l.heard = append(l.heard, m)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
}

func (l *listener) events() map[string][]obj {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string][]obj{}
	for _, m := range l.heard {
		event := m["event_type"].(string)
		all[event] = append(all[event], m)
	}
	return all
}

// telling is a cloud that tells everything, and a listener to it.
func telling(t *testing.T) (*walker, *listener) {
	t.Helper()
	c := stack.Dev(t.TempDir(), "127.0.0.1:0", 2)
	c.Bus.Listen, c.Secrets.BusToken = "127.0.0.1:0", "token"
	c.Messaging.Driver, c.Notifications.Format, c.Notifications.OnStateChange, c.Notifications.Devices = "messagingv2", "both", "vm_and_task_state", true
	s, others := startWith(t, c)
	b, err := bus.Dial(slog.New(slog.DiscardHandler), s.BusURL(), "token")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	l := &listener{topics: map[string]int{}}
	for _, topic := range []string{"versioned_notifications", "notifications"} {
		for _, priority := range []string{"info", "error"} {
			l.listen(t, b, topic, priority)
		}
	}
	w := cloudOf(t, s)
	w.cinder, w.manila = others.cinder, others.manila
	return w, l
}

// untold are upstream's notifications that this cloud has no occasion to tell, and
// why. Those with a message are worded and held to their samples as well.
var untold = map[string]string{
	"libvirt.connect.error":             "agents have no database to write it in; a host that does not answer is told of by its servers",
	"volume.usage":                      "no driver counts what a volume was used for",
	"metrics.update":                    "the fake hosts of this test measure nothing",
	"instance.exists":                   "a server has to be there over the end of an hour",
	"instance.reboot.error":             "no fault can be put into a driver from here",
	"instance.resize.error":             "as above",
	"instance.interface_attach.error":   "as above",
	"instance.volume_attach.error":      "as above",
	"instance.volume_swap.error":        "as above",
	"instance.share_attach.error":       "as above",
	"instance.share_detach.error":       "as above",
	"compute_task.rebuild_server.error": "as above",
}

// worded are those of them that are made by hand.
func worded() map[string]notify.Message {
	failed, why, now := "Error", "it broke", time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	s, f, all := &kilonova.Server{ID: "s", State: kilonova.Active, Host: "h"}, notify.Formats{Versioned: true}, map[string]notify.Message{}
	messages := notify.Exists(notify.Cause{Now: now}, f, s, now.Add(-time.Hour), now)
	messages = append(messages, notify.Measured(notify.Cause{Now: now}, &kilonova.Host{Name: "h", Resources: kilonova.Resources{Metrics: map[string]float64{"cpu.percent": 2}}}))
	for _, step := range []string{"compute_reboot_instance", "compute_resize_instance", "compute_attach_interface", "compute_attach_volume", "compute_swap_volume",
		"compute_allow_share", "compute_deny_share", "conductor_rebuild_instance"} {
		messages = append(messages, notify.Stepped(notify.Cause{Now: now}, f, s, kilonova.Action{}, kilonova.ActionEvent{Name: step, Result: &failed, Details: &why})...)
	}
	for _, m := range messages {
		all[m.EventType] = m
	}
	return all
}

// TestNotificationsKeepTheContract has everything happen that is told, and holds
// what is told to upstream's samples, key by key.
func TestNotificationsKeepTheContract(t *testing.T) {
	c := openContract(t)
	w, l := telling(t)
	happen(w)
	happenToServers(w)
	samples := notificationSamples(t, filepath.Join(filepath.Dir(c.dir), "notification_samples"))
	want := []string{"compute.instance.create.start", "compute.instance.create.end", "compute.instance.power_off.end", "compute.instance.delete.end", "compute.instance.update"}
	for event := range samples {
		if untold[event] == "" {
			want = append(want, event)
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		heard := l.events()
		missing := slices.DeleteFunc(slices.Clone(want), func(event string) bool { return len(heard[event]) > 0 })
		if len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) {
			slices.Sort(missing)
			t.Errorf("not told: %s", strings.Join(missing, "\n"))
			break
		}
		<-tick.C
	}
	events := l.events()
	checked := map[string]bool{}
	for _, event := range slices.Sorted(maps.Keys(events)) {
		if strings.HasPrefix(event, "compute.instance.") {
			continue
		}
		sample, ok := samples[event]
		if !ok {
			sample = samples[likeIt(event)] // an error that upstream has no sample of
		}
		if sample == nil {
			t.Errorf("%s: upstream has no such notification", event)
			continue
		}
		if ok {
			checked[event] = true
		}
		for _, m := range events[event] {
			differ(t, event, "payload", sample["payload"], m["payload"])
			if source, _, _ := strings.Cut(m["publisher_id"].(string), ":"); !strings.HasPrefix(source, "nova-") {
				t.Errorf("%s: publisher %v", event, m["publisher_id"])
			}
			if ok && m["priority"] != sample["priority"] {
				t.Errorf("%s: priority %v", event, m["priority"])
			}
		}
	}
	byHand := 0
	made := worded()
	for event := range untold {
		if checked[event] {
			t.Errorf("%s is told and listed as not told", event)
		}
		m, ok := made[event]
		if !ok {
			continue
		}
		byHand++
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var got obj
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		differ(t, event, "payload", samples[event]["payload"], got["payload"])
		if got["priority"] != samples[event]["priority"] {
			t.Errorf("%s: priority %v", event, got["priority"])
		}
	}
	t.Logf("of upstream's %d versioned notifications %d are told by a cloud and %d more worded, all held to their samples; %d messages; %d are not told, with a reason",
		len(samples), len(checked), byHand, len(l.heard), len(untold)-byHand)
}

// likeIt is the event whose sample an error without one has to look like.
func likeIt(event string) string {
	if base, ok := strings.CutSuffix(event, ".error"); ok {
		return base + ".end"
	}
	return event
}

// TestNotificationNames: each name in the tables is upstream's.
func TestNotificationNames(t *testing.T) {
	c := openContract(t)
	samples := notificationSamples(t, filepath.Join(filepath.Dir(c.dir), "notification_samples"))
	for _, name := range notify.Names() {
		if samples[name] == nil && samples[likeIt(name)] == nil {
			t.Errorf("%s is none of upstream's", name)
		}
	}
}

// happen does what is told of.
func happen(w *walker) {
	id := w.ids["server"]
	w.must("POST", "/servers/"+id+"/action", "2.1", obj{"os-stop": nil})
	w.status(id, "SHUTOFF")
	w.must("POST", "/servers/"+id+"/action", "2.1", obj{"os-start": nil})
	w.status(id, "ACTIVE")
	w.must("POST", "/servers/"+id+"/action", "2.1", obj{"reboot": obj{"type": "SOFT"}})
	w.status(id, "ACTIVE")
	w.must("POST", "/servers/"+id+"/action", "2.73", obj{"lock": obj{"locked_reason": "global warming"}})
	w.must("POST", "/servers/"+id+"/action", "2.1", obj{"unlock": nil})
	w.must("PUT", "/servers/"+id, "2.19", obj{"server": obj{"name": "another", "description": "d"}})
	w.must("PUT", "/servers/"+id+"/tags", "2.26", obj{"tags": []string{"tag1"}})
	out := w.must("POST", "/servers/"+id+"/os-interface", "2.1", obj{"interfaceAttachment": obj{"net_id": w.ids["network"]}})
	w.must("DELETE", "/servers/"+id+"/os-interface/"+out["interfaceAttachment"].(obj)["port_id"].(string), "2.1", nil)
	w.await("/servers/"+id+"/os-interface", func(out obj) bool { return len(out["interfaceAttachments"].([]any)) == 1 })
	gone := w.server()
	w.must("POST", "/servers/"+gone+"/action", "2.1", obj{"forceDelete": nil})

	w.must("POST", "/flavors", "2.55", obj{"flavor": obj{"id": "huge", "name": "huge", "ram": 40_000_000, "vcpus": 1, "disk": 0, "description": "d"}})
	w.must("PUT", "/flavors/huge", "2.55", obj{"flavor": obj{"description": "too much"}})
	w.must("POST", "/servers", "2.37", obj{"server": obj{"name": "nowhere", "flavorRef": "huge", "imageRef": w.ids["image"], "networks": "none"}})
	w.must("DELETE", "/flavors/huge", "2.1", nil)
	w.must("POST", "/os-keypairs", "2.1", obj{"keypair": obj{"name": "made"}})
	w.must("POST", "/os-keypairs", "2.1", obj{"keypair": obj{"name": "imported", "public_key": publicKey}})
	w.must("DELETE", "/os-keypairs/made", "2.1", nil)

	a := fmt.Sprint(w.must("POST", "/os-aggregates", "2.1", obj{"aggregate": obj{"name": "told"}})["aggregate"].(obj)["id"])
	w.must("PUT", "/os-aggregates/"+a, "2.1", obj{"aggregate": obj{"name": "told again"}})
	w.must("POST", "/os-aggregates/"+a+"/action", "2.1", obj{"set_metadata": obj{"metadata": obj{"a": "b"}}})
	w.must("POST", "/os-aggregates/"+a+"/action", "2.1", obj{"add_host": obj{"host": "dev-1"}})
	w.must("POST", "/os-aggregates/"+a+"/action", "2.1", obj{"remove_host": obj{"host": "dev-1"}})
	w.must("DELETE", "/os-aggregates/"+a, "2.1", nil)
	g := w.must("POST", "/os-server-groups", "2.64", obj{"server_group": obj{"name": "told", "policy": "anti-affinity", "rules": obj{"max_server_per_host": 3}}})
	w.must("DELETE", "/os-server-groups/"+g["server_group"].(obj)["id"].(string), "2.64", nil)
	w.must("PUT", "/os-services/disable", "2.1", obj{"host": "dev-2", "binary": "nova-compute"})
	w.must("PUT", "/os-services/enable", "2.1", obj{"host": "dev-2", "binary": "nova-compute"})
	w.must("DELETE", "/os-services/"+w.service(rest.V("2.53"), "nova-scheduler", "dev"), "2.53", nil) // it announces itself again
}

// happenToServers does with servers what is told of.
func happenToServers(w *walker) {
	id := w.ids["server"]
	act := func(v string, body obj, status string) {
		w.t.Helper()
		w.must("POST", "/servers/"+id+"/action", v, body)
		w.status(id, status)
	}
	act("2.1", obj{"pause": nil}, "PAUSED")
	act("2.1", obj{"unpause": nil}, "ACTIVE")
	act("2.1", obj{"suspend": nil}, "SUSPENDED")
	act("2.1", obj{"resume": nil}, "ACTIVE")
	act("2.1", obj{"rescue": obj{}}, "RESCUE")
	act("2.1", obj{"unrescue": nil}, "ACTIVE")
	act("2.17", obj{"trigger_crash_dump": nil}, "ACTIVE")
	act("2.1", obj{"createImage": obj{"name": "told"}}, "ACTIVE")
	act("2.1", obj{"rebuild": obj{"imageRef": w.ids["image"]}}, "ACTIVE")
	act("2.1", obj{"resize": obj{"flavorRef": "2"}}, "VERIFY_RESIZE")
	act("2.1", obj{"confirmResize": nil}, "ACTIVE")
	act("2.1", obj{"migrate": nil}, "VERIFY_RESIZE")
	act("2.1", obj{"revertResize": nil}, "ACTIVE")
	act("2.1", obj{"shelve": nil}, "SHELVED")
	act("2.1", obj{"shelveOffload": nil}, "SHELVED_OFFLOADED")
	act("2.1", obj{"unshelve": nil}, "ACTIVE")
	act("2.1", obj{"migrate": nil}, "VERIFY_RESIZE")
	act("2.1", obj{"confirmResize": nil}, "ACTIVE")
	w.must("POST", "/servers", "2.37", obj{"server": obj{"name": "deleted for a while", "flavorRef": "1", "imageRef": w.ids["image"], "networks": "none"}})
	id = w.server()
	w.must("DELETE", "/servers/"+id, "2.1", nil)
	w.status(id, "SOFT_DELETED")
	act("2.1", obj{"restore": nil}, "ACTIVE")

	// Moves while it runs: one that is aborted, one that is hurried.
	moving := w.carried("MIGRATING")
	w.must("DELETE", "/servers/"+moving+"/migrations/"+w.ids["migration"], "2.24", nil)
	w.status(moving, "ACTIVE")
	w.ids["ending"] = w.ids["migration"]
	moving = w.carried("MIGRATING")
	w.must("POST", "/servers/"+moving+"/migrations/"+w.ids["migration"]+"/action", "2.22", obj{"force_complete": nil})
	w.status(moving, "ACTIVE")

	// Volumes and shares.
	server, volume := w.attached()
	other := w.cinder.Add(1, false)
	w.must("PUT", "/servers/"+server+"/os-volume_attachments/"+volume, "2.1", obj{"volumeAttachment": obj{"volumeId": other}})
	w.await("/servers/"+server+"/os-volume_attachments", func(out obj) bool {
		return out["volumeAttachments"].([]any)[0].(obj)["volumeId"] == other
	})
	w.must("DELETE", "/servers/"+server+"/os-volume_attachments/"+other, "2.1", nil)
	server, share := w.shared()
	for _, step := range [][2]string{{"os-start", "ACTIVE"}, {"os-stop", "SHUTOFF"}} {
		w.must("POST", "/servers/"+server+"/action", "2.1", obj{step[0]: nil})
		w.status(server, step[1])
	}
	w.must("DELETE", "/servers/"+server+"/shares/"+share, "2.97", nil)

	// Groups, images ahead, and a host that is down.
	g := w.must("POST", "/os-server-groups", "2.64", obj{"server_group": obj{"name": "joined", "policy": "soft-affinity"}})["server_group"].(obj)["id"]
	w.must("POST", "/servers", "2.37", obj{"server": obj{"name": "joins", "flavorRef": "1", "imageRef": w.ids["image"], "networks": "none"}, "os:scheduler_hints": obj{"group": g}})
	a := fmt.Sprint(w.must("POST", "/os-aggregates", "2.1", obj{"aggregate": obj{"name": "caches"}})["aggregate"].(obj)["id"])
	for _, host := range []string{"dev-1", "dev-2"} {
		w.must("POST", "/os-aggregates/"+a+"/action", "2.1", obj{"add_host": obj{"host": host}})
	}
	w.must("POST", "/os-aggregates/"+a+"/images", "2.81", obj{"cache": []obj{{"id": w.ids["image"]}}})
	id = w.server()
	host := w.must("GET", "/servers/"+id, "2.1", nil)["server"].(obj)["OS-EXT-SRV-ATTR:host"].(string)
	w.down(host)
	w.must("POST", "/servers/"+id+"/action", "2.14", obj{"evacuate": obj{}})
	w.awaitAt("2.1", "/servers/"+id, func(out obj) bool {
		return out["server"].(obj)["OS-EXT-SRV-ATTR:host"] != host && out["server"].(obj)["status"] == "ACTIVE"
	})
	w.down("")

	// A rebuild from an image that no host here can run.
	id = w.server()
	act("2.1", obj{"createImage": obj{"name": "foreign", "metadata": obj{"img_hv_type": "xen"}}}, "ACTIVE")
	image := ""
	w.await("/images/detail?name=foreign", func(out obj) bool {
		images := out["images"].([]any)
		image = images[0].(obj)["id"].(string)
		return images[0].(obj)["status"] == "ACTIVE"
	})
	act("2.1", obj{"rebuild": obj{"imageRef": image}}, "ERROR")
	id = w.server()

	// A move for which there is no host.
	w.must("PUT", "/os-services/disable", "2.1", obj{"host": "dev-1", "binary": "nova-compute"})
	w.must("PUT", "/os-services/disable", "2.1", obj{"host": "dev-2", "binary": "nova-compute"})
	act("2.1", obj{"migrate": nil}, "ACTIVE")
}

// notificationSamples reads upstream's samples by event, with what they refer to.
func notificationSamples(t *testing.T, dir string) map[string]obj {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples in %s: %v", dir, err)
	}
	all := map[string]obj{}
	for _, file := range files {
		sample := readSample(t, file)
		event := sample["event_type"].(string)
		if all[event] == nil || strings.Contains(file, strings.ReplaceAll(event, ".", "-")+".json") {
			all[event] = sample
		}
	}
	return all
}

func readSample(t *testing.T, file string) obj {
	t.Helper()
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a sample refers to %s, which is not there", file)
	}
	if err != nil {
		t.Fatal(err)
	}
	var v obj
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return resolve(t, filepath.Dir(file), v).(obj)
}

// resolve puts in what "$ref" names, under what stands beside it.
func resolve(t *testing.T, dir string, v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = resolve(t, dir, v[i])
		}
	case obj:
		ref, _ := v["$ref"].(string)
		delete(v, "$ref")
		for k := range v {
			v[k] = resolve(t, dir, v[k])
		}
		if ref == "" {
			return v
		}
		base := readSample(t, filepath.Join(dir, strings.TrimSuffix(ref, "#")))
		overlay(base, v)
		return base
	}
	return v
}

func overlay(base, over obj) {
	for k, v := range over {
		below, ok := base[k].(obj)
		if above, too := v.(obj); ok && too {
			overlay(below, above)
			continue
		}
		base[k] = v
	}
}

// differ reports where a value has another shape than its sample: other members, or
// other types. null fits everything, and so do the keys of what is no object.
func differ(t *testing.T, event, path string, sample, got any) {
	t.Helper()
	if sample == nil || got == nil {
		return
	}
	if fmt.Sprintf("%T", sample) != fmt.Sprintf("%T", got) {
		t.Errorf("%s: %s is %v, upstream has %v", event, path, got, sample)
		return
	}
	switch s := sample.(type) {
	case []any:
		if g := got.([]any); len(s) > 0 && len(g) > 0 {
			differ(t, event, path+"[]", s[0], g[0])
		}
	case obj:
		g := got.(obj)
		if _, is := s["nova_object.name"]; !is {
			return // keys of the user's
		}
		for _, k := range []string{"nova_object.name", "nova_object.namespace"} {
			if s[k] != g[k] {
				t.Errorf("%s: %s.%s is %v, upstream has %v", event, path, k, g[k], s[k])
			}
		}
		if s["nova_object.name"] == "ImageMetaPropsPayload" {
			return
		}
		sd, gd := s["nova_object.data"].(obj), g["nova_object.data"].(obj)
		if a, b := slices.Sorted(maps.Keys(sd)), slices.Sorted(maps.Keys(gd)); !slices.Equal(a, b) {
			t.Errorf("%s: %s has members\n%v, upstream\n%v", event, path, b, a)
		}
		for k := range sd {
			differ(t, event, path+"."+k, sd[k], gd[k])
		}
		if s["nova_object.version"] != g["nova_object.version"] {
			t.Errorf("%s: %s has version %v, upstream %v", event, path, g["nova_object.version"], s["nova_object.version"])
		}
	}
}
