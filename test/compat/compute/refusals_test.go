package compute

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/rest"
	"kilonova/stack"
)

// unknown is the id of nothing.
const unknown = "6d5b4f5e-0000-4000-8000-00000000dead"

// refusals are the statuses that are looked for; 410 is the walk's.
var refusals = []int{400, 403, 404, 409, 413, 429}

// serverPath is where a server is, under either of its names.
var serverPath = regexp.MustCompile(`^/(servers|os-volumes_boot)/[^/]+`)

// pair names a refusal. Servers under their other name refuse alike.
func pair(o operation, code int) string {
	return fmt.Sprintf("%s %d", strings.Replace(o.key(), "/os-volumes_boot", "/servers", 1), code)
}

// provoker makes the operations of the contract fail in the ways that it documents.
type provoker struct {
	*walker
	admin, member, reader string            // tokens, all of the administrator's project
	states                map[string]string // a server by its status; "locked" is another
}

// attempt is who sends what.
type attempt struct {
	token string
	request
	after func() // nil: nothing has to be put right
}

// TestDocumentedRefusals provokes each status with which the contract says that an
// operation refuses, in the ways in which such things happen: what is named is not
// there, the body is nonsense, the caller may not, a server is locked or in another
// state, what is to be made is there already.
func TestDocumentedRefusals(t *testing.T) {
	c := openContract(t)
	p := newProvoker(t)
	p.c, p.makers = c, requestsByKey()
	provoked, tried := 0, 0
	for _, o := range c.sorted() {
		make := p.makers[alike(o.key())]
		if o.Removed != nil || make == nil || refused[o.key()] != 0 {
			continue
		}
		t.Run(strings.ReplaceAll(o.key(), "/", "|"), func(t *testing.T) {
			p.t = t
			for _, code := range refusals {
				if !slices.Contains(o.Errors, code) {
					continue
				}
				tried++
				pair := pair(o, code)
				said, ok := p.provoke(o, make, code)
				why, never := neverSo[pair]
				switch {
				case ok && never:
					t.Errorf("%s happens, and is listed as what never does (%s)", pair, why)
				case ok:
					provoked++
				case !never:
					t.Errorf("could not provoke %s: %s", pair, strings.Join(said, "; "))
				}
			}
		})
	}
	t.Logf("%d of %d documented refusals are provoked; %d are listed as what never happens", provoked, tried, len(neverSo))
}

func newProvoker(t *testing.T) *provoker {
	t.Helper()
	s, others := startCloud(t)
	p := &provoker{walker: cloudOf(t, s), states: map[string]string{}}
	p.cinder, p.manila = others.cinder, others.manila
	p.admin = p.token
	// Many things are made on the way to their refusals.
	if status, data := p.call("PUT", s.URL()+"/network/v2.0/quotas/"+p.project, rest.V("2.1"), obj{"quota": obj{"security_group": -1, "security_group_rule": -1,
		"floatingip": -1, "port": -1}}); status != 200 {
		t.Fatalf("network quota: %d %s", status, data)
	}
	admin, _ := s.Logins()
	for _, role := range []string{"reader", "member"} {
		name, password := "a-"+role, "pw-of-"+role
		user := p.identity(admin.AuthURL, "POST", "/users", obj{"user": obj{"name": name, "password": password}})["user"].(obj)["id"].(string)
		roles := p.identity(admin.AuthURL, "GET", "/roles?name="+role, nil)["roles"].([]any)
		p.identity(admin.AuthURL, "PUT", "/projects/"+p.project+"/users/"+user+"/roles/"+roles[0].(obj)["id"].(string), nil)
		p.login(stack.Login{AuthURL: admin.AuthURL, Username: name, Password: password, Project: admin.Project})
		if role == "reader" {
			p.reader = p.token
		} else {
			p.member = p.token
		}
		p.token = p.admin
	}
	return p
}

func (p *provoker) identity(url, method, path string, body any) obj {
	p.t.Helper()
	status, data := p.call(method, url+path, rest.V("2.1"), body)
	out := obj{}
	if status >= 300 || len(data) > 0 && json.Unmarshal(data, &out) != nil {
		p.t.Fatalf("%s %s: %d %s", method, path, status, data)
	}
	return out
}

// provoke has an operation called until it answers with a status; if it never
// does, it returns what it said instead.
func (p *provoker) provoke(o operation, make func(*walker, rest.Version) request, code int) (said []string, ok bool) {
	p.t.Helper()
	v := version(o.Max, highest)
	for _, next := range p.attempts(o, make, v, code) {
		a := next()
		p.token = a.token
		status, data := p.call(o.Method, p.url+a.path, v, a.body)
		p.token = p.admin
		if a.after != nil {
			a.after()
		}
		if status == code {
			return nil, true
		}
		if status == http.StatusInternalServerError {
			p.t.Errorf("%s %s: %d %s", o.Method, a.path, status, data)
		}
		said = append(said, fmt.Sprintf("%s %v -> %d %.120s", a.path, a.body, status, data))
	}
	return said, false
}

// attempts are the ways in which an operation may be brought to a refusal.
func (p *provoker) attempts(o operation, make func(*walker, rest.Version) request, v rest.Version, code int) []func() attempt {
	right := func() request { return make(p.walker, v) }
	as := func(token string, r func() request) func() attempt {
		return func() attempt { return attempt{token: token, request: r()} }
	}
	var all []func() attempt
	if own := provocations[pair(o, code)]; own != nil {
		all = append(all, func() attempt {
			a := own(p, right)
			a.token = cmp.Or(a.token, p.admin)
			return a
		})
	}
	switch code {
	case 404:
		all = append(all, as(p.admin, func() request {
			return request{wildcards.ReplaceAllString(o.Path, unknown), right().body}
		}), as(p.admin, func() request { // what is known has no such part
			r := right()
			if i := strings.LastIndex(r.path, "/"); strings.Count(r.path, "/") > 2 {
				r.path = r.path[:i+1] + unknown
			}
			return r
		}))
	case 400:
		for _, nonsense := range []any{obj{"nonsense": 1}, obj{}, []any{}, "x", 1, nil} {
			all = append(all, as(p.admin, func() request {
				r := right()
				switch {
				case o.Action != nil:
					r.body = obj{*o.Action: nonsense}
				case r.body != nil:
					r.body = nonsense
				default:
					r.path += "?limit=-1"
				}
				return r
			}))
		}
		for _, query := range []string{"?limit=x&marker=" + unknown, "?marker=" + unknown, "?changes-since=x", "?nonsense=1"} {
			all = append(all, as(p.admin, func() request { r := right(); r.path += query; return r }))
		}
		all = append(all, as(p.admin, func() request { return request{wildcards.ReplaceAllString(o.Path, "no%20id%21"), right().body} }))
	case 403:
		all = append(all, as(p.reader, right), as(p.member, right))
	case 409:
		if serverPath.MatchString(o.Path) {
			for _, state := range []string{"locked", "ERROR", "PAUSED", "SHUTOFF", "SUSPENDED", "SHELVED_OFFLOADED", "ACTIVE"} {
				token := p.admin
				if state == "locked" {
					token = p.member
				}
				all = append(all, as(token, func() request {
					r := right()
					r.path = serverPath.ReplaceAllString(r.path, "/$1/"+p.in(state))
					return r
				}))
			}
		}
		if serverPath.MatchString(o.Path) {
			all = append(all, func() attempt { return p.locked(right()) })
		}
		twice := func() attempt {
			r := right()
			p.call(o.Method, p.url+r.path, v, r.body)
			return attempt{token: p.admin, request: r}
		}
		all = append(all, twice)
	}
	return all
}

// locked sends a request while its server is locked.
func (p *provoker) locked(r request) attempt {
	p.t.Helper()
	action := "/servers/" + strings.Split(r.path, "/")[2] + "/action"
	p.must("POST", action, "2.1", obj{"lock": nil})
	return attempt{token: p.member, request: r, after: func() { p.must("POST", action, "2.1", obj{"unlock": nil}) }}
}

// in returns a server in a state, which it is brought to unless one is there.
func (p *provoker) in(state string) string {
	p.t.Helper()
	id := p.states[state]
	if id != "" {
		status, data := p.call("GET", p.url+"/servers/"+id, rest.V("2.1"), nil)
		var out struct{ Server struct{ Status string } }
		if status == 200 && json.Unmarshal(data, &out) == nil && (out.Server.Status == state || state == "locked") {
			return id
		}
	}
	id = p.server()
	p.states[state] = id
	act := func(body obj) { p.must("POST", "/servers/"+id+"/action", "2.1", body) }
	switch state {
	case "locked":
		act(obj{"lock": nil})
	case "ERROR":
		act(obj{"os-resetState": obj{"state": "error"}})
	case "PAUSED":
		act(obj{"pause": nil})
		p.status(id, state)
	case "SHUTOFF":
		act(obj{"os-stop": nil})
		p.status(id, state)
	case "SUSPENDED":
		act(obj{"suspend": nil})
		p.status(id, state)
	case "SHELVED_OFFLOADED":
		act(obj{"shelve": nil})
		p.status(id, "SHELVED")
		act(obj{"shelveOffload": nil})
		p.status(id, state)
	}
	return id
}

// at sends a body somewhere as the administrator.
func at(path string, body any) func(*provoker, func() request) attempt {
	return func(p *provoker, _ func() request) attempt { return attempt{request: request{p.fill(path), body}} }
}

// with sends the right request to a changed path as the administrator.
func with(change func(path string) string) func(*provoker, func() request) attempt {
	return func(_ *provoker, right func() request) attempt {
		r := right()
		r.path = change(r.path)
		return attempt{request: r}
	}
}

func everybody(p *provoker, right func() request) attempt {
	return attempt{token: p.reader, request: request{right().path + "?all_tenants=1", nil}}
}

// ofTwo names a security group of which there are two with its name.
func ofTwo(action string) func(*provoker, func() request) attempt {
	return func(p *provoker, _ func() request) attempt {
		name := p.name("twin")
		for range 2 {
			p.must("POST", "/os-security-groups", "2.1", obj{"security_group": obj{"name": name, "description": "one of two"}})
		}
		return attempt{request: request{p.fill("/servers/<server>/action"), obj{action: obj{"name": name}}}}
	}
}

// silent sends the right request while its host is said to be down.
func silent(p *provoker, right func() request) attempt {
	r := right()
	p.down(strings.Split(r.path, "/")[2])
	return attempt{request: r, after: func() { p.down("") }}
}

// provocations are those that none of the general ways makes.
var provocations = map[string]func(*provoker, func() request) attempt{
	"PUT /flavors/{flavor_id}/os-extra_specs/{id} 404": at("/flavors/"+unknown+"/os-extra_specs/a", obj{"a": "c"}),
	"PUT /images/{image_id}/metadata/{id} 404":         at("/images/"+unknown+"/metadata/a", obj{"meta": obj{"a": "c"}}),
	"PUT /servers/{server_id}/metadata/{id} 404":       at("/servers/"+unknown+"/metadata/x", obj{"meta": obj{"x": "y"}}),
	"GET /os-aggregates/{id} 404":                      at("/os-aggregates/99999", nil),
	"DELETE /os-aggregates/{id} 404":                   at("/os-aggregates/99999", nil),
	"PUT /os-aggregates/{id} 404":                      at("/os-aggregates/99999", obj{"aggregate": obj{"name": "x"}}),
	"PUT /os-aggregates/{id} 409": func(p *provoker, _ func() request) attempt {
		name := p.name("taken")
		p.aggregate(name)
		return attempt{request: request{"/os-aggregates/" + p.aggregate(p.name("other")), obj{"aggregate": obj{"name": name}}}}
	},
	"POST /os-floating-ips 404": at("/os-floating-ips", obj{"pool": "no such pool"}),
	"GET /os-hypervisors 404":   with(func(path string) string { return path + "?hypervisor_hostname_pattern=no-such-host" }),
	"GET /os-hypervisors/detail 404": with(func(path string) string {
		return path + "?hypervisor_hostname_pattern=no-such-host"
	}),
	"POST /os-security-group-rules 404": at("/os-security-group-rules", obj{"security_group_rule": obj{"parent_group_id": unknown, "ip_protocol": "tcp",
		"from_port": 22, "to_port": 22, "cidr": "10.0.0.0/24"}}),
	"POST /os-keypairs 403": func(p *provoker, right func() request) attempt {
		p.must("PUT", "/os-quota-sets/"+p.project, "2.1", obj{"quota_set": obj{"key_pairs": 0, "force": true}})
		return attempt{request: right(), after: func() { p.must("DELETE", "/os-quota-sets/"+p.project, "2.1", nil) }}
	},
	"DELETE /os-services/{id} 409": func(p *provoker, _ func() request) attempt {
		host := p.must("GET", "/servers/"+p.in("ACTIVE"), "2.1", nil)["server"].(obj)["OS-EXT-SRV-ATTR:host"].(string)
		services := p.must("GET", "/os-services?binary=nova-compute&host="+host, highest, nil)["services"].([]any)
		return attempt{request: request{"/os-services/" + services[0].(obj)["id"].(string), nil}}
	},
	"POST /os-volumes 404": at("/os-volumes", obj{"volume": obj{"size": 1, "snapshot_id": unknown}}),
	"DELETE /os-volumes/{id} 400": func(p *provoker, _ func() request) attempt { // it is in use
		r := p.makers[alike("GET /servers/{server_id}/os-volume_attachments/{id}")](p.walker, rest.V("2.35"))
		return attempt{request: request{"/os-volumes/" + r.path[strings.LastIndex(r.path, "/")+1:], nil}}
	},
	"DELETE /servers/{server_id}/os-volume_attachments/{id} 400": func(p *provoker, right func() request) attempt { // block storage is busy with it
		r := right()
		volume := r.path[strings.LastIndex(r.path, "/")+1:]
		p.cinder.SetStatus(volume, "uploading")
		return attempt{request: r, after: func() { p.cinder.SetStatus(volume, "in-use") }}
	},
	"PUT /servers/{server_id}/os-volume_attachments/{id} 409": func(p *provoker, right func() request) attempt { // a server that is off swaps none
		r := right()
		p.bring(strings.Split(r.path, "/")[2], "SHUTOFF")
		r.body = obj{"volumeAttachment": obj{"volumeId": p.cinder.Add(1, false)}}
		return attempt{request: r}
	},
	"GET /servers 403":        everybody,
	"GET /servers/detail 403": everybody,
	"POST /servers 409": func(p *provoker, _ func() request) attempt { // a port is another server's
		return attempt{request: request{"/servers", obj{"server": obj{"name": "x", "flavorRef": "1", "imageRef": p.ids["image"], "networks": []obj{{"port": p.ids["port"]}}}}}}
	},
	"POST /servers/{id}/action addSecurityGroup 409":    ofTwo("addSecurityGroup"),
	"POST /servers/{id}/action removeSecurityGroup 409": ofTwo("removeSecurityGroup"),
	"DELETE /servers/{server_id}/migrations/{id} 400": func(p *provoker, right func() request) attempt { // one that has ended, while another goes on
		r := right()
		p.call("DELETE", p.url+r.path, rest.V(highest), nil)
		right()
		return attempt{request: r}
	},
	"GET /os-hosts/{id}/reboot 400":          silent,
	"GET /os-hosts/{id}/shutdown 400":        silent,
	"GET /os-hosts/{id}/startup 400":         silent,
	"PUT /servers/{server_id}/tags/{id} 400": with(func(path string) string { return path + strings.Repeat("x", 61) }),
}

const (
	raced        = "upstream's answer to a lost race, which transactions here do not lose"
	noTrace      = "nothing in upstream's code gives it any more"
	sharesSeen   = "every role in a project may look at its servers' shares, and who has none does not see the server"
	accelerators = "upstream's answer for servers with accelerators or encrypted memory, which cannot be asked for here"
)

// neverSo are documented statuses that there is no way to.
var neverSo = map[string]string{
	"GET /servers/{server_id}/shares 403":               sharesSeen,
	"GET /servers/{server_id}/shares/{id} 403":          sharesSeen,
	"DELETE /servers/{server_id}/shares/{id} 400":       noTrace,
	"DELETE /os-assisted-volume-snapshots/{id} 404":     "upstream says 400 of a volume that no server has, and the volume is all that is looked for",
	"GET /os-baremetal-nodes 404":                       noTrace,
	"GET / 404":                                         "the documents of versions share a handler, and this one is always there",
	"POST /flavors/{flavor_id}/os-extra_specs 409":      raced,
	"PUT /flavors/{flavor_id}/os-extra_specs/{id} 409":  raced,
	"POST /os-aggregates/{id}/action remove_host 409":   raced,
	"GET /images/{image_id}/metadata 403":               "the image service says 404 of an image that one may not see",
	"GET /images/{image_id}/metadata/{id} 403":          "the image service says 404 of an image that one may not see",
	"DELETE /os-floating-ips/{id} 409":                  noTrace,
	"GET /os-quota-sets/{id}/defaults 400":              "upstream asks for the project where its own user may, and this service's may not",
	"GET /os-security-groups 404":                       noTrace,
	"DELETE /os-security-group-rules/{id} 409":          noTrace,
	"POST /os-server-groups 409":                        noTrace,
	"DELETE /servers/{server_id}/os-interface/{id} 400": noTrace,
	"POST /servers/{id}/action confirmResize 400":       "a server to be confirmed has its migration, and the body may be anything",
	"POST /servers/{id}/action revertResize 400":        "a server to be reverted has its migration, and the body may be anything",
	"POST /servers/{id}/action injectNetworkInfo 409":   "only administrators may, and no lock holds these",
	"POST /servers/{id}/action shelve 400":              accelerators,
	"POST /servers/{id}/action shelveOffload 400":       accelerators,
	"POST /servers/{id}/action suspend 400":             accelerators,
	"GET /servers/{server_id}/os-interface/{id} 403":    "who may not see the port does not see its server either",
}
