package cloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// plain asks a service without gophercloud, which would log in anew; what must
// succeed is fatal if it does not.
func plain(t *testing.T, token, method, url string, body any) (*http.Response, map[string]any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if body == nil {
		data = nil
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("X-Auth-Token", token)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&out) // not every answer has a body
	return resp, out
}

// victim is somebody with a token that is about to end.
type victim struct {
	t                          *testing.T
	c                          *cloud
	admin                      string
	user, project, role, token string
}

// manage does something as the administrator and returns the id of what it made.
func (v *victim) manage(method, path string, body any) string {
	v.t.Helper()
	resp, out := plain(v.t, v.admin, method, v.c.url+"/identity/v3"+path, body)
	if resp.StatusCode/100 != 2 {
		v.t.Fatalf("%s %s: %s %v", method, path, resp.Status, out)
	}
	for _, value := range out {
		if thing, ok := value.(map[string]any); ok {
			id, _ := thing["id"].(string)
			return id
		}
	}
	return ""
}

func (v *victim) login(identity map[string]any, scope any) string {
	v.t.Helper()
	auth := map[string]any{"identity": identity}
	if scope != nil {
		auth["scope"] = scope
	}
	resp, out := plain(v.t, "", "POST", v.c.url+"/identity/v3/auth/tokens", map[string]any{"auth": auth})
	if resp.StatusCode != http.StatusCreated {
		v.t.Fatalf("log-in: %s %v", resp.Status, out)
	}
	return resp.Header.Get("X-Subject-Token")
}

// byPassword logs in with a victim's first password.
func (v *victim) byPassword(scope any) string {
	v.t.Helper()
	return v.login(map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{"id": v.user, "password": "first"}}}, scope)
}

func (v *victim) onProject() any {
	return map[string]any{"project": map[string]any{"id": v.project}}
}

func newVictim(t *testing.T, c *cloud, name string) *victim {
	t.Helper()
	v := &victim{t: t, c: c, admin: c.admin.provider.Token()}
	v.user = v.manage("POST", "/users", map[string]any{"user": map[string]any{"name": name, "password": "first"}})
	v.project = v.manage("POST", "/projects", map[string]any{"project": map[string]any{"name": name}})
	_, roles := plain(t, v.admin, "GET", c.url+"/identity/v3/roles?name=member", nil)
	v.role = roles["roles"].([]any)[0].(map[string]any)["id"].(string)
	v.manage("PUT", "/projects/"+v.project+"/users/"+v.user+"/roles/"+v.role, nil)
	v.token = v.byPassword(v.onProject())
	return v
}

// endings are what ends a token; each prepares and returns it with what does it.
var endings = map[string]func(v *victim) (token string, end func()){
	"a deleted user": func(v *victim) (string, func()) {
		return v.token, func() { v.manage("DELETE", "/users/"+v.user, nil) }
	},
	"a disabled user": func(v *victim) (string, func()) {
		return v.token, func() {
			v.manage("PATCH", "/users/"+v.user, map[string]any{"user": map[string]any{"enabled": false}})
		}
	},
	"a user with another password": func(v *victim) (string, func()) {
		return v.token, func() {
			v.manage("PATCH", "/users/"+v.user, map[string]any{"user": map[string]any{"password": "second"}})
		}
	},
	"a deleted project": func(v *victim) (string, func()) {
		return v.token, func() { v.manage("DELETE", "/projects/"+v.project, nil) }
	},
	"a disabled project": func(v *victim) (string, func()) {
		return v.token, func() {
			v.manage("PATCH", "/projects/"+v.project, map[string]any{"project": map[string]any{"enabled": false}})
		}
	},
	"a role taken away": func(v *victim) (string, func()) {
		return v.token, func() { v.manage("DELETE", "/projects/"+v.project+"/users/"+v.user+"/roles/"+v.role, nil) }
	},
	"a deleted role": func(v *victim) (string, func()) {
		role := v.manage("POST", "/roles", map[string]any{"role": map[string]any{"name": "of " + v.project}})
		grant := "/projects/" + v.project + "/users/" + v.user + "/roles/"
		v.manage("PUT", grant+role, nil)
		v.manage("DELETE", grant+v.role, nil)
		return v.byPassword(v.onProject()), func() { v.manage("DELETE", "/roles/"+role, nil) }
	},
	"a group left": func(v *victim) (string, func()) {
		group := v.manage("POST", "/groups", map[string]any{"group": map[string]any{"name": "of " + v.project}})
		v.manage("PUT", "/groups/"+group+"/users/"+v.user, nil)
		v.manage("PUT", "/projects/"+v.project+"/groups/"+group+"/roles/"+v.role, nil)
		v.manage("DELETE", "/projects/"+v.project+"/users/"+v.user+"/roles/"+v.role, nil)
		return v.byPassword(v.onProject()), func() { v.manage("DELETE", "/groups/"+group+"/users/"+v.user, nil) }
	},
	"a token revoked": func(v *victim) (string, func()) {
		return v.token, func() {
			req, err := http.NewRequestWithContext(v.t.Context(), "DELETE", v.c.url+"/identity/v3/auth/tokens", nil)
			if err != nil {
				v.t.Fatal(err)
			}
			req.Header.Set("X-Auth-Token", v.token)
			req.Header.Set("X-Subject-Token", v.token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil || resp.StatusCode != http.StatusNoContent {
				v.t.Fatal(resp, err)
			}
			resp.Body.Close()
		}
	},
	"a deleted application credential": func(v *victim) (string, func()) {
		path := v.c.url + "/identity/v3/users/" + v.user + "/application_credentials"
		_, out := plain(v.t, v.token, "POST", path, map[string]any{"application_credential": map[string]any{"name": "x", "secret": "s"}})
		id := out["application_credential"].(map[string]any)["id"].(string)
		token := v.login(map[string]any{"methods": []string{"application_credential"}, "application_credential": map[string]any{"id": id, "secret": "s"}}, nil)
		return token, func() {
			if resp, out := plain(v.t, v.token, "DELETE", path+"/"+id, nil); resp.StatusCode != http.StatusNoContent {
				v.t.Fatal(resp.Status, out)
			}
		}
	},
	"a deleted trust": func(v *victim) (string, func()) {
		other := newVictim(v.t, v.c, "trustee")
		path := v.c.url + "/identity/v3/OS-TRUST/trusts"
		_, out := plain(v.t, v.token, "POST", path, map[string]any{"trust": map[string]any{"trustor_user_id": v.user, "trustee_user_id": other.user, "impersonation": false,
			"project_id": v.project, "roles": []any{map[string]any{"name": "member"}}}})
		id := out["trust"].(map[string]any)["id"].(string)
		token := other.byPassword(map[string]any{"OS-TRUST:trust": map[string]any{"id": id}})
		return token, func() {
			if resp, out := plain(v.t, v.token, "DELETE", path+"/"+id, nil); resp.StatusCode != http.StatusNoContent {
				v.t.Fatal(resp.Status, out)
			}
		}
	},
}

// What a token stands for ends, and with it the token: at once where identity
// lives, within a second elsewhere, at each service, however well the token was
// known there.
func TestATokenEndsWithWhatItStandsFor(t *testing.T) {
	for form, within := range map[string]time.Duration{"one": 0, "split": time.Second} {
		t.Run(form, func(t *testing.T) {
			c := forms[form](t, asItIs)
			asked := map[string]string{"identity": c.url + "/identity/v3/auth/projects", "compute": c.demo.compute.ServiceURL("servers"),
				"network": c.demo.network.ServiceURL("networks"), "image": c.demo.image.ServiceURL("images"), "placement": c.demo.placement.ServiceURL("resource_providers")}
			n := 0
			for what, begin := range endings {
				n++
				v := newVictim(t, c, fmt.Sprint("victim ", n))
				token, end := begin(v)
				for service, url := range asked {
					if resp, out := plain(t, token, "GET", url, nil); resp.StatusCode == http.StatusUnauthorized {
						t.Fatalf("%s: %s does not take the token to begin with: %v", what, service, out)
					}
				}
				end()
				ended := time.Now()
				for service, url := range asked {
					for {
						late := time.Since(ended) >= within
						resp, _ := plain(t, token, "GET", url, nil)
						if resp.StatusCode == http.StatusUnauthorized {
							break
						}
						if late {
							t.Errorf("the token of %s is still good at %s, %v later: %s", what, service, time.Since(ended), resp.Status)
							break
						}
					}
				}
			}
		})
	}
}
