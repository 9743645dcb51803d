package compute

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"kilonova/internal/rest"
)

// FuzzBodies sends anything at all to every operation that takes a body, at any
// version: no answer may be a 500, and none may be missing, which is what a panic
// of the server would look like. The seeds are the walk's right bodies.
//
// What a server does in the background counts as covered by whatever is asked meanwhile, so that inputs
// cannot be made smaller by what they cover: with less of the option's minute each, more is tried.
//
//	go test -fuzz FuzzBodies -fuzztime 10m -fuzzminimizetime 1x -parallel 1 ./test/compat/compute
func FuzzBodies(f *testing.F) {
	c := openContract(f)
	w := newCloud(f)
	w.c, w.makers = c, requestsByKey()
	w.t = f
	type target struct{ method, path string }
	var targets []target
	for _, o := range c.sorted() {
		make := w.makers[alike(o.key())]
		if o.Removed != nil || make == nil {
			continue
		}
		// What the walk does, since each request stands on those before it.
		r := make(w, version(o.Max, highest))
		w.call(o.Method, w.url+r.path, version(o.Max, highest), r.body)
		w.down("") // evacuations have said that one is
		if r.body == nil {
			continue
		}
		body, err := json.Marshal(r.body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint16(len(targets)), uint8(version(o.Max, highest).Minor), body)
		f.Add(uint16(len(targets)), uint8(version(o.Min, lowest).Minor), body)
		targets = append(targets, target{o.Method, r.path})
	}
	client := &http.Client{Timeout: time.Minute}
	f.Fuzz(func(t *testing.T, index uint16, minor uint8, body []byte) {
		at := targets[int(index)%len(targets)]
		v := rest.Version{Major: 2, Minor: 1 + int(minor)%rest.V(highest).Minor}
		req, err := http.NewRequestWithContext(t.Context(), at.method, w.url+at.path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Auth-Token", w.token)
		req.Header.Set("OpenStack-API-Version", "compute "+v.String())
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s %s at %s with %q: %v", at.method, at.path, v, body, err)
		}
		defer resp.Body.Close()
		said, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode == http.StatusInternalServerError {
			t.Errorf("%s %s at %s with %q: %d %s, %v", at.method, at.path, v, body, resp.StatusCode, said, err)
		}
	})
}
