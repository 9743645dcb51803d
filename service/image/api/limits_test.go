package api

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"kilonova/service/image"
	"kilonova/service/image/control"
)

// registry is an identity service's limits of one project; others have none.
type registry struct {
	mu     sync.Mutex
	limits map[string]int64
}

func (r *registry) Limits(_ context.Context, project string) (map[string]int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]int64{}
	if project == "pd" {
		for name, limit := range r.limits {
			all[name] = limit
		}
	}
	return all, nil
}

func (r *registry) set(name string, limit int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits[name] = limit
}

// limited is a cloud with unified limits, ten of everything, that does its work.
func limited(t *testing.T) (*cloud, *registry) {
	r := &registry{limits: map[string]int64{image.SizeTotal: 10, image.StageTotal: 10, image.CountTotal: 10, image.CountUploading: 10}}
	cl := startWith(t, func(o *control.Options) {
		o.UseKeystoneLimits, o.UserStorageQuota, o.EnabledImportMethods = true, "1 B", []string{"glance-direct", "copy-image"}
	}, func(c *control.Config) { c.Limits = r })
	cl.run()
	return cl, r
}

var aMiB = strings.Repeat("m", 1<<20)

// unsized is a MiB that comes without its size being said.
func unsized() io.Reader { return io.MultiReader(strings.NewReader(aMiB)) }

func (cl *cloud) importStaged(id string) {
	cl.t.Helper()
	cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "glance-direct"}}).want(202)
	cl.eventually("it is imported", func() bool { return cl.show(id)["status"] == "active" })
}

func TestLimitOfImages(t *testing.T) {
	cl, r := limited(t)
	r.set(image.CountTotal, 1)
	first := cl.create(nil)
	refused := cl.do("demo", "POST", "/v2/images", fields{"name": "x"})
	if refused.want(413); !strings.Contains(string(refused.body), "image_count_total is over limit of 1 due to current usage 1 and delta 1") {
		t.Errorf("%s", refused.body)
	}
	cl.do("alt", "POST", "/v2/images", fields{"name": "x"}).want(413) // whose project has no limits, registered or own
	cl.do("demo", "DELETE", "/v2/images/"+first, nil).want(204)
	cl.create(nil)
	r.set(image.CountTotal, -1)
	cl.create(nil)

	r.set(image.CountTotal, 5)
	var all sync.WaitGroup
	statuses := make([]int, 10)
	for i := range statuses {
		all.Go(func() { statuses[i] = cl.do("demo", "POST", "/v2/images", fields{"name": "x"}).status })
	}
	all.Wait()
	slices.Sort(statuses)
	if !slices.Equal(statuses, []int{201, 201, 201, 413, 413, 413, 413, 413, 413, 413}) {
		t.Errorf("%v where three more fit", statuses)
	}
}

func TestLimitOfUploadsAtATime(t *testing.T) {
	cl, r := limited(t)
	r.set(image.CountUploading, 1)
	staged, other := cl.create(nil), cl.create(nil)
	cl.stage(staged, unsized()).want(204)
	cl.stage(other, unsized()).want(413)
	cl.put(other, unsized()).want(413)
	if got := cl.show(other)["status"]; got != "queued" || len(cl.files("one")) != 0 {
		t.Errorf("what was refused is %v and left %v", got, cl.files("one"))
	}
	cl.importStaged(staged)
	cl.put(other, unsized()).want(204)
	r.set(image.CountUploading, 0)
	cl.do("admin", "POST", "/v2/images/"+staged+"/import", fields{"method": fields{"name": "copy-image"}, "stores": []string{"two"}}).want(413)
}

// As upstream, data of unknown size may end beyond the limit, and then nothing more may come.
func TestLimitOfSize(t *testing.T) {
	cl, r := limited(t)
	r.set(image.SizeTotal, 1)
	for range 2 {
		cl.put(cl.create(nil), unsized()).want(204)
	}
	third := cl.create(nil)
	cl.put(third, unsized()).want(413)
	r.set(image.SizeTotal, 2)
	cl.put(third, aMiB).want(413) // this one says what it is
	cl.stage(third, unsized()).want(204)
	cl.do("demo", "POST", "/v2/images/"+third+"/import", fields{"method": fields{"name": "glance-direct"}}).want(413)
	r.set(image.SizeTotal, 3)
	cl.importStaged(third)
	if got := cl.do("demo", "GET", "/v2/info/usage", nil); !strings.Contains(string(got.body), `"image_size_total":{"limit":3,"usage":3}`) {
		t.Errorf("%s", got.body)
	}
	// An image counts in every store that has it.
	r.set(image.SizeTotal, 10)
	cl.do("admin", "POST", "/v2/images/"+third+"/import", fields{"method": fields{"name": "copy-image"}, "stores": []string{"two"}}).want(202)
	cl.eventually("a copy counts", func() bool {
		return strings.Contains(string(cl.do("demo", "GET", "/v2/info/usage", nil).body), `"image_size_total":{"limit":10,"usage":4}`)
	})
}

func TestLimitOfStage(t *testing.T) {
	cl, r := limited(t)
	r.set(image.StageTotal, 1)
	first := cl.create(nil)
	cl.stage(first, unsized()).want(204)
	cl.stage(cl.create(nil), unsized()).want(204)
	third := cl.create(nil)
	cl.stage(third, unsized()).want(413)
	cl.put(cl.create(nil), unsized()).want(204)
	r.set(image.StageTotal, 2)
	cl.stage(third, aMiB).want(413)
	cl.importStaged(first)
	cl.stage(third, aMiB).want(204)
}

func TestUnifiedLimitsNeedSomebodyWhoHasThem(t *testing.T) {
	o := control.Defaults()
	o.UseKeystoneLimits = true
	if _, err := control.New(control.Config{Options: o}); err == nil || !strings.Contains(err.Error(), "use_keystone_limits") {
		t.Error(err)
	}
}
