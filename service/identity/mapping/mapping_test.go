package mapping

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t *testing.T, schema, text string) *Rules {
	t.Helper()
	r, err := Parse(schema, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestApply(t *testing.T) {
	d := &Domain{ID: "d"}
	tests := []struct {
		name, schema, rules string
		assertion           Assertion
		want                Result
	}{
		{"names and groups", "1.0", `[{"local": [{"user": {"name": "{0} {1}", "email": "{2}"}}, {"group": {"id": "g"}}],
			"remote": [{"type": "First"}, {"type": "Last"}, {"type": "Email"}, {"type": "Role", "any_one_of": ["Staff"]}]}]`,
			Assertion{"First": {"Bob"}, "Last": {"Thompson"}, "Email": {"b@x"}, "Role": {"Guest", "Staff"}},
			Result{User: User{Name: "Bob Thompson", Email: "b@x", Type: Ephemeral}, GroupIDs: []string{"g"}}},
		{"conditions do not count as places", "1.0", `[{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "Role", "not_any_of": ["x"]}, {"type": "Name"}]}]`,
			Assertion{"Role": {"y"}, "Name": {"n"}}, Result{User: User{Name: "n", Type: Ephemeral}}},
		{"white list", "1.0", `[{"local": [{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"id": "d"}}], "remote": [{"type": "Name"}, {"type": "Groups", "whitelist": ["a", "b"]}]}]`,
			Assertion{"Name": {"n"}, "Groups": {"a", "c", "b"}}, Result{User: User{Name: "n", Type: Ephemeral}, Groups: []Group{{Name: "a", Domain: d}, {Name: "b", Domain: d}}}},
		{"black list by expression", "1.0", `[{"local": [{"user": {"name": "{0}"}}, {"group_ids": "{1}"}], "remote": [{"type": "Name"}, {"type": "Groups", "blacklist": ["^x"], "regex": true}]}]`,
			Assertion{"Name": {"n"}, "Groups": {"xa", "b", "ax"}}, Result{User: User{Name: "n", Type: Ephemeral}, GroupIDs: []string{"ax", "b"}}},
		{"values are not taken apart", "1.0", `[{"local": [{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"id": "d"}}], "remote": [{"type": "Name"}, {"type": "Groups"}]}]`,
			Assertion{"Name": {"n;admin"}, "Groups": {"['admins', 'a']"}}, Result{User: User{Name: "n;admin", Type: Ephemeral}, Groups: []Group{{Name: "['admins', 'a']", Domain: d}}}},
		{"groups as objects", "1.0", `[{"local": [{"user": {"name": "{0}"}}, {"groups": "{1}"}], "remote": [{"type": "Name"}, {"type": "Groups"}]}]`,
			Assertion{"Name": {"n"}, "Groups": {`JSON:{"name": "a", "domain": {"id": "d"}}`}}, Result{User: User{Name: "n", Type: Ephemeral}, Groups: []Group{{Name: "a", Domain: d}}}},
		{"only rules that fit", "1.0", `[{"local": [{"group": {"id": "no"}}], "remote": [{"type": "Missing"}]}, {"local": [{"user": {"name": "x", "type": "local", "domain": {"id": "d"}}}], "remote": [{"type": "Name"}]}]`,
			Assertion{"Name": {"n"}}, Result{User: User{Name: "x", Type: Local, Domain: d}}},
		{"domains of 2.0", "2.0", `[{"local": [{"domain": {"id": "d"}, "user": {"name": "{0}"}, "projects": [{"name": "p {0}", "roles": [{"name": "member"}]}, {"name": "q", "domain": {"name": "e"}, "roles": []}]}],
			"remote": [{"type": "Name"}]}]`, Assertion{"Name": {"n"}}, Result{User: User{Name: "n", Type: Ephemeral, Domain: d},
			Projects: []Project{{Name: "p n", Domain: d, Roles: []Role{{"member"}}}, {Name: "q", Domain: &Domain{Name: "e"}, Roles: []Role{}}}}},
		{"roles on domains of 3.0", "3.0", `[{"local": [{"user": {"name": "{{{0}}}"}, "domains": [{"name": "{0}", "roles": [{"name": "reader"}]}]}], "remote": [{"type": "Name"}]}]`,
			Assertion{"Name": {"n"}}, Result{User: User{Name: "{n}", Type: Ephemeral}, Domains: []Scope{{Domain{Name: "n"}, []Role{{"reader"}}}}}},
	}
	for _, tt := range tests {
		got, err := mustParse(t, tt.schema, tt.rules).Apply(tt.assertion)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", tt.name, err, diff)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	r := mustParse(t, "1.0", `[{"local": [{"user": {"name": "{1}"}}], "remote": [{"type": "Name"}]}]`)
	for want, a := range map[string]Assertion{"no rule": {"Other": {"x"}}, "{1} stands for nothing": {"Name": {"x"}}} {
		if _, err := r.Apply(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for rules, want := range map[string]string{
		`[]`: "between 1", `{}`: "cannot be read", `[{"local": []}]`: "one condition", `[{"remote": [{"type": "x"}]}]`: "'local'",
		`[{"local": [], "remote": [{}]}]`:                                                                    "'type'",
		`[{"local": [], "remote": [{"type": "x", "any_one_of": [], "whitelist": []}]}]`:                      "more than one",
		`[{"local": [], "remote": [{"type": "x", "any_one_of": ["("], "regex": true}]}]`:                     "expression",
		`[{"local": [{"group": {"name": "x"}}], "remote": [{"type": "x"}]}]`:                                 "a group has",
		`[{"local": [{"user": {"type": "x"}}], "remote": [{"type": "x"}]}]`:                                  "ephemeral or local",
		`[{"local": [{"more": 1}], "remote": [{"type": "x"}]}]`:                                              "unknown field",
		`[{"local": [{"projects": [{"name": "p", "domain": {}, "roles": []}]}], "remote": [{"type": "x"}]}]`: "2.0",
		`[{"local": [{"domains": [{"name": "p", "roles": []}]}], "remote": [{"type": "x"}]}]`:                "3.0",
	} {
		if _, err := Parse("", []byte(rules)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", rules, err, want)
		}
	}
	if _, err := Parse("4.0", []byte(`[]`)); err == nil {
		t.Error("schema 4.0 was taken")
	}
}
