package api

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"kilonova/service/image/control"
)

// An operator may leave MD5 out; data that a client gave an MD5 sum of, and copies in the cache, are verified as ever.
func TestUploadWithoutLegacyChecksum(t *testing.T) {
	content := strings.Repeat("abcdefgh", 100000)
	base, allow := web(t, map[string]string{"/disk": content})
	cl := start(t, func(o *control.Options) {
		allow(o)
		o.LegacyChecksum, o.HashingAlgorithm, o.CacheMaxSize = false, "sha256", 10<<20
	})
	cl.run()
	sum, legacy := sha256.Sum256([]byte(content)), md5.Sum([]byte(content))
	right, checksum := hex.EncodeToString(sum[:]), hex.EncodeToString(legacy[:])
	id := cl.create(nil)
	cl.put(id, content).want(204)
	if got := cl.show(id); got["status"] != "active" || got["checksum"] != nil || got["os_hash_algo"] != "sha256" || got["os_hash_value"] != right {
		t.Errorf("%v", got)
	}
	if a := cl.do("demo", "GET", "/v2/images/"+id+"/file", nil); a.status != 200 || string(a.body) != content || a.header.Get("Content-Md5") != "" {
		t.Error(a.status, len(a.body), a.header)
	}
	cl.do("admin", "PUT", "/v2/cache/"+id, nil).want(202)
	cl.eventually("a whole copy is in the cache", func() bool {
		return len(cl.do("admin", "GET", "/v2/cache", nil).want(200)["cached_images"].([]any)) == 1
	})

	for given, want := range map[string]string{checksum: "active", strings.Repeat("0", 32): "queued"} {
		far := cl.create(nil)
		if got := cl.do("demo", "POST", "/v2/images/"+far+"/locations", fields{"url": base + "/disk", "validation_data": fields{
			"checksum": given, "os_hash_algo": "sha256", "os_hash_value": right}}); got.status != 202 {
			t.Fatal(got.status, string(got.body))
		}
		cl.eventually("the location is verified", func() bool {
			tasks := cl.do("demo", "GET", "/v2/images/"+far+"/tasks", nil).want(200)["tasks"].([]any)
			return len(tasks) == 1 && slices.Contains([]any{"success", "failure"}, tasks[0].(map[string]any)["status"])
		})
		if got := cl.show(far)["status"]; got != want {
			t.Errorf("with checksum %s it is %v, want %s", given, got, want)
		}
	}
}
