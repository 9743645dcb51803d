package metadata

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; after looking at it, write it with -update. Got:\n%s", file, got)
	}
}

// walk reads a tree as a guest can: by its listings only.
func walk(t *testing.T, tree *Tree, dir string, visit func(path string, c Content)) {
	t.Helper()
	c, err := tree.Read(dir)
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	for _, name := range strings.Split(string(c.Body), "\n") {
		isDir := strings.HasSuffix(name, "/")
		if number, _, ok := strings.Cut(name, "="); ok {
			name, isDir = number, true
		}
		p := dir + strings.TrimSuffix(name, "/")
		if isDir {
			walk(t, tree, p+"/", visit)
			continue
		}
		file, err := tree.Read(p)
		if err != nil {
			t.Fatalf("%s is listed and not there: %v", p, err)
		}
		visit(p, file)
	}
}

func write(b *bytes.Buffer, p string, c Content) {
	fmt.Fprintf(b, "=== %s (%s)\n", p, c.Type)
	body := bytes.ReplaceAll(c.Body, []byte(strings.Repeat("A", 683)+"="), []byte("seed"))
	if strings.HasSuffix(p, ".json") {
		var indented bytes.Buffer
		if err := json.Indent(&indented, body, "", "  "); err == nil {
			body = indented.Bytes()
		}
	}
	b.Write(body)
	b.WriteByte('\n')
}

func TestEC2Tree(t *testing.T) {
	tree := NewTree(sample())
	for _, version := range ec2Versions {
		var b bytes.Buffer
		walk(t, tree, "/"+version+"/", func(p string, c Content) { write(&b, p, c) })
		golden(t, "ec2-"+version+".txt", b.Bytes())
	}
}

func TestOpenStackTree(t *testing.T) {
	tree := NewTree(sample())
	for _, version := range openstackVersions {
		var b bytes.Buffer
		walk(t, tree, "/openstack/"+version+"/", func(p string, c Content) { write(&b, p, c) })
		golden(t, "openstack-"+version+".txt", b.Bytes())
	}
}

func TestLatestIsTheLast(t *testing.T) {
	tree := NewTree(sample())
	for _, pair := range [][2]string{{"/latest/", "/2009-04-04/"}, {"/openstack/latest/", "/openstack/2025-04-04/"}} {
		walk(t, tree, pair[0], func(p string, c Content) {
			other, err := tree.Read(pair[1] + strings.TrimPrefix(p, pair[0]))
			if err != nil || !bytes.Equal(c.Body, other.Body) {
				t.Errorf("%s differs from the last version: %v", p, err)
			}
		})
	}
}

// TestPaths follows paths by hand, with the rules for slashes.
func TestPaths(t *testing.T) {
	tree := NewTree(sample())
	for p, want := range map[string]string{
		"":                                            "1.0\n2007-01-19\n2007-03-01\n2007-08-29\n2007-10-10\n2007-12-15\n2008-02-01\n2008-09-01\n2009-04-04\nlatest",
		"/ec2/1.0/meta-data/instance-id":              "i-0000002a",
		"/openstack":                                  strings.Join(openstackVersions, "\n") + "\nlatest",
		"/latest":                                     "meta-data/\nuser-data",
		"//latest//meta-data/./ami-id":                "ami-9b387465",
		"/latest/meta-data/kernel-id":                 "aki-00000007",
		"/latest/meta-data/ramdisk-id/":               "ari-00000008",
		"/latest/meta-data/public-keys":               "0=mykey",
		"/latest/meta-data/public-keys/0":             "openssh-key",
		"/latest/meta-data/security-groups":           "default\nweb",
		"/latest/meta-data/ami-launch-index":          "1",
		"/latest/meta-data/local-ipv4":                "10.0.0.5",
		"/latest/meta-data/public-ipv4":               "203.0.113.7",
		"/latest/meta-data/placement/":                "availability-zone",
		"/latest/user-data":                           "#cloud-config\n{}\n",
		"/latest/meta-data/block-device-mapping":      "ami\nebs0\nebs1\nephemeral0\nroot\nswap",
		"/latest/meta-data/block-device-mapping/ebs0": "/dev/vdd",
		"/openstack/2012-08-10":                       "meta_data.json\nuser_data",
		"/openstack/2013-04-04/password":              "c2VjcmV0",
	} {
		c, err := tree.Read(p)
		if err != nil || string(c.Body) != want {
			t.Errorf("%s: %q, %v; want %q", p, c.Body, err, want)
		}
	}
	for _, p := range []string{"/2010-01-01", "/latest/meta-data/nothing", "/latest/meta-data/ami-id/x", "/latest/meta-data/public-keys/0/_name",
		"/latest/meta-data/security-groups/default", "/1.0/meta-data/placement", "/openstack/2012-08-10/password", "/openstack/2013-04-04/vendor_data.json",
		"/openstack/2013-10-17/network_data.json", "/openstack/2016-06-30/vendor_data2.json", "/openstack/1999-01-01", "/openstack/latest/meta_data.json/x",
		"/openstack/latest/content", "/openstack/content/0000", "/../../etc/passwd", "/latest/api/token", "/" + strings.Repeat("x", MaxPath)} {
		if c, err := tree.Read(p); !fault.Is(err, fault.NotFound) {
			t.Errorf("%.60s: %q, %v; want fault.NotFound", p, c.Body, err)
		}
	}
}

// TestBareInstance: an instance of which nothing is known has a tree too.
func TestBareInstance(t *testing.T) {
	tree := NewTree(&Instance{UUID: "u"})
	var paths []string
	for _, root := range []string{"/latest/", "/openstack/latest/"} {
		walk(t, tree, root, func(p string, c Content) { paths = append(paths, p) })
	}
	for _, p := range []string{"/latest/user-data", "/openstack/latest/user_data", "/latest/meta-data/public-keys"} {
		if _, err := tree.Read(p); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", p, err)
		}
	}
	for p, want := range map[string]string{"/openstack/latest/network_data.json": "{}", "/openstack/latest/vendor_data.json": "{}",
		"/openstack/latest/vendor_data2.json": `{"static":{}}`, "/openstack/latest/password": "", "/latest/meta-data/ami-id": "",
		"/latest/meta-data/block-device-mapping/root": "/dev/sda1"} {
		if c, err := tree.Read(p); err != nil || string(c.Body) != want {
			t.Errorf("%s: %q, %v", p, c.Body, err)
		}
	}
	if !slices.Contains(paths, "/openstack/latest/meta_data.json") {
		t.Errorf("paths %v", paths)
	}
}

// TestSecrets: what only the config drive may tell is nowhere in the tree, and
// the seed differs from read to read.
func TestSecrets(t *testing.T) {
	inst := sample()
	inst.Random = nil
	tree := NewTree(inst)
	for _, root := range []string{"/latest/", "/openstack/latest/"} {
		walk(t, tree, root, func(p string, c Content) {
			if bytes.Contains(c.Body, []byte("hunter2")) {
				t.Errorf("%s has the administrator's password", p)
			}
		})
	}
	a, _ := tree.Read("/openstack/latest/meta_data.json")
	b, _ := tree.Read("/openstack/latest/meta_data.json")
	if bytes.Equal(a.Body, b.Body) {
		t.Error("the seed is the same twice")
	}
}
