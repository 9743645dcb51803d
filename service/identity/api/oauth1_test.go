package api

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"kilonova/service/identity/signature"
)

// signedWith is the Authorization header of a request to the harness's service.
func (k *cloud) signedWith(path, consumer, consumerSecret, tokenSecret string, more ...string) string {
	k.t.Helper()
	p := signature.OAuth1{"oauth_consumer_key": consumer, "oauth_nonce": "1234", "oauth_timestamp": fmt.Sprint(k.now.Unix()), "oauth_signature_method": "HMAC-SHA1"}
	for i := 0; i+1 < len(more); i += 2 {
		p[more[i]] = more[i+1]
	}
	sig, err := p.Sign("POST", "http://here"+path, consumerSecret, tokenSecret)
	if err != nil {
		k.t.Fatal(err)
	}
	p["oauth_signature"] = sig
	var parts []string
	for name, v := range p {
		parts = append(parts, name+`="`+url.QueryEscape(v)+`"`)
	}
	return "OAuth " + strings.Join(parts, ", ")
}

const (
	requestPath = "/v3/OS-OAUTH1/request_token"
	accessPath  = "/v3/OS-OAUTH1/access_token"
	loginPath   = "/v3/auth/tokens"
)

func formOf(t *testing.T, a answer) url.Values {
	t.Helper()
	v, err := url.ParseQuery(a.body)
	if err != nil || a.status != 201 || v.Get("oauth_token") == "" {
		t.Fatal(a.status, a.body, err)
	}
	return v
}

// oauth1 walks the whole way to an access token with the role reader on the
// project admin.
func (k *cloud) oauth1(t *testing.T) (consumer, consumerSecret string, access url.Values) {
	c := k.must(201, "POST", "/v3/OS-OAUTH1/consumers", doc{"consumer": doc{"description": "d"}})
	consumer, consumerSecret = c.str("consumer", "id"), c.str("consumer", "secret")
	adminProject := k.must(200, "GET", "/v3/projects?name=admin", nil).list("projects")[0].(doc)["id"].(string)
	request := formOf(t, k.do("", "POST", requestPath, nil, "Requested-Project-Id", adminProject, "Authorization",
		k.signedWith(requestPath, consumer, consumerSecret, "", "oauth_callback", "oob")))
	take := func(verifier string) answer {
		return k.do("", "POST", accessPath, nil, "Authorization", k.signedWith(accessPath, consumer, consumerSecret, request.Get("oauth_token_secret"),
			"oauth_token", request.Get("oauth_token"), "oauth_verifier", verifier))
	}
	k.wants(take("x"), 401, "an access token before anybody agreed")
	agreed := k.must(200, "PUT", "/v3/OS-OAUTH1/authorize/"+request.Get("oauth_token"), doc{"roles": []doc{{"name": "reader"}}})
	verifier := agreed.str("token", "oauth_verifier")
	k.wants(take("wrong"), 401, "an access token with a wrong verifier")
	access = formOf(t, take(verifier))
	k.wants(take(verifier), 404, "a second access token of one request")
	return consumer, consumerSecret, access
}

func TestOAuth1(t *testing.T) {
	k := newCloud(t)
	consumer, secret, access := k.oauth1(t)
	id := access.Get("oauth_token")
	body := doc{"auth": doc{"identity": doc{"methods": []string{"oauth1"}, "oauth1": doc{}}}}
	login := func() answer {
		return k.do("", "POST", loginPath, body, "Authorization", k.signedWith(loginPath, consumer, secret, access.Get("oauth_token_secret"), "oauth_token", id))
	}
	a := login()
	if a.status != 201 || a.str("token", "OS-OAUTH1", "access_token_id") != id || a.str("token", "project", "name") != "admin" {
		t.Fatal(a.status, a.body)
	}
	if roles, _ := a.at("token", "roles").([]any); len(roles) != 1 || roles[0].(doc)["name"] != "reader" {
		t.Error("OSSA-2020-005: the token has other roles than those that were agreed to:", a.body)
	}
	k.wants(k.do(a.token, "GET", "/v3/users", nil), 403, "an administrator's list with the role reader")
	k.wants(k.do(a.token, "POST", "/v3/credentials", doc{"credential": doc{"type": "cert", "blob": "x", "user_id": a.str("token", "user", "id")}}), 403, "a credential made with an OAuth 1 token")

	wrong := k.do("", "POST", loginPath, body, "Authorization", k.signedWith(loginPath, consumer, secret, "wrong", "oauth_token", id))
	k.wants(wrong, 401, "a wrong secret")
	old := k.signedWith(loginPath, consumer, secret, access.Get("oauth_token_secret"), "oauth_token", id)
	k.now = k.now.Add(11 * time.Minute)
	k.wants(k.do("", "POST", loginPath, body, "Authorization", old), 401, "a request that was signed long ago")

	user := a.str("token", "user", "id")
	tokens := "/v3/users/" + user + "/OS-OAUTH1/access_tokens"
	if list := k.must(200, "GET", tokens, nil).list("access_tokens"); len(list) != 1 {
		t.Error(list)
	}
	k.must(200, "GET", tokens+"/"+id+"/roles/"+k.role("reader"), nil)
	k.must(404, "GET", tokens+"/"+id+"/roles/"+k.role("admin"), nil)
	a = login()
	k.must(204, "DELETE", tokens+"/"+id, nil)
	if got := k.valid(a.token); got != 401 {
		t.Error("the token of a deleted access token:", got)
	}
	k.wants(login(), 401, "a deleted access token")
}

func TestOAuth1EndsWithItsConsumer(t *testing.T) {
	k := newCloud(t)
	consumer, secret, access := k.oauth1(t)
	a := k.do("", "POST", loginPath, doc{"auth": doc{"identity": doc{"methods": []string{"oauth1"}}}}, "Authorization",
		k.signedWith(loginPath, consumer, secret, access.Get("oauth_token_secret"), "oauth_token", access.Get("oauth_token")))
	k.wants(a, 201, "log in")
	if again := k.do("", "POST", loginPath, byToken(a.token, projectByID(a.str("token", "project", "id")))); again.str("token", "OS-OAUTH1", "consumer_id") != consumer {
		t.Error("a token of a token forgets by whom it was got:", again.body)
	}
	if c := k.must(200, "GET", "/v3/OS-OAUTH1/consumers/"+consumer, nil); c.at("consumer", "secret") != nil {
		t.Error("a secret is shown:", c.body)
	}
	k.must(400, "PATCH", "/v3/OS-OAUTH1/consumers/"+consumer, doc{"consumer": doc{"secret": "mine"}})
	k.must(204, "DELETE", "/v3/OS-OAUTH1/consumers/"+consumer, nil)
	if got := k.valid(a.token); got != 401 {
		t.Error("the token of a deleted consumer:", got)
	}
}
