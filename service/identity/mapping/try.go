package mapping

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Try maps an assertion that is written as lines "NAME: VALUE", of which only
// those count whose names begin with prefix, and returns the result as JSON: for
// who writes rules. The rules are a list, or a mapping {"rules": […]}.
func Try(schema string, rules, assertion []byte, prefix string) (string, error) {
	var whole struct {
		Schema string          `json:"schema_version"`
		Rules  json.RawMessage `json:"rules"`
	}
	if err := json.Unmarshal(rules, &whole); err == nil && whole.Rules != nil {
		rules = whole.Rules
		if schema == "" {
			schema = whole.Schema
		}
	}
	r, err := Parse(schema, rules)
	if err != nil {
		return "", err
	}
	a := Assertion{}
	for lines := bufio.NewScanner(bytes.NewReader(assertion)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), ":")
		name = strings.TrimSpace(name)
		if name == "" && !ok {
			continue
		}
		if !ok {
			return "", fmt.Errorf("the line %.80q of the assertion is not NAME: VALUE", lines.Text())
		}
		if strings.HasPrefix(name, prefix) {
			a[name] = strings.Split(strings.TrimSpace(value), ";")
		}
	}
	res, err := r.Apply(a)
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(res, "", "  ")
	return string(text), err
}
