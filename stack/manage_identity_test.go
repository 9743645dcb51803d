package stack

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What an operator prepares on a host, the cloud then starts with.
func TestIdentityIsPrepared(t *testing.T) {
	data, log := t.TempDir(), slog.New(slog.DiscardHandler)
	c := Dev(data, "127.0.0.1:0", 1)
	open := func() *IdentityTool {
		t.Helper()
		tool, err := OpenIdentity(t.Context(), c, log, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tool.Close() })
		return tool
	}
	tool := open()
	if err := tool.Bootstrap(t.Context(), IdentityBootstrap{User: "root", Password: "root's", Public: "http://here/identity"}); err != nil {
		t.Fatal(err)
	}
	if err := tool.Bootstrap(t.Context(), IdentityBootstrap{Password: "another"}); err == nil {
		t.Error("a password was set that the next start would change")
	}
	if err := tool.RotateTokenKeys(); err != nil {
		t.Error(err)
	}
	if err := tool.RotateCredentialKeys(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := tool.FlushTrusts(t.Context(), "", "", "", "2020-01-01"); n != 0 || err != nil {
		t.Error(n, err)
	}
	if _, err := tool.FlushTrusts(t.Context(), "", "", "", "yesterday"); err == nil {
		t.Error("a date that is none was taken")
	}
	file := filepath.Join(data, "domain.toml")
	if err := os.WriteFile(file, []byte("[ldap]\nurl = \"ldap://there\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tool.ConfigureDomain(t.Context(), "Default", file); err != nil {
		t.Error(err)
	}
	s, err := Start(t.Context(), c, log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := tool.RotateTokenKeys(); err != nil { // while the cloud runs
		t.Error(err)
	}
	own, err := s.own(s.Config.AuthToken)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Token(t.Context(), ""); err != nil {
		t.Error("nobody can log in after a rotation:", err)
	}
}

func TestMappingsAreTried(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rules := write("rules", `{"rules": [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]}`)
	if text, err := TryMapping("", rules, write("in", "REMOTE_USER: ann\nOther: x\n"), ""); err != nil || !strings.Contains(text, `"ann"`) {
		t.Error(text, err)
	}
	if _, err := TryMapping("", rules, write("none", "Other: x\n"), ""); err == nil {
		t.Error("an assertion that fits no rule was mapped")
	}
	if err := CreateSigningKeys(dir); err != nil {
		t.Error(err)
	}
	if err := CreateSigningKeys(dir); err == nil {
		t.Error("keys were replaced")
	}
}
