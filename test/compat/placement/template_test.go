package placement_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// exchange is one request that was made and what came back.
type exchange struct {
	url      string // before query parameters were added
	headers  map[string]string
	location string
	body     string
	data     any // of a JSON body
}

// template replaces what stands for the environment and for earlier exchanges.
type template struct {
	environ map[string]string
	history map[string]*exchange
	prior   *exchange
}

const (
	netloc = "placement.test"
	scheme = "http"
)

const earlier = `(?:\$HISTORY\[(?:'([^']+?)'|"([^"]+?)")\]\.)?`

var (
	environPattern  = regexp.MustCompile(`\$ENVIRON\[(?:'([^']+?)'|"([^"]+?)")\]`)
	locationPattern = regexp.MustCompile(earlier + `\$LOCATION`)
	urlPattern      = regexp.MustCompile(earlier + `\$URL`)
	headersPattern  = regexp.MustCompile(earlier + `\$HEADERS\[(?:'([^']+?)'|"([^"]+?)")\]`)
	responsePattern = regexp.MustCompile(earlier + `\$RESPONSE\[(?:'([^']+?)'|"([^"]+?)")\]`)
)

// all replaces in texts, and in texts below lists and maps; keys of maps stay.
func (t *template) all(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return t.value(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = t.all(v[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key := range v {
			var err error
			if out[key], err = t.all(v[key]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// value replaces in one text. What is a $RESPONSE alone keeps its type; what
// came out of the environment becomes a number where it looks like one.
func (t *template) value(text string) (any, error) {
	if m := responsePattern.FindStringSubmatchIndex(text); m != nil && m[0] == 0 && m[1] == len(text) {
		return t.response(groups(text, m))
	}
	out, err := t.text(text, false)
	if err != nil || !strings.Contains(text, "$ENVIRON") {
		return out, err
	}
	if n, err := strconv.ParseInt(out, 10, 64); err == nil {
		return float64(n), nil
	}
	return out, nil
}

func groups(text string, m []int) []string {
	var list []string
	for i := 0; i < len(m); i += 2 {
		if m[i] < 0 {
			list = append(list, "")
		} else {
			list = append(list, text[m[i]:m[i+1]])
		}
	}
	return list
}

// text replaces in one text; quote makes what is put in fit for a pattern.
func (t *template) text(text string, quote bool) (string, error) {
	var failure error
	replace := func(p *regexp.Regexp, f func(m []string) (string, error)) {
		text = p.ReplaceAllStringFunc(text, func(match string) string {
			s, err := f(p.FindStringSubmatch(match))
			if err != nil {
				failure = err
			}
			if quote {
				s = regexp.QuoteMeta(s)
			}
			return s
		})
	}
	text = strings.NewReplacer("$SCHEME", scheme, "$NETLOC", netloc).Replace(text)
	replace(environPattern, func(m []string) (string, error) {
		name := m[1] + m[2]
		v, ok := t.environ[name]
		if !ok {
			return "", fmt.Errorf("the environment has no %s", name)
		}
		return v, nil
	})
	replace(locationPattern, func(m []string) (string, error) {
		e, err := t.earlier(m)
		if err == nil && e.location == "" {
			err = fmt.Errorf("there is no location")
		}
		if err != nil {
			return "", err
		}
		return e.location, nil
	})
	if strings.Contains(text, "$LAST_URL") && t.prior != nil {
		text = strings.ReplaceAll(text, "$LAST_URL", t.prior.url)
	}
	replace(urlPattern, func(m []string) (string, error) {
		e, err := t.earlier(m)
		if err != nil {
			return "", err
		}
		return e.url, nil
	})
	replace(headersPattern, func(m []string) (string, error) {
		e, err := t.earlier(m)
		if err != nil {
			return "", err
		}
		return e.headers[strings.ToLower(m[3]+m[4])], nil
	})
	replace(responsePattern, func(m []string) (string, error) {
		v, err := t.response(m)
		return display(v), err
	})
	return text, failure
}

// earlier returns the exchange that a match speaks of: a named one, or the last.
func (t *template) earlier(m []string) (*exchange, error) {
	name := m[1] + m[2]
	if name == "" {
		if t.prior == nil {
			return nil, fmt.Errorf("there is no prior request")
		}
		return t.prior, nil
	}
	e, ok := t.history[name]
	if !ok {
		return nil, fmt.Errorf("no request %q was made", name)
	}
	return e, nil
}

func (t *template) response(m []string) (any, error) {
	e, err := t.earlier(m)
	if err != nil {
		return nil, err
	}
	return one(e.data, m[3]+m[4])
}

// one returns what a path selects: the value if there is one, else the list.
func one(data any, path string) (any, error) {
	found, err := find(data, path)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%s is not in %.2000v", path, data)
	case 1:
		return found[0], nil
	}
	return found, nil
}

// display writes a value as a text to compare with patterns.
func display(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
