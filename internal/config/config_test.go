package config

import (
	"strings"
	"testing"
	"time"
)

type options struct {
	Listen string
	Quota  struct {
		Instances int      `toml:"instances"`
		Grace     Duration `toml:"grace"`
	} `toml:"quota"`
}

func TestParseKeepsDefaultsAndRefusesUnknownKeys(t *testing.T) {
	o := options{Listen: ":80"}
	if err := Parse("[quota]\ninstances = 5\ngrace = \"90s\"\n", &o); err != nil {
		t.Fatal(err)
	}
	if o.Listen != ":80" || o.Quota.Instances != 5 || o.Quota.Grace.D() != 90*time.Second {
		t.Fatalf("got %+v", o)
	}
	for text, want := range map[string]string{
		"[quota]\ninstancs = 5\n":          "line 2: unknown option quota.instancs",
		"[quota]\ninstances = \"many\"\n":  "line 2",
		"[quota]\ngrace = \"a long time\"": "duration",
		"[quota":                           "line 1",
	} {
		if err := Parse(text, &o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want mention of %q", text, err, want)
		}
	}
}
