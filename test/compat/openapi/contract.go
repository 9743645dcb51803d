package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// Operation is one row of a contract.
type Operation struct{ Method, Path string }

func (o Operation) String() string { return o.Method + " " + o.Path }

// Contract is one OpenAPI file.
type Contract struct {
	Service string // "identity": the folder of the file

	file  string
	doc   map[string]any
	paths []template

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

// template is a path of the file, cut into its parts.
type template struct {
	path  string
	parts []string
}

// Folder is where the contracts are: KILONOVA_CONTRACTS, or beside a checkout.
func Folder() string {
	if dir := os.Getenv("KILONOVA_CONTRACTS"); dir != "" {
		return dir
	}
	wd, _ := os.Getwd()
	for dir := wd; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "..", "shared", "contracts")
		}
	}
	return filepath.Join("..", "shared", "contracts")
}

// Need is Load for tests of a service's newest file, "identity/v3.14"; the test
// is skipped where the contracts are absent.
func Need(t testing.TB, name string) *Contract {
	t.Helper()
	c, err := Load(filepath.Join(Folder(), "openapi", name+".yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("upstream's contracts are not at %s; KILONOVA_CONTRACTS says where they are", Folder())
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Load reads a file.
func Load(file string) (*Contract, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	// As JSON has it: numbers and names of members are what the compiler expects.
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	c := &Contract{Service: filepath.Base(filepath.Dir(file)), file: file, compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	c.doc, _ = plain.(map[string]any)
	soften(c.doc)
	if err := c.compiler.AddResource(resource, c.doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for path := range member(c.doc, "paths") {
		c.paths = append(c.paths, template{path, strings.Split(strings.Trim(path, "/"), "/")})
	}
	slices.SortFunc(c.paths, func(a, b template) int { return strings.Compare(a.path, b.path) })
	return c, nil
}

const resource = "contract.json"

// soften takes the windows of versions for what they are: a form per version, of
// which several may fit an answer.
func soften(v any) {
	switch v := v.(type) {
	case map[string]any:
		if one, ok := v["oneOf"]; ok {
			if _, has := v["anyOf"]; !has {
				v["anyOf"] = one
				delete(v, "oneOf")
			}
		}
		for _, e := range v {
			soften(e)
		}
	case []any:
		for _, e := range v {
			soften(e)
		}
	}
}

// member walks maps; nil where there is no such way.
func member(v map[string]any, names ...string) map[string]any {
	for _, n := range names {
		v, _ = v[n].(map[string]any)
	}
	return v
}

// methods are the members of a path that are operations.
var methods = []string{"get", "head", "post", "put", "patch", "delete"}

// Operations lists what the file describes, by path.
func (c *Contract) Operations() []Operation {
	var all []Operation
	for _, t := range c.paths {
		for _, m := range methods {
			if member(c.doc, "paths", t.path, m) != nil {
				all = append(all, Operation{strings.ToUpper(m), t.path})
			}
		}
	}
	return all
}

// Find returns the operation that a request is; false when the file has none.
// Of several templates that fit it is the one with the most fixed parts.
func (c *Contract) Find(method, path string) (Operation, bool) {
	parts, best, fixed := strings.Split(strings.Trim(path, "/"), "/"), "", -1
	for _, t := range c.paths {
		if n, ok := t.fits(parts); ok && n > fixed && member(c.doc, "paths", t.path, strings.ToLower(method)) != nil {
			best, fixed = t.path, n
		}
	}
	return Operation{method, best}, fixed >= 0
}

// fits counts the fixed parts of a template that a path fits.
func (t template) fits(parts []string) (fixed int, ok bool) {
	if len(parts) != len(t.parts) {
		return 0, false
	}
	for i, p := range t.parts {
		switch {
		case strings.HasPrefix(p, "{") && strings.HasSuffix(p, "}"):
			if parts[i] == "" {
				return 0, false
			}
		case p != parts[i]:
			return 0, false
		default:
			fixed++
		}
	}
	return fixed, true
}

// schema compiles the form of an answer to an operation; nil where the file
// gives none.
func (c *Contract) schema(o Operation, status int) (*jsonschema.Schema, error) {
	method := strings.ToLower(o.Method)
	code := fmt.Sprint(status)
	responses := member(c.doc, "paths", o.Path, method, "responses")
	if responses[code] == nil && status < 300 { // the files have 200 where a service answers 201 or 202
		for other := range responses {
			if strings.HasPrefix(other, "2") {
				code = other
			}
		}
	}
	if member(responses, code, "content", "application/json", "schema") == nil {
		return nil, nil
	}
	pointer := "#/paths/" + escape(o.Path) + "/" + method + "/responses/" + code + "/content/application~1json/schema"
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok := c.compiled[pointer]; ok {
		return s, nil
	}
	s, err := c.compiler.Compile(resource + pointer)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", c.file, o, err)
	}
	c.compiled[pointer] = s
	return s, nil
}

func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(s)
}

// Check holds an answer against the file: what is wrong, one line each. A request
// that the file does not know is wrong when it succeeded.
func (c *Contract) Check(method, path string, status int, header http.Header, body []byte) []Violation {
	o, ok := c.Find(method, path)
	wrong := func(format string, args ...any) []Violation {
		return []Violation{{Service: c.Service, Operation: o, Status: status, Problem: fmt.Sprintf(format, args...)}}
	}
	switch {
	case !ok && status < 300:
		o.Path = path
		return waived(wrong("the contract has no such operation"))
	case !ok || status >= 300 || status == http.StatusNoContent:
		return nil
	}
	s, err := c.schema(o, status)
	if err != nil {
		return wrong("%v", err)
	}
	if s == nil || method == http.MethodHead {
		return nil
	}
	if t := header.Get("Content-Type"); !strings.HasPrefix(t, "application/json") {
		if len(body) == 0 {
			return waived(wrong("there is no body, and the contract has one"))
		}
		return nil // another of the forms that the operation has
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return wrong("the body is not JSON: %v", err)
	}
	return waived(c.violations(o, status, s.Validate(v)))
}
