package auth

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOverridesStandAboveTheTableAndAreReadAgain(t *testing.T) {
	p := MustPolicy(map[string]string{"admin": "role:admin", "show": "rule:admin", "list": "@"})
	file := filepath.Join(t.TempDir(), "policy.yaml")
	o := &Overrides{Path: file, Log: slog.New(slog.DiscardHandler)}
	ctx := WithOverrides(With(t.Context(), &Caller{ProjectID: "p", Roles: []string{"auditor"}}), o)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	says := func(text string, wants map[string]bool) {
		t.Helper()
		at = at.Add(time.Second)
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, at, at); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.Read(); err != nil {
			t.Fatal(err)
		}
		for rule, want := range wants {
			if got := p.Allows(ctx, rule, nil); got != want {
				t.Errorf("after %q %s is %v", text, rule, got)
			}
		}
	}
	says("", map[string]bool{"show": false, "list": true})
	says("\"show\": \"rule:admin or role:auditor\"\n", map[string]bool{"show": true, "list": true})
	says("# comment\n\"admin\": \"role:auditor\"\n\"list\": \"!\"\n", map[string]bool{"show": true, "list": false})
	says("\"mine\": \"role:auditor\"\n\"list\": \"rule:mine\"\n\"show\": \"rule:nobody\"\n", map[string]bool{"show": false, "list": true})
	says("\"a\": \"rule:b\"\n\"b\": \"rule:a\"\n", map[string]bool{"a": false, "show": false, "list": true})

	for _, wrong := range []string{"\"list\": \"role:\n", "\"list\": \"and and\"\n", "- list\n"} {
		if err := os.WriteFile(file, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := o.Read(); err == nil {
			t.Errorf("%q is taken for a policy", wrong)
		}
		if !p.Allows(ctx, "list", nil) {
			t.Errorf("%q changed what was in force", wrong)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	says("", map[string]bool{"show": false, "list": true})

	o.ProjectOnly = true
	if system := WithOverrides(With(t.Context(), &Caller{System: "all", Roles: []string{"admin"}}), o); p.Allows(system, "list", nil) {
		t.Error("a token without a project is let in though scope is enforced")
	}
}
