package api

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/image"
	"kilonova/service/image/control"
)

// importing stages data for an image of demo's and imports it.
func (cl *cloud) importing(id string, data []byte) {
	cl.t.Helper()
	cl.do("demo", "PUT", "/v2/images/"+id+"/stage", data, "Content-Type", octets).want(204)
	cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": fields{"name": "glance-direct"}}).want(202)
}

func (cl *cloud) ended(id string) (status, message string) {
	cl.t.Helper()
	cl.eventually("the import ends", func() bool {
		for _, t := range cl.do("admin", "GET", "/v2/images/"+id+"/tasks", nil).want(200)["tasks"].([]any) {
			status, message = t.(map[string]any)["status"].(string), t.(map[string]any)["message"].(string)
		}
		return status == "success" || status == "failure"
	})
	cl.eventually("the stage is empty", func() bool { return len(cl.files("stage")) == 0 })
	return status, message
}

func (cl *cloud) data(id string) []byte {
	cl.t.Helper()
	got := cl.do("demo", "GET", "/v2/images/"+id+"/file", nil)
	if got.status != 200 {
		cl.t.Fatal(got.status, string(got.body))
	}
	return got.body
}

func TestDecompression(t *testing.T) {
	cl := start(t, func(o *control.Options) {
		o.ImportOpts.Plugins = []string{"image_decompression"}
		o.ImageSizeCap = 1 << 20
	})
	cl.run()
	pack := func(content string) []byte {
		var buf bytes.Buffer
		w := gzip.NewWriter(&buf)
		io.WriteString(w, content)
		w.Close()
		return buf.Bytes()
	}
	zipped := func(names ...string) []byte {
		var buf bytes.Buffer
		w := zip.NewWriter(&buf)
		for _, n := range names {
			f, _ := w.Create(n)
			io.WriteString(f, "content of the disk")
		}
		w.Close()
		return buf.Bytes()
	}
	for name, tt := range map[string]struct {
		more   fields
		data   []byte
		want   string // "" the import fails
		reason string
	}{
		"plain":            {nil, []byte("as it is"), "as it is", ""},
		"gzip":             {nil, pack("the disk"), "the disk", ""},
		"zip":              {nil, zipped("../../disk.raw"), "content of the disk", ""},
		"zip of two":       {nil, zipped("a", "b"), "", "2 files"},
		"a bomb":           {nil, pack(strings.Repeat("\x00", 2<<20)), "", "too large"},
		"said to be so":    {fields{"container_format": "compressed"}, pack("the disk"), string(pack("the disk")), ""},
		"unsafe inside":    {nil, pack("QFI\xfb" + strings.Repeat("\x00", 4) + strings.Repeat("\x01", 200)), "", "qcow2"},
		"a broken archive": {nil, append([]byte("\x1f\x8b"), make([]byte, 100)...), "", "cannot be unpacked"},
	} {
		t.Run(name, func(t *testing.T) {
			cl.t = t
			id := cl.create(tt.more)
			cl.importing(id, tt.data)
			status, message := cl.ended(id)
			if tt.want == "" {
				if status != "failure" || !strings.Contains(message, tt.reason) || cl.show(id)["status"] != "queued" {
					t.Errorf("%s: %s", status, message)
				}
				return
			}
			if got := cl.data(id); string(got) != tt.want {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestConversion(t *testing.T) {
	for _, program := range []string{"qemu-img", "prlimit"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	content := bytes.Repeat([]byte("sector of a disk"), 4096)
	dir := t.TempDir()
	made := func(format string, options ...string) []byte {
		raw, path := filepath.Join(dir, "raw"), filepath.Join(dir, "disk."+format)
		if err := os.WriteFile(raw, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("qemu-img", append(append([]string{"convert", "-f", "raw", "-O", format}, options...), raw, path)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data, _ := os.ReadFile(path)
		return data
	}
	t.Run("to raw", func(t *testing.T) {
		cl := start(t, func(o *control.Options) {
			o.ImportOpts.Plugins = []string{"image_conversion", "inject_image_metadata"}
			o.Inject.Inject = map[string]string{"imported": "yes"}
		})
		cl.run()
		for format, data := range map[string][]byte{"qcow2": made("qcow2"), "vmdk": made("vmdk", "-o", "subformat=streamOptimized"), "vdi": made("vdi"), "raw": content} {
			id := cl.create(fields{"disk_format": format})
			cl.importing(id, data)
			if status, message := cl.ended(id); status != "success" {
				t.Fatal(format, message)
			}
			i := cl.show(id)
			if got := cl.data(id); i["disk_format"] != "raw" || !bytes.Equal(got, content) || i["virtual_size"] != float64(len(content)) || i["imported"] != "yes" {
				t.Errorf("%s: %d bytes, %v", format, len(got), i)
			}
		}
		// What is not what it says never gets to the program (CVE-2024-32498, OSSA-2024-001).
		id := cl.create(fields{"disk_format": "qcow2"})
		cl.importing(id, []byte("QFI\xfb"+strings.Repeat("\x00", 3)+"\x03"+strings.Repeat("\xff", 200)))
		if status, message := cl.ended(id); status != "failure" || !strings.Contains(message, "safety checks") {
			t.Error(status, message)
		}
		if left, _ := os.ReadDir(filepath.Join(cl.dir, "work")); len(left) != 0 {
			t.Error(left)
		}
	})
	t.Run("to qcow2", func(t *testing.T) {
		cl := start(t, func(o *control.Options) {
			o.ImportOpts.Plugins, o.Conversion.OutputFormat = []string{"image_decompression", "image_conversion"}, "qcow2"
		})
		cl.run()
		id := cl.create(nil)
		cl.importing(id, content)
		if status, message := cl.ended(id); status != "success" {
			t.Fatal(message)
		}
		if i := cl.show(id); i["disk_format"] != "qcow2" || i["virtual_size"] != float64(len(content)) || !bytes.HasPrefix(cl.data(id), []byte("QFI\xfb")) {
			t.Error(i)
		}
	})
}

// elsewhere is an image service of another region.
type elsewhere struct {
	view fields
	data string
	seen []image.OtherRegion
}

func (e *elsewhere) Show(_ context.Context, at image.OtherRegion, id string) (map[string]any, error) {
	e.seen = append(e.seen, at)
	if at.Region != "two" {
		return nil, fault.NotFoundf("The catalog has no region %s.", at.Region)
	}
	return e.view, nil
}

func (e *elsewhere) Open(context.Context, image.OtherRegion, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(e.data)), nil
}

func TestGlanceDownload(t *testing.T) {
	there := &elsewhere{data: "far away", view: fields{"status": "active", "disk_format": "raw", "container_format": "bare", "size": 8., "hw_cpu_cores": "5", "trait:X": "required", "speed": "88mph", "os_glance_x": "no"}}
	cl := startWith(t, func(o *control.Options) { o.EnabledImportMethods = []string{"glance-download"} }, func(c *control.Config) { c.Others = there })
	cl.run()
	download := func(id string, more fields) *answer {
		m := fields{"name": "glance-download", "glance_region": "two", "glance_image_id": "36d4b546-64a2-4bb9-bdd0-ba676aa48f2c"}
		for k, v := range more {
			m[k] = v
		}
		return cl.do("demo", "POST", "/v2/images/"+id+"/import", fields{"method": m})
	}
	id := cl.create(fields{"disk_format": "iso", "container_format": "ovf", "hw_cpu_cores": "1"})
	if got := download(id, fields{"glance_image_id": "foo"}); got.status != 400 || !strings.Contains(string(got.body), "image id does not look like a UUID") {
		t.Error(got.status, string(got.body))
	}
	download(id, fields{"glance_region": 5}).want(400)
	download(id, fields{"glance_region": "one"}).want(202)
	if status, message := cl.ended(id); status != "failure" || !strings.Contains(message, "region one") {
		t.Error(status, message)
	}
	if i := cl.show(id); i["status"] != "queued" || i["hw_cpu_cores"] != "1" || i["disk_format"] != "iso" {
		t.Error(i)
	}
	download(id, nil).want(202)
	cl.eventually("the image comes", func() bool { return cl.show(id)["status"] == "active" })
	i := cl.show(id)
	if i["disk_format"] != "raw" || i["container_format"] != "bare" || i["hw_cpu_cores"] != "5" || i["trait:X"] != "required" || i["speed"] != nil || i["os_glance_x"] != nil {
		t.Error(i)
	}
	if string(cl.data(id)) != "far away" {
		t.Error("the data is another")
	}
	if !slices.ContainsFunc(there.seen, func(at image.OtherRegion) bool { return at.Interface == "public" && at.Token == "demo" }) {
		t.Errorf("%+v", there.seen)
	}
}
