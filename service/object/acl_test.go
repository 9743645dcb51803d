package object

import "testing"

func TestACL(t *testing.T) {
	for _, text := range []string{".r:", ".r:-", ".r:*.", ".x:y", ".rlistings:x"} {
		if _, err := ParseACL(text, false); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if _, err := ParseACL(".r:*", true); err == nil {
		t.Error("a referrer may write")
	}
	for _, tt := range []struct {
		acl, referrer string
		want          bool
	}{
		{".r:*", "", true}, {".r:*,.r:-evil.example", "http://evil.example/x", false}, {".r:*,.r:-evil.example", "http://good.example/x", true},
		{".r:*.example.org", "https://www.example.org:8080/", true}, {".r:.example.org", "https://example.org/", false}, {".r:example.org", "", false},
		{"p:u", "http://p/", false}, {" .referrer : * ", "", true},
	} {
		a, err := ParseACL(tt.acl, false)
		if err != nil || a.AllowsReferrer(tt.referrer) != tt.want {
			t.Errorf("%q for %q: %v, not %v", tt.acl, tt.referrer, err, tt.want)
		}
	}
	a, err := ParseACL("p1:u1, p2:*,*:u3, auditor,.rlistings", true)
	if err != nil || !a.Listings {
		t.Fatal(a, err)
	}
	for who, want := range map[[2]string]bool{{"p1", "u1"}: true, {"p1", "u2"}: false, {"p2", "u9"}: true, {"p9", "u3"}: true, {"p9", "u9"}: false} {
		if a.AllowsUser(who[0], who[1]) != want {
			t.Errorf("%v: not %v", who, want)
		}
	}
	if !a.AllowsRole([]string{"Auditor"}) || a.AllowsRole([]string{"member"}) || a.AllowsRole(nil) {
		t.Error("roles")
	}
}
