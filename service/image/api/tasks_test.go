package api

import (
	"testing"
)

func TestImportTask(t *testing.T) {
	base, allow := web(t, map[string]string{"/disk": "some data"})
	cl := start(t, allow)
	cl.run()
	body := func(kind, from string) fields {
		return fields{"type": kind, "input": fields{"import_from": from, "import_from_format": "raw", "image_properties": fields{"name": "by task"}}}
	}
	before := cl.rows()
	cl.do("demo", "POST", "/v2/tasks", body("import", base+"/disk")).want(403)
	for _, bad := range []any{fields{}, body("format-disk", base+"/disk"), body("import", "file:///etc/passwd"), body("import", "http://169.254.169.254/"), fields{"type": "import", "input": fields{}}} {
		cl.do("admin", "POST", "/v2/tasks", bad).want(400)
	}
	if after := cl.rows(); after != before {
		t.Errorf("%s became %s", before, after)
	}
	task := cl.do("admin", "POST", "/v2/tasks", body("import", base+"/disk")).want(201)
	path := "/v2/tasks/" + task["id"].(string)
	var done map[string]any
	cl.eventually("the task succeeds", func() bool {
		done = cl.do("admin", "GET", path, nil).want(200)
		return done["status"] == "success"
	})
	if i := cl.show(done["result"].(map[string]any)["image_id"].(string)); i["status"] != "active" || i["name"] != "by task" || i["size"] != 9. {
		t.Error(i)
	}
	if got := cl.do("admin", "DELETE", path, nil); got.status != 405 {
		t.Error(got.status)
	}
}
