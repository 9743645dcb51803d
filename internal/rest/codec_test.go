package rest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
)

type fileAt struct {
	Path string `json:"path" check:"required"`
	Mode string `json:"mode,omitempty" mv:"2.30-"`
}

type serverAt struct {
	Name        string            `json:"name" check:"required len=1..10"`
	Description *string           `json:"description" mv:"2.19-"`
	Tags        []string          `json:"tags,omitempty" mv:"2.52-" check:"len=0..2"`
	Files       []fileAt          `json:"files,omitempty" mv:"-2.56"`
	Flavor      *fileAt           `json:"flavor,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Count       Int               `json:"count,omitempty" check:"range=0..5"`
	Locked      Bool              `json:"locked,omitempty"`
	Made        Time              `json:"made,omitzero"`
	Kind        Opt[string]       `json:"kind,omitzero" check:"enum=a|b"`
	Ports       []string          `json:"ports,omitempty" check:"len=1..2"`
}

type bodyAt struct {
	Server serverAt `json:"server" check:"required"`
}

func TestEncodeAtVersions(t *testing.T) {
	desc := "d"
	body := &bodyAt{serverAt{Name: "n", Description: &desc, Tags: []string{"t"}, Files: []fileAt{{"p", "m"}}, Flavor: &fileAt{"f", "x"},
		Made: Time{time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}}}
	for version, want := range map[string]string{
		"2.1":  `{"server":{"name":"n","files":[{"path":"p"}],"flavor":{"path":"f"},"made":"2026-01-02T03:04:05Z"}}`,
		"2.30": `{"server":{"name":"n","description":"d","files":[{"path":"p","mode":"m"}],"flavor":{"path":"f","mode":"x"},"made":"2026-01-02T03:04:05Z"}}`,
		"2.60": `{"server":{"name":"n","description":"d","tags":["t"],"flavor":{"path":"f","mode":"x"},"made":"2026-01-02T03:04:05Z"}}`,
	} {
		var buf bytes.Buffer
		if err := Encode(&buf, V(version), body); err != nil || buf.String() != want {
			t.Errorf("%s: %v\n got %s\nwant %s", version, err, buf.String(), want)
		}
	}
}

func TestDecodeAtVersions(t *testing.T) {
	tests := []struct{ version, body, wrong string }{
		{"2.1", `{"server":{"name":"n","files":[{"path":"p"}]}}`, ""},
		{"2.1", `{"server":{"name":"n","files":[{"path":"p","mode":"m"}]}}`, "mode"},
		{"2.57", `{"server":{"name":"n","files":[]}}`, "files"},
		{"2.1", `{"server":{"name":"n","description":"d"}}`, "description"},
		{"2.19", `{"server":{"name":"n","description":"d"}}`, ""},
		{"2.19", `{"server":{"description":"d"}}`, "'name' is a required property"},
		{"2.19", `{"server":{"name":"12345678901"}}`, "too long"},
		{"2.19", `{"server":{"name":17}}`, "server.name"},
		{"2.52", `{"server":{"name":"n","tags":["a","b","c"]}}`, "server/tags"},
		{"2.1", `{"server":{"name":"n","count":"3","locked":"True"}}`, ""},
		{"2.1", `{"server":{"name":"n","count":"many"}}`, "integer"},
		{"2.1", `{"server":{"name":"n","count":6}}`, "maximum"},
		{"2.1", `{"server":{"name":"n","locked":"maybe"}}`, "boolean"},
		{"2.1", `{"server":{"name":"n","kind":"c"}}`, "not one of"},
		{"2.1", `{"server":{"name":"n","kind":null}}`, ""},
		{"2.1", `{"server":{"name":"n","ports":[]}}`, "too short"},
		{"2.1", `{"server":{"name":"n"}} x`, "more after"},
		{"2.1", `{"server":{"name":"n"`, "JSON"},
		{"2.1", ``, "empty"},
		{"2.1", `[]`, "array"},
		{"2.1", `null`, "required"},
		{"2.1", `{"server":{"name":"n","files":[{}]}}`, "server/files/0"},
	}
	for _, tt := range tests {
		var b bodyAt
		err := Decode([]byte(tt.body), V(tt.version), true, &b)
		if tt.wrong == "" && err != nil || tt.wrong != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s %s: %v, want mention of %q", tt.version, tt.body, err, tt.wrong)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"server":{"name":"n","files":[{"path":"p"}],"kind":"a"}}`), 1)
	f.Add([]byte(`{"server":{"name":"n","tags":["a"],"metadata":{"a":"b"},"count":"3"}}`), 60)
	f.Fuzz(func(t *testing.T, data []byte, minor int) {
		var b bodyAt
		err := Decode(data, Version{2, minor & 127}, true, &b)
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatalf("%q: %v", data, err)
		}
		var exact bodyAt
		if wrong := DecodeExact(data, Version{2, minor & 127}, true, &exact); wrong == nil && err != nil || wrong != nil && !fault.Is(wrong, fault.Invalid) {
			t.Fatalf("%q: exactly %v, and else %v", data, wrong, err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	desc := "d"
	body := &bodyAt{serverAt{Name: "n", Description: &desc, Tags: []string{"t"}, Files: []fileAt{{"p", "m"}}}}
	var buf bytes.Buffer
	for b.Loop() {
		buf.Reset()
		if err := Encode(&buf, V("2.30"), body); err != nil {
			b.Fatal(err)
		}
	}
}
