package stack

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"kilonova/service/image"
)

func TestMetadefsGoInAndOut(t *testing.T) {
	c := Dev(t.TempDir(), "127.0.0.1:0", 1)
	tool, err := OpenImage(t.Context(), c, quiet, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer tool.Close()
	in, out := t.TempDir(), t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(in, "x.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(m Merge, want int) {
		t.Helper()
		if n, err := tool.LoadMetadefs(t.Context(), in, m); n != want || err != nil {
			t.Fatalf("%d changed, %v", n, err)
		}
	}
	titles := func() string {
		t.Helper()
		n, err := tool.Namespace(operator(t.Context()), "OS::X", "")
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, d := range n.Definitions {
			if d.Kind == image.DefProperty {
				text += d.Name + "=" + d.Body["title"].(string) + " "
			}
		}
		return text
	}
	const head = `{"namespace": "OS::X", "visibility": "public", "protected": true, "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
		"objects": [{"name": "o", "description": "d", "properties": {"p": {"title": "t", "type": "string"}}}], "tags": [{"name": "tag"}], "properties": {`
	write(head + `"a": {"title": "one", "type": "integer", "minimum": 1}}}`)
	load(Merge{}, 1)
	load(Merge{}, 0)
	write(head + `"a": {"title": "two", "type": "string"}, "b": {"title": "b", "type": "string"}}}`)
	load(Merge{}, 0)
	load(Merge{Merge: true}, 1)
	if got := titles(); got != "a=one b=b " {
		t.Error(got)
	}
	load(Merge{Merge: true, PreferNew: true}, 1)
	if got := titles(); got != "a=two b=b " {
		t.Error(got)
	}
	if n, err := tool.ExportMetadefs(t.Context(), out); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	write(head + `"c": {"title": "c", "type": "string"}}}`)
	load(Merge{Merge: true, Overwrite: true}, 1)
	if got := titles(); got != "c=c " {
		t.Error(got)
	}
	if n, err := tool.UnloadMetadefs(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := tool.LoadMetadefs(t.Context(), out, Merge{}); n != 1 || err != nil {
		t.Fatal("what was exported cannot be loaded:", n, err)
	}
	if got := titles(); got != "a=two b=b " {
		t.Error(got)
	}
	write(`{"namespace": 5}`)
	if _, err := tool.LoadMetadefs(t.Context(), in, Merge{}); err == nil {
		t.Error("a namespace that is a number was taken")
	}
	if n, err := tool.PurgeIDs(t.Context(), time.Now()); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// Upstream's own files, where its package is installed.
func TestUpstreamsMetadefs(t *testing.T) {
	const dir = "/etc/glance/metadefs"
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	if len(files) == 0 {
		t.Skip("upstream's metadata definitions are not in", dir)
	}
	tool, err := OpenImage(t.Context(), Dev(t.TempDir(), "127.0.0.1:0", 1), quiet, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer tool.Close()
	if n, err := tool.LoadMetadefs(t.Context(), dir, Merge{}); n != len(files) || err != nil {
		t.Errorf("%d of %d loaded, %v", n, len(files), err)
	}
}
