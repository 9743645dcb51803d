package auth

import (
	"strings"
	"testing"
)

func TestMayCall(t *testing.T) {
	free := &Caller{}
	if !free.MayCall("compute", "GET", "/v2.1/servers") {
		t.Error("a token without rules is restricted")
	}
	shut := &Caller{AccessRules: []AccessRule{}}
	if shut.MayCall("compute", "GET", "/v2.1/servers") {
		t.Error("a token whose list of rules is empty may do everything")
	}
	if !shut.MayCall("identity", "GET", "/identity/v3/auth/tokens") || shut.MayCall("identity", "DELETE", "/v3/auth/tokens") || shut.MayCall("compute", "GET", "/v3/auth/tokens") {
		t.Error("of all restricted tokens can be checked, and no more")
	}
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"/v2.1/servers", "/v2.1/servers", true},
		{"/v2.1/servers", "/v2.1/servers/1", false},
		{"/v2.1/servers/*", "/v2.1/servers/1", true},
		{"/v2.1/servers/{id}", "/v2.1/servers/1", true},
		{"/v2.1/servers/*", "/v2.1/servers/", false},
		{"/v2.1/servers/*", "/v2.1/servers/1/action", false},
		{"/v2.1/servers/a*", "/v2.1/servers/abc", true},
		{"/v2.1/servers/a*", "/v2.1/servers/a", false},
		{"/v2.1/servers/a*c", "/v2.1/servers/abcbc", true},
		{"/v2.1/servers/{", "/v2.1/servers/1", false},
		{"/v2.1/servers/a.c", "/v2.1/servers/abc", false},
		{"/v2.1/**", "/v2.1/servers/1/action", true},
		{"/v2.1/**", "/v2.1", false},
		{"/v2.1/servers/**", "/v2.1/servers", false},
		{"/v2.1/servers**", "/v2.1/servers", true},
		{"/v2.1/servers**", "/v2.1/servers/1", true},
		{"/v2.1/*/action", "/v2.1/servers/action", true},
		{"/v2.1/*/action", "/v2.1/servers/1/action", false},
		{strings.Repeat("**/", 60), "/" + strings.Repeat("a/", 2000) + "b", false},
		{"/**/action", "/v2.1/servers/1/action", true},
		{"/**/action", "/v2.1/servers/1", false},
		{"**", "/v2.1", true},
	} {
		c := &Caller{AccessRules: []AccessRule{{"compute", "GET", tt.pattern}}}
		if got := c.MayCall("compute", "GET", "/elsewhere", tt.path); got != tt.want {
			t.Errorf("%s for %s: %v", tt.pattern, tt.path, got)
		}
		if c.MayCall("compute", "POST", tt.path) || c.MayCall("image", "GET", tt.path) {
			t.Errorf("%s lets another method or service through", tt.pattern)
		}
	}
}
