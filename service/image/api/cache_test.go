package api

import (
	"slices"
	"strings"
	"testing"

	"kilonova/service/image/control"
)

func TestCache(t *testing.T) {
	base, allow := web(t, map[string]string{"/disk": strings.Repeat("far away", 1000)})
	cl := start(t, func(o *control.Options) { o.CacheMaxSize = 100000; allow(o); o.DoSecureHash = true })
	cl.run()
	cached := func() (ids []string) {
		for _, e := range cl.do("admin", "GET", "/v2/cache", nil).want(200)["cached_images"].([]any) {
			ids = append(ids, e.(map[string]any)["image_id"].(string))
		}
		return ids
	}
	for _, who := range []string{"demo", "reader"} {
		cl.do(who, "GET", "/v2/cache", nil).want(403)
		cl.do(who, "DELETE", "/v2/cache", nil).want(403)
	}
	queued, one := cl.create(nil), cl.create(nil)
	cl.do("demo", "PUT", "/v2/cache/"+one, nil).want(403)
	cl.put(one, strings.Repeat("a", 60000)).want(204)
	cl.do("admin", "PUT", "/v2/cache/"+queued, nil).want(400)
	cl.do("admin", "PUT", "/v2/cache/non-existing-image-id", nil).want(404)
	cl.do("admin", "DELETE", "/v2/cache/non-existing-image-id", nil).want(404)
	cl.do("admin", "PUT", "/v2/cache/"+one, nil).want(202)
	cl.eventually("the image is cached", func() bool { return slices.Equal(cached(), []string{one}) })

	// A copy is served under the same rules as the image (OSSA-2013-027).
	if got := cl.do("reader", "GET", "/v2/images/"+one+"/file", nil); got.status != 403 {
		t.Error(got.status)
	}
	cl.do("alt", "GET", "/v2/images/"+one+"/file", nil).want(404)
	if got := cl.do("demo", "GET", "/v2/images/"+one+"/file", nil); got.status != 200 || len(got.body) != 60000 {
		t.Error(got.status, len(got.body))
	}
	if e := cl.do("admin", "GET", "/v2/cached_images", nil).want(200)["cached_images"].([]any)[0].(map[string]any); e["hits"] != 1. || e["size"] != 60000. {
		t.Error(e)
	}

	// What lies far away comes into the cache when it is used; what is used
	// least makes room.
	far := cl.create(nil)
	if got := cl.do("demo", "POST", "/v2/images/"+far+"/locations", fields{"url": base + "/disk"}); got.status != 202 {
		t.Fatal(got.status)
	}
	cl.eventually("the image is hashed", func() bool { return cl.show(far)["checksum"] != nil })
	if got := cl.do("demo", "GET", "/v2/images/"+far+"/file", nil); got.status != 200 || len(got.body) != 8000 {
		t.Error(got.status, len(got.body))
	}
	cl.eventually("both are cached", func() bool { return len(cached()) == 2 })
	large := cl.create(nil)
	cl.put(large, strings.Repeat("b", 50000)).want(204)
	cl.do("admin", "PUT", "/v2/queued_images/"+large, nil).want(202)
	cl.eventually("the oldest is evicted", func() bool { return slices.Contains(cached(), large) && !slices.Contains(cached(), one) })

	cl.do("admin", "DELETE", "/v2/cache", nil, "X-Image-Cache-Clear-Target", "invalid").want(400)
	cl.do("admin", "DELETE", "/v2/cache/"+large, nil).want(204)
	cl.do("admin", "DELETE", "/v2/cache", nil, "X-Image-Cache-Clear-Target", "cache").want(204)
	if len(cached()) != 0 || len(cl.files("cache")) != 0 {
		t.Error(cached(), cl.files("cache"))
	}
	if got := cl.do("demo", "GET", "/versions", nil); !strings.Contains(string(got.body), `"v2.16"`) {
		t.Error(string(got.body))
	}
}

func TestNoCache(t *testing.T) {
	cl := start(t, nil)
	cl.do("admin", "GET", "/v2/cache", nil).want(404)
	if got := cl.do("demo", "GET", "/versions", nil); strings.Contains(string(got.body), `"v2.16"`) {
		t.Error(string(got.body))
	}
}
