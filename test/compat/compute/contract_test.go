package compute

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"kilonova/internal/rest"
)

// operation is one row of the contract's routes.json.
type operation struct {
	Method    string      `json:"method"`
	Path      string      `json:"path"`
	Action    *string     `json:"action"`
	Min       *string     `json:"min"`
	Max       *string     `json:"max"`
	Status    *int        `json:"status"`
	Removed   any         `json:"removed"`
	Errors    []int       `json:"errors"`
	Responses []schemaRef `json:"response_schemas"`
	Queries   []schemaRef `json:"query_schemas"`
	Requests  []schemaRef `json:"request_schemas"`
}

type schemaRef struct {
	Schema string  `json:"schema"`
	Min    *string `json:"min"`
	Max    *string `json:"max"`
}

func (o operation) key() string {
	k := o.Method + " " + o.Path
	if o.Action != nil {
		k += " " + *o.Action
	}
	return k
}

// sorted lists the operations by path.
func (c *contract) sorted() []operation {
	return slices.SortedFunc(maps.Values(c.operations), func(a, b operation) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.key(), b.key()))
	})
}

const lowest, highest = "2.1", "2.104"

// versions are the first and the last of every window that begins or ends within
// the operation's life.
func (o operation) versions() []rest.Version {
	lo, hi := version(o.Min, lowest), version(o.Max, highest)
	all := []rest.Version{lo, hi}
	for _, s := range slices.Concat(o.Responses, o.Queries) {
		for _, v := range []rest.Version{version(s.Min, lowest), version(s.Max, highest)} {
			if !v.Less(lo) && !hi.Less(v) {
				all = append(all, v)
			}
		}
	}
	slices.SortFunc(all, func(a, b rest.Version) int { return a.Minor - b.Minor })
	return slices.Compact(all)
}

func version(text *string, def string) rest.Version {
	if text == nil || *text == "2.0" {
		return rest.V(def)
	}
	return rest.V(*text)
}

// queryAt returns the schema of the query at a version, nil if there is none.
func (c *contract) queryAt(o operation, v rest.Version) (map[string]any, error) {
	for _, s := range o.Queries {
		if v.Less(version(s.Min, lowest)) || version(s.Max, highest).Less(v) {
			continue
		}
		if _, err := c.schema(s.Schema); err != nil {
			return nil, err
		}
		return c.raw(s.Schema), nil
	}
	return nil, nil
}

// raw is a schema that was compiled before.
func (c *contract) raw(name string) map[string]any {
	file, member, _ := strings.Cut(name, ".")
	schema, _ := c.loaded[file][member].(map[string]any)
	return schema
}

// responseAt names the schema of the answer at a version, "" if there is none.
func (o operation) responseAt(v rest.Version) string {
	for _, s := range o.Responses {
		if !v.Less(version(s.Min, lowest)) && !version(s.Max, highest).Less(v) {
			return s.Schema
		}
	}
	return ""
}

// contract is upstream's, read once.
type contract struct {
	dir        string
	operations map[string]operation
	compiler   *jsonschema.Compiler
	loaded     map[string]map[string]any
}

func openContract(t testing.TB) *contract {
	t.Helper()
	dir := os.Getenv("KILONOVA_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "contracts")
	}
	data, err := os.ReadFile(filepath.Join(dir, "nova", "routes.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("upstream's contract is not at %s; KILONOVA_CONTRACTS says where it is", dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	var rows []operation
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	c := &contract{dir: filepath.Join(dir, "nova", "json_schemas"), operations: map[string]operation{}, compiler: jsonschema.NewCompiler(), loaded: map[string]map[string]any{}}
	for _, o := range rows {
		c.operations[o.key()] = o
	}
	c.compiler.AssertFormat()
	c.compiler.UseRegexpEngine(pattern)
	for _, f := range formats {
		c.compiler.RegisterFormat(f)
	}
	return c
}

// schema compiles "servers.show_response_v23": a member of servers.json.
func (c *contract) schema(name string) (*jsonschema.Schema, error) {
	file, member, _ := strings.Cut(name, ".")
	if c.loaded[file] == nil {
		data, err := os.ReadFile(filepath.Join(c.dir, file+".json"))
		if err != nil {
			return nil, err
		}
		var all map[string]any
		if err := json.Unmarshal(data, &all); err != nil {
			return nil, err
		}
		c.loaded[file] = all
	}
	s, ok := c.loaded[file][member]
	if !ok {
		return nil, fmt.Errorf("%s.json has no %s", file, member)
	}
	if s == nil { // no body
		return nil, nil
	}
	id := "contract:" + name
	if err := c.compiler.AddResource(id, s); err != nil && !strings.Contains(err.Error(), "already exists") {
		return nil, err
	}
	return c.compiler.Compile(id)
}

// formats are those of upstream's schemas that the library lacks or sees more
// strictly: its date-time wants a zone.
var formats = []*jsonschema.Format{
	textFormat("name", isName),
	textFormat("az_name", func(s string) bool { return isName(s) && !strings.Contains(s, ":") }),
	textFormat("name_with_leading_trailing_spaces", func(s string) bool { return isName(strings.TrimSpace(s)) }),
	textFormat("az_name_with_leading_trailing_spaces", func(s string) bool { return isName(strings.TrimSpace(s)) && !strings.Contains(s, ":") }),
	textFormat("mac-address", rest.IsMAC),
	textFormat("base64", isBase64),
	textFormat("uuid", rest.IsUUID),
	textFormat("cidr", func(s string) bool { _, _, err := net.ParseCIDR(s); return err == nil }),
	textFormat("uri", func(s string) bool { u, err := url.Parse(s); return err == nil && u.Scheme != "" }),
	textFormat("date-time", func(s string) bool {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05"} {
			if _, err := time.Parse(layout, s); err == nil {
				return true
			}
		}
		return false
	}),
}

// isBase64 is upstream's, which passes over what does not belong to the alphabet.
func isBase64(s string) bool {
	inside := 0 // digits since the last whole group of four
	for i, r := range s {
		switch {
		case r == '=' && inside >= 2:
			return inside+strings.Count(s[i:], "=") >= 4
		case strings.ContainsRune("+/", r) || r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			inside = (inside + 1) % 4
		}
	}
	return inside == 0
}

// isName is upstream's name: of characters that can be printed, none at its ends blank.
func isName(s string) bool {
	return s != "" && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) })
}

// trimmed is a pattern that neither begins nor ends with a blank.
type trimmed struct{ *regexp.Regexp }

func (p trimmed) MatchString(s string) bool {
	return strings.Trim(s, " ") == s && p.Regexp.MatchString(s)
}

// pattern reads those of upstream's schemas: the one kind of assertion in them that
// Go's patterns lack is about blanks.
func pattern(text string) (jsonschema.Regexp, error) {
	plain := strings.NewReplacer("(?! )", "", "(?<! )", "").Replace(text)
	re, err := regexp.Compile(plain)
	if err != nil || plain == text {
		return re, err
	}
	return trimmed{re}, nil
}

func textFormat(name string, ok func(string) bool) *jsonschema.Format {
	return &jsonschema.Format{Name: name, Validate: func(v any) error {
		if s, is := v.(string); is && !ok(s) {
			return fmt.Errorf("%q is no %s", s, name)
		}
		return nil
	}}
}
