package rest

import (
	"encoding/json"
	"strings"
	"testing"
)

type exactAt struct {
	Server *struct {
		Name     string             `json:"name" check:"required len=1..10"`
		About    *string            `json:"about" check:"null=2.19- len=0..5"`
		Kind     string             `json:"kind" check:"enum=a|b"`
		Image    string             `json:"image" check:"empty uuid"`
		Count    *Int               `json:"count"`
		Host     Opt[string]        `json:"host" check:"null"`
		Zone     Opt[string]        `json:"zone"`
		Metadata map[string]string  `json:"metadata"`
		Changes  map[string]*string `json:"changes"`
		Hints    map[string]any     `json:"hints"`
		Raw      json.RawMessage    `json:"raw"`
		Disks    []struct {
			Size int `json:"size"`
		} `json:"disks"`
		EmbeddedAt
	} `json:"server" check:"required"`
}

type EmbeddedAt struct {
	Locked bool `json:"locked"`
}

func TestDecodeExact(t *testing.T) {
	for _, test := range []struct{ version, server, wrong string }{
		{"2.1", `{"name": "n", "count": 1, "disks": [ {"size": 1} ], "metadata": {"a": "b\"}"}}`, ""},
		{"2.1", `{"name":null}`, "server/name. Value: None. None is not of type 'string'"},
		{"2.1", `null`, "server. Value: None. None is not of type 'object'"},
		{"2.1", `{"name":"n","about":null}`, "server/about. Value: None"},
		{"2.19", `{"name":"n","about":null}`, ""},
		{"2.1", `{"name":"n","kind":""}`, "is not one of"},
		{"2.1", `{"name":"n","kind":"a"}`, ""},
		{"2.1", `{"name":"n","image":""}`, ""},
		{"2.1", `{"name":"n","image":"x"}`, "uuid"},
		{"2.1", `{"name":"n","count":null}`, "server/count. Value: None. None is not of type 'integer'"},
		{"2.1", `{"name":"n","host":null}`, ""},
		{"2.1", `{"name":"n","zone":null}`, "server/zone. Value: None. None is not of type 'string'"},
		{"2.1", `{"name":"n","metadata":null}`, "server/metadata. Value: None. None is not of type 'object'"},
		{"2.1", `{"name":"n","metadata":{"a":null}}`, "server/metadata/a"},
		{"2.1", `{"name":"n","changes":{"a":null}, "hints": {"b": null, "c": [null, {"d": "}"}]}, "raw": null}`, ""},
		{"2.1", `{"name":"n","disks":[{"size":1}, null]}`, "server/disks/1"},
		{"2.1", `{"name":"n","disks":[{"size":null}]}`, "server/disks/0/size"},
		{"2.1", `{"name":"n","locked":null}`, "server/locked. Value: None. None is not of type 'boolean'"},
		{"2.1", `{"NAME":"n"}`, "'NAME' was unexpected"},
		{"2.1", `{"\u006eame":"n"}`, ""},
		{"2.1", `{"name":"n","Locked":true}`, "'Locked' was unexpected"},
	} {
		var v exactAt
		err := DecodeExact([]byte(`{"server" : `+test.server+"}\n"), V(test.version), true, &v)
		if test.wrong == "" && err != nil || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
			t.Errorf("%s at %s: %v, want %q", test.server, test.version, err, test.wrong)
		}
	}
	var v exactAt
	if err := DecodeExact([]byte(`{"server": {"name": "n", "more": [1, "]", {}]}, "other": {"a": null}}`), V("2.1"), false, &v); err != nil {
		t.Errorf("members that are not known, where they may be: %v", err)
	}
	if err := DecodeExact([]byte(`{"server": {"Name": "n"}}`), V("2.1"), false, &v); err == nil {
		t.Error("a member of another case is taken for the one that is needed")
	}
}

func TestBase64(t *testing.T) {
	for text, want := range map[string]string{"": "", "aGFsbG8=": "hallo", "aGFs bG8=\n": "hallo", "aGFsbG8=aGFs": "hallo", "aGE=": "ha", "aA==": "h", "aG-Fs": "hal",
		"aGFs\x1fbG8=": "-", "aGFsbG8=\x00": "-", "aA=": "-", "aGFsb": "-", "a": "-", "===": ""} {
		data, err := Base64(text)
		if got := string(data); err == nil && got != want || err != nil && want != "-" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func BenchmarkDecodeExact(b *testing.B) {
	body := []byte(`{"server": {"name": "n", "about": "some", "metadata": {"a": "b", "c": "d"}, "disks": [{"size": 1}, {"size": 2}], "hints": {"group": "x"}}}`)
	for name, decode := range map[string]func([]byte, Version, bool, any) error{"exact": DecodeExact, "plain": Decode} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var v exactAt
				if err := decode(body, V("2.19"), true, &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
