package placement_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// suite is one file of requests.
type suite struct {
	Fixtures []string `yaml:"fixtures"`
	Defaults struct {
		Headers map[string]any `yaml:"request_headers"`
	} `yaml:"defaults"`
	Vars  any              `yaml:"vars"` // anchors only
	Tests []map[string]any `yaml:"tests"`
}

func loadSuite(path string) (*suite, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	s := &suite{}
	return s, dec.Decode(s)
}

// knownKeys are the keys of a test that the runner understands; another one is
// an error, so that no expectation is passed over.
var knownKeys = []string{"name", "desc", "GET", "PUT", "POST", "DELETE", "OPTIONS", "request_headers", "query_parameters", "data",
	"status", "response_headers", "response_forbidden_headers", "response_strings", "response_json_paths"}

// run makes one request and returns what is wrong with the answer.
func run(h http.Handler, t *template, auth *tokens, s *suite, test map[string]any) (*exchange, error) {
	for key := range test {
		if !slices.Contains(knownKeys, key) {
			return &exchange{}, fmt.Errorf("the runner does not know the key %s", key)
		}
	}
	e := &exchange{headers: map[string]string{}}
	req, err := request(t, auth, s, test, e)
	if err != nil {
		return e, err
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	for key, values := range w.Header() {
		e.headers[strings.ToLower(key)] = strings.Join(values, ", ")
	}
	e.location, e.body = w.Header().Get("Location"), w.Body.String()
	if strings.HasPrefix(e.headers["content-type"], "application/json") && e.body != "" {
		if err := json.Unmarshal([]byte(e.body), &e.data); err != nil {
			return e, fmt.Errorf("the answer is not JSON: %w: %.500s", err, e.body)
		}
	}
	return e, expect(t, test, w.Code, e)
}

func request(t *template, auth *tokens, s *suite, test map[string]any, e *exchange) (*http.Request, error) {
	method, address := "", ""
	for _, m := range []string{"GET", "PUT", "POST", "DELETE", "OPTIONS"} {
		if a, ok := test[m]; ok {
			method, address = m, a.(string)
		}
	}
	var err error
	if e.url, err = t.text(address, false); err != nil {
		return nil, err
	}
	full, err := url.Parse(strings.ReplaceAll(e.url, " ", "%20")) // addresses are folded over lines
	if err != nil {
		return nil, err
	}
	full.Scheme, full.Host = scheme, netloc
	if full.RawQuery, err = query(t, full.RawQuery, test["query_parameters"]); err != nil {
		return nil, err
	}
	headers := map[string]string{}
	for _, set := range []any{s.Defaults.Headers, test["request_headers"]} {
		more, _ := set.(map[string]any)
		for key, v := range more {
			if headers[strings.ToLower(key)], err = t.text(fmt.Sprint(v), false); err != nil {
				return nil, err
			}
		}
	}
	body, err := data(t, test["data"], headers["content-type"])
	if err != nil {
		return nil, err
	}
	req := httptest.NewRequest(method, full.String(), strings.NewReader(body))
	auth.translate(headers)
	for key, v := range headers {
		req.Header.Set(key, v)
	}
	return req, nil
}

func query(t *template, raw string, parameters any) (string, error) {
	more, _ := parameters.(map[string]any)
	values := url.Values{}
	for key, v := range more {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, v := range list {
			text, err := t.text(fmt.Sprint(v), false)
			if err != nil {
				return "", err
			}
			values.Add(key, text)
		}
	}
	return strings.Trim(raw+"&"+values.Encode(), "&"), nil
}

// data makes a body: texts go as they are, the rest as JSON. Templates are
// replaced in values first and then in the whole text, which has the keys.
func data(t *template, v any, contentType string) (string, error) {
	if v == nil {
		return "", nil
	}
	text, isText := v.(string)
	if !isText {
		if !strings.HasPrefix(contentType, "application/json") {
			return "", fmt.Errorf("no content type to write data for")
		}
		replaced, err := t.all(v)
		if err != nil {
			return "", err
		}
		encoded, err := json.Marshal(replaced)
		if err != nil {
			return "", err
		}
		text = string(encoded)
	}
	return t.text(text, false)
}

// expect compares an answer with what a test says of it.
func expect(t *template, test map[string]any, status int, e *exchange) error {
	want := "200"
	if s, ok := test["status"]; ok {
		want = fmt.Sprint(s)
	}
	if !slices.Contains(strings.Fields(strings.ReplaceAll(want, "||", " ")), fmt.Sprint(status)) {
		return fmt.Errorf("status %d, want %s: %.1000s", status, want, e.body)
	}
	headers, _ := test["response_headers"].(map[string]any)
	for key, v := range headers {
		got, there := e.headers[strings.ToLower(key)]
		if !there {
			return fmt.Errorf("there is no header %s", key)
		}
		if err := matches(t, fmt.Sprint(v), got); err != nil {
			return fmt.Errorf("header %s: %w", key, err)
		}
	}
	forbidden, _ := test["response_forbidden_headers"].([]any)
	for _, key := range forbidden {
		if got, there := e.headers[strings.ToLower(key.(string))]; there {
			return fmt.Errorf("there is a header %s: %s", key, got)
		}
	}
	texts, _ := test["response_strings"].([]any)
	for _, v := range texts {
		if err := contains(t, fmt.Sprint(v), e.body); err != nil {
			return err
		}
	}
	paths, _ := test["response_json_paths"].(map[string]any)
	for path, v := range paths {
		if err := expectAt(t, path, v, e.data); err != nil {
			return fmt.Errorf("%w: %.3000s", err, e.body)
		}
	}
	return nil
}

func isPattern(text string) bool {
	return len(text) > 1 && strings.HasPrefix(text, "/") && strings.HasSuffix(text, "/")
}

// pattern compiles /…/ after its templates have been replaced.
func pattern(t *template, text string) (*regexp.Regexp, error) {
	text, err := t.text(text, true)
	if err != nil {
		return nil, err
	}
	return regexp.Compile(text[1 : len(text)-1])
}

// matches compares a text that is a pattern or an exact value.
func matches(t *template, want, got string) error {
	if isPattern(want) {
		p, err := pattern(t, want)
		if err == nil && !p.MatchString(got) {
			err = fmt.Errorf("%q does not match /%s/", got, p)
		}
		return err
	}
	want, err := t.text(want, false)
	if err == nil && want != got {
		err = fmt.Errorf("%q, want %q", got, want)
	}
	return err
}

func contains(t *template, want, body string) error {
	if isPattern(want) {
		p, err := pattern(t, want)
		if err == nil && !p.MatchString(body) {
			err = fmt.Errorf("/%s/ does not match %.1000s", p, body)
		}
		return err
	}
	want, err := t.text(want, false)
	if err == nil && !strings.Contains(body, want) {
		err = fmt.Errorf("%q is not in %.1000s", want, body)
	}
	return err
}

func expectAt(t *template, path string, want, data any) error {
	path, err := t.text(path, false)
	if err != nil {
		return err
	}
	got, err := one(data, path)
	if err != nil {
		return err
	}
	if text, ok := want.(string); ok && isPattern(text) {
		if err := matches(t, text, display(got)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	if want, err = t.all(normal(want)); err != nil {
		return err
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("%s: %v, want %v", path, got, want)
	}
	return nil
}

// normal gives numbers the type that they have in decoded JSON.
func normal(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = normal(v[key])
		}
		return out
	}
	return v
}
