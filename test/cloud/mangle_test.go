package cloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// mangler makes requests that no client should send, always the same ones for
// one seed.
type mangler struct {
	*world
	rnd *rand.Rand
}

// mangled is a request and what was done to it.
type mangled struct {
	request
	how string
}

func (m *mangler) pick(all []string) string { return all[m.rnd.IntN(len(all))] }

// values are what stands in the place of a value of another kind, as raw JSON.
var values = []string{`null`, `true`, `false`, `0`, `-1`, `1.5`, `1e400`, `-9223372036854775809`, `18446744073709551616`, `2147483648`,
	`99999999999999999999999999999999999999999`, `""`, `" "`, `"\u0000"`, `"a\u0000b"`, `"\ud800"`, "\"\xff\xfe\"", `"💥"`, `"../../etc/passwd"`, `"'; DROP TABLE servers; --"`,
	`"%s%n%d"`, `"\r\nX-Injected: 1"`, `"0x10"`, `"1e3"`, `"NaN"`, `"\u202e"`, `"$NONE"`, `[]`, `[null]`, `[[]]`, `[1,"a",{}]`, `{}`, `{"":""}`, `{"a":{"b":{"c":1}}}`, `{"id":1}`,
	`"` + strings.Repeat("x", 256) + `"`, `"` + strings.Repeat("ü", 300) + `"`, `"` + strings.Repeat("y", 70000) + `"`,
	strings.Repeat("[", 500) + strings.Repeat("]", 500), `"::ffff:1.2.3.4"`, `"10.0.0.0/33"`, `"255.255.255.255"`, `"fe80::1%eth0"`, `"0.0.0.0/0"`, `"2026-99-99T00:00:00Z"`}

// wholes are bodies that are wrong altogether.
var wholes = []string{``, ` `, `null`, `true`, `1`, `"x"`, `[]`, `{}`, `[{}]`, `{`, `{"`, `{"a"`, `{"a":`, `{"a":}`, `{"a":1,}`, `{'a':1}`, `{"a":1}{"b":2}`, `{"a":1} x`, "\xff\xfe\x00",
	"\xef\xbb\xbf{}", `{"a":1,"b":2}`, `{"":null}`, `<xml/>`, `a=b&c=d`, `{"server":null}`, `{"server":[]}`, `{"__proto__":{}}`, strings.Repeat(`{"a":`, 20000), strings.Repeat(`[`, 100000),
	`{"a":"` + strings.Repeat("x", 200000) + `"}`, `{"os-start":null,"os-stop":null}`, `{"fly":{}}`}

// whole is a seed as a client would send it.
func (m *mangler) whole(s seed) request {
	method, path, _ := strings.Cut(s.route, " ")
	path, _, _ = strings.Cut(path, " ")
	token := "good"
	if s.as != "" {
		token = s.as
	}
	base := request{service: s.service, method: method, path: m.path(s.service, path), token: m.tokens[token], header: map[string]string{}}
	if s.at != "" {
		base.path = m.fill(s.at)
	}
	if s.version != "" {
		base.header["OpenStack-API-Version"] = s.service + " " + s.version
	}
	if s.media != "" {
		base.header["Content-Type"] = s.media
	}
	base.body = []byte(m.fill(s.body))
	return base
}

// bodies mangles a seed: every value in it once or more, every member missing, one
// too many, the text cut short and so on.
func (m *mangler) bodies(s seed, each int) []mangled {
	base := m.whole(s)
	var all []mangled
	add := func(how, body string) {
		r := base
		r.body = []byte(body)
		all = append(all, mangled{r, how})
	}
	valid := string(base.body)
	var tree any
	if err := json.Unmarshal([]byte(valid), &tree); err != nil {
		panic(fmt.Sprintf("%s: %v", s, err))
	}
	for _, at := range places(tree, nil) {
		for range each {
			value := m.fill(m.pick(values))
			add(fmt.Sprintf("%v = %.40s", at, value), with(tree, at, value))
		}
		if len(at) > 0 {
			add(fmt.Sprintf("without %v", at), with(tree, at, ""))
		}
		add(fmt.Sprintf("too much in %v", at), with(tree, append(slices.Clone(at), "unheard_of"), `"of"`))
	}
	for range 3 {
		cut := 1 + m.rnd.IntN(len(valid)-1)
		add(fmt.Sprintf("cut at %d", cut), valid[:cut])
	}
	add("twice", valid+valid)
	add("in a list", "["+valid+"]")
	for range 3 {
		whole := m.pick(wholes)
		add(fmt.Sprintf("whole = %.40s", whole), whole)
	}
	all = append(all, m.manners(base)...)
	return all
}

// manners are right bodies that come in a wrong way.
func (m *mangler) manners(base request) []mangled {
	var all []mangled
	for _, media := range []string{"text/plain", "application/xml", "application/json; charset=utf-99", "multipart/form-data", ";;;"} {
		r := base
		r.header = maps.Clone(base.header)
		r.header["Content-Type"] = media
		// with a token that is nobody's, because some services do not mind the type
		r.token = m.tokens["turned"]
		all = append(all, mangled{r, "type " + media})
	}
	for _, name := range slices.Sorted(maps.Keys(m.tokens)) {
		if name == "good" || name == "demo" || name == "stranger" || name == "nova" {
			continue
		}
		r := base
		r.token = m.tokens[name]
		all = append(all, mangled{r, "token " + name})
	}
	return all
}

// places lists where the values of a tree are.
func places(tree any, at []string) [][]string {
	all := [][]string{at}
	switch v := tree.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			all = append(all, places(v[key], append(slices.Clone(at), key))...)
		}
	case []any:
		for i := range v {
			all = append(all, places(v[i], append(slices.Clone(at), fmt.Sprint("#", i)))...)
		}
	}
	return all
}

// with writes a tree with another value at a place; "" takes what is there away.
func with(tree any, at []string, value string) string {
	if len(at) == 0 {
		return value
	}
	var b bytes.Buffer
	switch v := tree.(type) {
	case map[string]any:
		b.WriteByte('{')
		keys := slices.Sorted(maps.Keys(v))
		if _, there := v[at[0]]; !there {
			keys = append(keys, at[0])
		}
		for _, key := range keys {
			text := write(v[key])
			if key == at[0] {
				text = with(v[key], at[1:], value)
			}
			if text != "" {
				fmt.Fprintf(&b, "%s%s:%s", comma(&b), write(key), text)
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i := range v {
			text := write(v[i])
			if fmt.Sprint("#", i) == at[0] {
				text = with(v[i], at[1:], value)
			}
			if text != "" {
				fmt.Fprintf(&b, "%s%s", comma(&b), text)
			}
		}
		b.WriteByte(']')
	default: // a member of what has none
		return write(map[string]any{at[0]: v})
	}
	return b.String()
}

func comma(b *bytes.Buffer) string {
	if b.Len() > 1 {
		return ","
	}
	return ""
}

func write(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// path fills a route's wildcards with things that are there.
func (m *mangler) path(service, route string) string {
	parts := strings.Split(route, "/")
	for i, p := range parts {
		if !strings.HasPrefix(p, "{") {
			continue
		}
		if parts[i] = m.of[parts[i-1]]; parts[i] == "" {
			parts[i] = m.names["NONE"]
		}
	}
	if service == "compute" && route != "/" {
		return "/v2.1" + strings.Join(parts, "/")
	}
	return strings.Join(parts, "/")
}

// ids are what stands in a path where an id should.
var ids = []string{"", ".", "..", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%00", "a%00b", "%ff%fe", "%f0%9f%92%a5", "-1", "0", "null", "undefined", "*", "%25", "a%2fb", "a/b", "a//b", ";x=y", "%20", "%0d%0aX:1",
	"6d5b4f5e-0000-4000-8000-000000000000", "6D5B4F5E00004000800000000000000Z", "'%20OR%201=1--", "~", "{id}", "detail", strings.Repeat("a", 300), strings.Repeat("b", 3000), strings.Repeat("%C3%BC", 200)}

// queries are what comes after the question mark.
var queries = []string{"limit=-1", "limit=x", "limit=99999999999999999999", "limit=0", "marker=none", "marker=%00", "marker=" + strings.Repeat("m", 5000), "sort_key=none&sort_dir=up", "sort_key=;", "sort=%00:asc", "sort_dir=asc",
	"fields=%00", "fields=none", "name=%ff", "name=%", "a;b", "&&&", "=", "%=%", "page_reverse=x", "changes-since=yesterday", "changes-before=0", "status=NONE&status=x", "all_tenants=perhaps", "deleted=true", "resources=VCPU:x",
	"resources=VCPU:-1", "resources=", "required=!!", "member_of=in:", "in_tree=x", "group_policy=x", "resources1=VCPU:1", "limit=1&limit=2", "id=" + strings.Repeat("x", 4000), "name=in:%22", "created_at=gt:x", "visibility=none",
	"size_min=x", "tags=%00", "not-tags-any=,,,", "ip=(((", "reservation_id=%00", "fixed_ips=ip_address%3D", "fixed_ips=x", "tag=%00", "detailed=x", "start=x&end=y", "usage=x", "reserved=x", "project_id=%00", "user_id=%f0%28%8c%28",
	"ip=%5B", "name=%5B", "ip6=((", "host=%00", "updated_at=neq:", "description__x=y", "name__contains=%00", "name__none=1", "domain_id=", "enabled=perhaps", "alive=x", "binary=%00", "with_servers=x", "hypervisor_hostname_pattern=%00", "device_id=%00"}

// versions are microversions that there are not.
var wrongVersions = []string{"2.999", "1.999", "0.0", "-2.1", "2", "2.", ".1", "2.1.1", "2.01x", "99999999999999999999.1", "2.99999999999999999999", "latest, latest", "x", strings.Repeat("2", 3000)}

// headers are others that are wrong.
var headers = []map[string]string{{"Accept": "x/y"}, {"Accept": "application/xml"}, {"Accept": strings.Repeat("a/b,", 2000)}, {"X-Openstack-Request-Id": "req-<script>"}, {"X-Auth-Token": strings.Repeat("t", 30000)},
	{"X-Forwarded-Proto": "javascript"}, {"Range": "bytes=9-1"}, {"Range": "x"}, {"Content-Encoding": "gzip"}, {"If-Match": "revision_number=x"}, {"If-Match": "x"}, {"Transfer-Encoding": "x"}, {"X-Subject-Token": "x"}, {"Origin": "http://evil"},
	{"X-Project-Id": "x", "X-Roles": "admin", "X-User-Id": "x", "X-Identity-Status": "Confirmed"}, {"X-Service-Token": "x"}, {"X-HTTP-Method-Override": "DELETE"}, {"Expect": "x"}, {"Cookie": strings.Repeat("c=d;", 3000)}}
