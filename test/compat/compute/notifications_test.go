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
	c.Messaging.Driver, c.Notifications.Format, c.Notifications.OnStateChange = "messagingv2", "both", "vm_and_task_state"
	s, err := stack.StartDev(t.Context(), c, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
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
	return cloudOf(t, s), l
}

// TestNotificationsKeepTheContract has everything happen that is told, and holds
// what is told to upstream's samples, key by key.
func TestNotificationsKeepTheContract(t *testing.T) {
	c := openContract(t)
	w, l := telling(t)
	happen(w)
	want := []string{"instance.create.start", "instance.create.end", "instance.create.error", "compute_task.build_instances.error", "instance.power_off.start",
		"instance.power_off.end", "instance.power_on.start", "instance.power_on.end", "instance.reboot.start", "instance.reboot.end", "instance.lock", "instance.unlock",
		"instance.interface_attach.start", "instance.interface_attach.end", "instance.interface_detach.start", "instance.interface_detach.end",
		"instance.delete.start", "instance.delete.end", "instance.shutdown.start", "instance.shutdown.end", "instance.update", "flavor.create", "flavor.update",
		"flavor.delete", "keypair.create.start", "keypair.create.end", "keypair.import.end", "keypair.delete.start", "keypair.delete.end", "aggregate.create.start",
		"aggregate.create.end", "aggregate.update_prop.end", "aggregate.update_metadata.end", "aggregate.add_host.end", "aggregate.remove_host.end",
		"aggregate.delete.end", "server_group.create", "server_group.delete", "service.create", "service.update", "service.delete",
		"compute.instance.create.start", "compute.instance.create.end", "compute.instance.power_off.end", "compute.instance.delete.end", "compute.instance.update"}
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
			t.Fatalf("not told: %v", missing)
		}
		<-tick.C
	}
	samples := notificationSamples(t, filepath.Join(filepath.Dir(c.dir), "notification_samples"))
	events := l.events()
	checked := 0
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
		checked++
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
	t.Logf("%d kinds of versioned notifications held to samples, %d messages", checked, len(l.heard))
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
	w.must("DELETE", "/servers/"+gone, "2.1", nil)

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
	w.must("DELETE", "/os-services/"+w.service(rest.V("2.53"), "nova-scheduler", "dev"), "2.53", nil) // it announces itself again
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
