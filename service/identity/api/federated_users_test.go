package api

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// provided makes an identity provider with two protocols.
func (k *cloud) provided() {
	k.t.Helper()
	k.must(201, "PUT", "/v3/OS-FEDERATION/identity_providers/corp", doc{"identity_provider": doc{"enabled": true}})
	k.must(201, "PUT", "/v3/OS-FEDERATION/mappings/m", doc{"mapping": doc{"rules": json.RawMessage(byGroups), "schema_version": "2.0"}})
	for _, protocol := range []string{"openid", "saml2"} {
		k.must(201, "PUT", "/v3/OS-FEDERATION/identity_providers/corp/protocols/"+protocol, doc{"protocol": doc{"mapping_id": "m"}})
	}
}

func somebody(idp, protocol, unique string) []doc {
	return []doc{{"idp_id": idp, "protocols": []doc{{"protocol_id": protocol, "unique_id": unique}}}}
}

func TestUsersAreMadeSomebodyToAProvider(t *testing.T) {
	k := newCloud(t)
	k.provided()
	is := func(a answer) string {
		text, err := json.Marshal(a.at("user", "federated"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const ann = `[{"idp_id":"corp","protocols":[{"protocol_id":"openid","unique_id":"ann@corp"}]}]`
	made := k.must(201, "POST", "/v3/users", doc{"user": doc{"name": "ann", "federated": somebody("corp", "openid", "ann@corp")}})
	id := made.str("user", "id")
	if got := is(made); got != ann {
		t.Error("made:", got)
	}
	if got := is(k.must(200, "GET", "/v3/users/"+id, nil)); got != ann {
		t.Error("shown:", got)
	}
	for _, empty := range []any{[]doc{}, nil} { // changes nothing
		if got := is(k.must(200, "PATCH", "/v3/users/"+id, doc{"user": doc{"description": "x", "federated": empty}})); got != ann {
			t.Error("left:", got)
		}
	}
	k.must(201, "POST", "/v3/users", doc{"user": doc{"name": "bob", "federated": []doc{{"idp_id": "corp", "protocols": []doc{{"protocol_id": "openid", "unique_id": "bob"}, {"protocol_id": "saml2", "unique_id": "bob"}}}}}})
	for query, want := range map[string]string{"idp_id=corp": "ann bob", "protocol_id=saml2": "bob", "unique_id=bob": "bob", "unique_id=" + url.QueryEscape("ann@corp"): "ann",
		"idp_id=corp&protocol_id=openid&unique_id=bob": "bob", "idp_id=other": "", "protocol_id=saml2&unique_id=" + url.QueryEscape("ann@corp"): "", "idp_id=corp&name=ann": "ann"} {
		var names []string
		for _, u := range k.must(200, "GET", "/v3/users?"+query, nil).list("users") {
			names = append(names, u.(doc)["name"].(string))
		}
		slices.Sort(names) // lists of users are in no order
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	const other = `[{"idp_id":"corp","protocols":[{"protocol_id":"saml2","unique_id":"a"}]}]`
	if got := is(k.must(200, "PATCH", "/v3/users/"+id, doc{"user": doc{"federated": somebody("corp", "saml2", "a")}})); got != other {
		t.Error("changed:", got)
	}
	before := k.count()
	for name, tt := range map[string]struct {
		federated any
		status    int
	}{
		"a provider that is not there": {somebody("nobody", "openid", "x"), 400},
		"a protocol that is not there": {somebody("corp", "x", "x"), 400},
		"who is somebody already":      {somebody("corp", "saml2", "bob"), 409},
		"no name":                      {somebody("corp", "saml2", ""), 400},
		"no protocol":                  {[]doc{{"idp_id": "corp"}}, 400},
		"a long name":                  {somebody("corp", "saml2", strings.Repeat("x", 256)), 400},
		"no list":                      {"corp", 400},
	} {
		k.wants(k.do(k.admin, "POST", "/v3/users", doc{"user": doc{"name": "carl", "federated": tt.federated}}), tt.status, "making a user with %s", name)
		k.wants(k.do(k.admin, "PATCH", "/v3/users/"+id, doc{"user": doc{"federated": tt.federated}}), tt.status, "changing a user to %s", name)
	}
	if after := k.count(); after != before {
		t.Errorf("%d rows were left behind", after-before)
	}
	if got := is(k.must(200, "GET", "/v3/users/"+id, nil)); got != other {
		t.Error("refused, and changed:", got)
	}
}

// Who was made beforehand is the one who then logs in.
func TestAUserMadeBeforehandLogsIn(t *testing.T) {
	k, p := federated(t, byGroups)
	k.must(201, "POST", "/v3/groups", doc{"group": doc{"name": "staff"}})
	id := k.must(201, "POST", "/v3/users", doc{"user": doc{"name": "early", "federated": somebody("corp", "openid", "42")}}).str("user", "id")
	in := k.bearer(sign(t, jwt.SigningMethodRS256, "rsa", p.rsa, p.claims(k, nil)))
	if k.wants(in, 201, "the log-in"); in.str("token", "user", "id") != id {
		t.Errorf("it is %s, want %s", in.str("token", "user", "id"), id)
	}
}
