package api

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/internal/rest"
)

// What other services see of a caller over either wire is what identity itself
// sees, and a revoked token is refused at once.
func TestPeersSeeTheSameCaller(t *testing.T) {
	k := newCloud(t)
	k.user("alice", "member")
	mounted := rest.Below("/identity", k.handler)
	srv := httptest.NewServer(mounted)
	defer srv.Close()
	for name, target := range map[string]peer.Target{"pipe": {URL: "http://here/identity", Transport: peer.Pipe(mounted)}, "tcp": {URL: srv.URL + "/identity", Transport: peer.Network(nil)}} {
		table := peer.Table{"identity": target}
		own, err := peer.NewPasswordTokens(table, peer.Credentials{Username: "nova", Password: "nova's secret", UserDomain: "Default", Project: "service", ProjectDomain: "Default"}, func() time.Time { return k.now })
		if err != nil {
			t.Fatal(err)
		}
		v, err := peer.Validator(table, own)
		if err != nil {
			t.Fatal(err)
		}
		for _, scope := range []any{project("admin"), system(), "unscoped"} {
			token := k.login("admin", adminPassword, scope).token
			far, err := v.Validate(t.Context(), token)
			if err != nil {
				t.Fatal(name, err)
			}
			near, err := k.c.Validator().Validate(t.Context(), token)
			if err != nil || !reflect.DeepEqual(far, near) {
				t.Errorf("%s: %+v, here %+v (%v)", name, far, near, err)
			}
			if a := k.do(token, http.MethodDelete, "/v3/auth/tokens", nil, "X-Subject-Token", token); a.status != 204 {
				t.Fatal(a.status, a.body)
			}
			if _, err := v.Validate(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s: revoked: %v", name, err)
			}
		}
	}
}
