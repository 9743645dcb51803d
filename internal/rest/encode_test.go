package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// twinned writes v by encoding/json alone, as its twin at ver.
func twinned(t *testing.T, ver Version, v any) string {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(atVersion(ver, v)); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(buf.String(), "\n")
}

type loud string

func (l *loud) MarshalJSON() ([]byte, error) { return json.Marshal(strings.ToUpper(string(*l))) }

type quiet string

func (q quiet) MarshalText() ([]byte, error) { return []byte(strings.ToLower(string(q))), nil }

type stamped struct {
	Time
	Zone string
}

type named struct {
	First, Second string `json:",omitempty"`
	Hidden        string `json:"-"`
	Dash          string `json:"-,"` //nolint:staticcheck // as encoding/json has it: a member that is called -
	_             int
	Odd           string `json:"odd <name>"`
	Wrong         string `json:"no\"name"` //nolint:staticcheck // as encoding/json has it: no name, so the field's
}

type readsItself struct {
	A string `json:"a" mv:"2.90-"`
}

func (r *readsItself) UnmarshalJSON([]byte) error { return nil }

type held struct {
	Name string `json:"name"`
	New  string `json:"new" mv:"2.50-"`
}

// branch contains itself; such types can have no windows.
type branch struct {
	Name     string            `json:"name"`
	Branches []branch          `json:"branches,omitempty"`
	Next     *branch           `json:"next"`
	Named    map[string]branch `json:"named,omitempty"`
}

func TestTypesThatContainThemselves(t *testing.T) {
	tree := &branch{"a", []branch{{Name: "b"}}, &branch{Name: "c"}, map[string]branch{"d": {Name: "d"}}}
	for _, v := range []any{tree, map[string]any{"tree": tree, "in": []any{tree, *tree}}} {
		var buf bytes.Buffer
		if err := Encode(&buf, Version{}, v); err != nil || buf.String() != twinned(t, Version{}, v) {
			t.Errorf("%v, %s", err, buf.String())
		}
	}
}

// zoo has a field of every kind that views have, and of most others.
type zoo struct {
	Text     string               `json:"text"`
	Word     loud                 `json:"word"`
	Soft     quiet                `json:"soft,omitempty"`
	Yes      bool                 `json:"OS-X:yes"`
	Maybe    bool                 `json:"maybe,omitempty"`
	N        int                  `json:"n,omitzero"`
	Small    int8                 `json:"small,omitempty"`
	Big      int64                `json:"big"`
	U        uint16               `json:"u"`
	F        float64              `json:"f,omitempty"`
	Count    Int                  `json:"count"`
	Flag     Bool                 `json:"flag,omitempty"`
	Pointer  *string              `json:"pointer"`
	Left     *string              `json:"left,omitempty"`
	Double   **string             `json:"double,omitzero"`
	Struct   held                 `json:"struct,omitempty"`
	Zero     held                 `json:"zero,omitzero"`
	To       *held                `json:"to" mv:"-2.60"`
	List     []held               `json:"list"`
	Pointers []*held              `json:"pointers,omitempty"`
	Bytes    []byte               `json:"bytes"`
	Ints     []int                `json:"ints"`
	Words    []loud               `json:"words"`
	Three    [3]string            `json:"three"`
	Strings  map[string]string    `json:"strings"`
	Softly   map[quiet]string     `json:"softly"`
	Louder   map[string]loud      `json:"louder"`
	ByNumber map[int]string       `json:"by_number"`
	Lists    map[string][]string  `json:"lists,omitempty"`
	Any      any                  `json:"any"`
	Made     Time                 `json:"made"`
	Micro    MicroTime            `json:"micro,omitzero"`
	MicroZ   MicroTimeZ           `json:"micro_z"`
	Plain    time.Time            `json:"plain"`
	Took     time.Duration        `json:"took"`
	Option   Opt[string]          `json:"option,omitzero"`
	Options  Opt[[]int]           `json:"options"`
	When     Opt[MicroTime]       `json:"when" mv:"2.30-"`
	Stamped  stamped              `json:"stamped"`
	Names    named                `json:"names"`
	Reads    readsItself          `json:"reads"`
	Raw      json.RawMessage      `json:"raw,omitempty"`
	Member   fmt.Stringer         `json:"member"`
	Deep     map[string][]*string `json:"deep"`
}

// texts are what strings are made of here.
var texts = []string{"", "a", `"`, `\`, "\x00", "\x1f", "\b\f\n\r\t", "<>&", "\u2028\u2029", "é", "日本", "😀", "\xff", "\xe6\x97", "�", "\x7f", "some longer text of a server"}

// fill sets v to something by chance.
func fill(r *rand.Rand, v reflect.Value, depth int) {
	text := func() string { return texts[r.IntN(len(texts))] + texts[r.IntN(len(texts))] }
	switch v.Type() {
	case reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte(`{"a": [1,  "<"]}`))
		return
	case reflect.TypeFor[time.Time]():
		if r.IntN(3) > 0 {
			v.Set(reflect.ValueOf(time.Unix(r.Int64N(4e9), r.Int64N(1e9)).In(time.FixedZone("", 3600))))
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text())
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64, reflect.Int8:
		v.SetInt(int64(r.IntN(3) * (r.IntN(200) - 100)))
	case reflect.Uint16, reflect.Uint8:
		v.SetUint(uint64(r.IntN(200)))
	case reflect.Float64:
		v.SetFloat(float64(r.IntN(3)) * r.NormFloat64())
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem(), depth)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(r, v.Field(i), depth)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i), depth)
		}
	case reflect.Slice:
		if n := r.IntN(4); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n-1, n))
			for i := range n - 1 {
				fill(r, v.Index(i), depth)
			}
		}
	case reflect.Map:
		if n := r.IntN(4); n > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n - 1 {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(r, key, depth)
				fill(r, value, depth)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Interface:
		if v.NumMethod() > 0 {
			v.Set(reflect.ValueOf(V("2.7")))
			return
		}
		if depth == 3 {
			return
		}
		for _, made := range []any{new(string), new(bool), new(int), new(float64), new(held), new(*held), new(map[string]any), new([]any), new([]held), new(loud), new(Time),
			new(map[string]string), new(Opt[string])}[r.IntN(13):] {
			fill(r, reflect.ValueOf(made).Elem(), depth+1)
			v.Set(reflect.ValueOf(made).Elem())
			return
		}
	}
}

func TestPlansWriteWhatEncodingJSONWrites(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		var z zoo
		fill(r, reflect.ValueOf(&z).Elem(), 0)
		ver := []Version{{}, V("2.1"), V("2.30"), V("2.50"), V("2.61"), V("2.90")}[i%6]
		for _, v := range []any{&z, z.Any, &z.Any, &z.List, z.List, &z.Strings, map[string]any{"zoo": &z}} {
			var buf bytes.Buffer
			if err := Encode(&buf, ver, v); err != nil {
				t.Fatal(err)
			}
			if want := twinned(t, ver, v); buf.String() != want {
				t.Fatalf("%T at %v:\n got %s\nwant %s", v, ver, buf.String(), want)
			}
		}
	}
}

func TestEncodeWritesNothingOfWhatFails(t *testing.T) {
	buf := bytes.NewBufferString("before")
	for _, v := range []any{&struct{ A, B any }{1, make(chan int)}, map[string]any{"f": func() {}}, &struct{ F float64 }{1 / float64(len(buf.String())-6)}} {
		if err := Encode(buf, Version{}, v); err == nil || buf.String() != "before" {
			t.Errorf("%T: %v, %q", v, err, buf)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := string(appendText(nil, text)), twinned(t, Version{}, text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	})
}
