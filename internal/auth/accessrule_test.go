package auth

import "testing"

func TestMayCall(t *testing.T) {
	free := &Caller{}
	if !free.MayCall("compute", "GET", "/v2.1/servers") {
		t.Error("a token without rules is restricted")
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
		{"/v2.1/**", "/v2.1/servers/1/action", true},
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
