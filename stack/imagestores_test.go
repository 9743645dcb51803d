package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestImageStoresOfTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k.toml")
	open := func(text string) (string, error) {
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.Image.DataDir == "" {
			c.Image.DataDir = filepath.Join(dir, "images")
		}
		list, err := (&Stack{Config: c, ctx: t.Context()}).imageBackends()
		got := ""
		for _, b := range list {
			got += b.ID + ":" + b.Type
			if b.Default {
				got += "*"
			}
			got += " "
		}
		return strings.TrimSpace(got), err
	}
	for text, want := range map[string]string{
		"": "file:file*",
		`[image]
		enabled_backends = ["web:http", "fast:file", "cheap:s3"]
		[image.glance_store]
		default_backend = "fast"
		[image.stores.fast]
		filesystem_store_datadir = "DIR/fast"
		weight = 3
		[image.stores.cheap]
		s3_store_host = "http://127.0.0.1:1"
		s3_store_bucket = "b"
		s3_store_access_key = "a"
		s3_store_secret_key = "s"`: "web:http fast:file* cheap:s3",
	} {
		if got, err := open(text); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"[image]\nenabled_backends = [\"fast\"]":                                                "name:kind",
		"[image]\nenabled_backends = [\"fast:tape\"]":                                           "there are",
		"[image]\nenabled_backends = [\"a:file\", \"b:file\"]":                                  "two file stores",
		"[image]\nenabled_backends = [\"a:s3\"]":                                                "s3_store_host",
		"[image]\nenabled_backends = [\"a:file\"]\n[image.glance_store]\ndefault_backend=\"b\"": "no store",
		"[image.stores.a]\nweight = 1":                                                          "does not name",
	} {
		if got, err := open(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}
