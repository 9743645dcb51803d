package metadata

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// openstackFile is one file of a version's directory.
type openstackFile struct {
	name  string
	since string
	// absent tells that an instance does not have it; nil: all have it.
	absent func(t *Tree) bool
	// read makes it for a version.
	read func(t *Tree, version string) Content
	// online files are there over HTTP only.
	online bool
}

// openstackFiles are in the order in which they are listed.
var openstackFiles = []openstackFile{
	{name: "meta_data.json", since: folsom, read: (*Tree).metaData},
	{name: "user_data", since: folsom, read: func(t *Tree, _ string) Content { return Content{Body: t.inst.UserData, Type: textType} },
		absent: func(t *Tree) bool { return t.inst.UserData == nil }},
	{name: passwordFile, since: grizzly, read: func(t *Tree, _ string) Content { return plainText(t.inst.Password) }, online: true},
	{name: "vendor_data.json", since: havana, read: func(t *Tree, _ string) Content { return asJSON(t.vendorData()) }},
	{name: "network_data.json", since: liberty, read: (*Tree).networkData},
	{name: vendorFile2, since: newton2, read: (*Tree).vendorData2},
}

const (
	passwordFile = "password"
	vendorFile2  = "vendor_data2.json"
)

// openstack reads a path below /openstack.
func (t *Tree) openstack(parts []string) (Content, bool) {
	if len(parts) == 0 {
		return listing(append(slices.Clone(openstackVersions), latest)), true
	}
	version, ok := resolve(parts[0], openstackVersions)
	if !ok || len(parts) > 2 {
		return Content{}, false
	}
	var names []string
	for i := range openstackFiles {
		f := &openstackFiles[i]
		if !t.has(f, version) {
			continue
		}
		names = append(names, f.name)
		if len(parts) == 2 && parts[1] == f.name {
			return f.read(t, version), true
		}
	}
	return listing(names), len(parts) == 1
}

func (t *Tree) has(f *openstackFile, version string) bool {
	return since(version, f.since) && (f.absent == nil || !f.absent(t)) && !(f.online && t.drive)
}

// isPassword tells whether a path is a version's password file.
func isPassword(name string) bool {
	parts := strings.Split(strings.Trim(name, "/"), "/")
	if len(parts) != 3 || parts[0] != "openstack" || parts[2] != passwordFile {
		return false
	}
	version, ok := resolve(parts[1], openstackVersions)
	return ok && since(version, grizzly)
}

// metaData is meta_data.json. Pointers are what older versions lack.
type metaData struct {
	UUID             string            `json:"uuid"`
	Meta             map[string]string `json:"meta,omitempty"`
	Files            []fileRef         `json:"files,omitempty"`
	AdminPass        string            `json:"admin_pass,omitempty"`
	PublicKeys       map[string]string `json:"public_keys,omitempty"`
	Keys             []keyData         `json:"keys,omitempty"`
	Hostname         string            `json:"hostname"`
	Name             string            `json:"name"`
	LaunchIndex      int               `json:"launch_index"`
	AvailabilityZone string            `json:"availability_zone"`
	RandomSeed       *string           `json:"random_seed,omitempty"`
	ProjectID        *string           `json:"project_id,omitempty"`
	Devices          *[]deviceData     `json:"devices,omitempty"`
	DedicatedCPUs    *[]int            `json:"dedicated_cpus,omitempty"`
}

type fileRef struct {
	Path        string `json:"path"`
	ContentPath string `json:"content_path"`
}

type keyData struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Data string `json:"data"`
}

// seedBytes is how much chance a guest is given, before base64.
const seedBytes = 512

func (t *Tree) metaData(version string) Content {
	i := t.inst
	m := metaData{UUID: i.UUID, Meta: i.Meta, Hostname: i.Hostname, Name: i.Name, LaunchIndex: i.LaunchIndex, AvailabilityZone: i.AvailabilityZone}
	for n, f := range t.files {
		m.Files = append(m.Files, fileRef{Path: f.Path, ContentPath: "/" + contentDir + "/" + contentName(n)})
	}
	if t.drive {
		m.AdminPass = i.AdminPass
	}
	if len(i.Keys) > 0 {
		k := i.Keys[0]
		m.PublicKeys = map[string]string{k.Name: k.Data}
		m.Keys = []keyData{{k.Name, k.Type, k.Data}}
	}
	if since(version, grizzly) {
		m.RandomSeed = i.seed()
	}
	if since(version, liberty) {
		m.ProjectID = &i.ProjectID
	}
	if since(version, newton1) {
		devices := i.deviceData(version)
		m.Devices = &devices
	}
	if since(version, victoria) {
		cpus := slices.Sorted(slices.Values(i.DedicatedCPUs))
		if cpus == nil {
			cpus = []int{}
		}
		m.DedicatedCPUs = &cpus
	}
	return asJSON(m)
}

// seed is nil when the source fails: a guest boots without it too.
func (i *Instance) seed() *string {
	source := i.Random
	if source == nil {
		source = rand.Reader
	}
	raw := make([]byte, seedBytes)
	if _, err := io.ReadFull(source, raw); err != nil {
		return nil
	}
	text := base64.StdEncoding.EncodeToString(raw)
	return &text
}

// deviceData is an element of devices.
type deviceData struct {
	Type      string   `json:"type"`
	Bus       string   `json:"bus"`
	Address   string   `json:"address"`
	Tags      []string `json:"tags,omitempty"`
	MAC       string   `json:"mac,omitempty"`
	VLAN      int      `json:"vlan,omitempty"`
	VFTrusted *bool    `json:"vf_trusted,omitempty"`
	Serial    string   `json:"serial,omitempty"`
	Path      string   `json:"path,omitempty"`
	ShareID   string   `json:"share_id,omitempty"`
	Tag       string   `json:"tag,omitempty"`
}

// deviceData leaves out devices of which a version has nothing to tell.
func (i *Instance) deviceData(version string) []deviceData {
	list := []deviceData{}
	for _, dev := range i.Devices {
		d := deviceData{Type: dev.Type, Bus: orNone(dev.Bus), Address: orNone(dev.Address), Tags: dev.Tags}
		switch dev.Type {
		case "nic":
			d.MAC = dev.MAC
			if since(version, ocata) {
				d.VLAN = dev.VLAN
			}
			if since(version, rocky) {
				d.VFTrusted = &dev.VFTrusted
			}
			if len(d.Tags) == 0 && d.VLAN == 0 && d.VFTrusted == nil {
				continue
			}
		case "disk":
			d.Serial, d.Path = dev.Serial, dev.Path
		case "share":
			if !since(version, epoxy) {
				continue
			}
			d.ShareID, d.Tag = dev.ShareID, dev.ShareTag
		default:
			continue
		}
		list = append(list, d)
	}
	return list
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func (t *Tree) vendorData() json.RawMessage {
	if len(t.inst.VendorData) == 0 {
		return json.RawMessage("{}")
	}
	return t.inst.VendorData
}

// vendorData2 has the static data under "static" beside what dynamic sources
// gave.
func (t *Tree) vendorData2(string) Content {
	all := map[string]json.RawMessage{"static": t.vendorData()}
	for name, data := range t.inst.VendorData2 {
		if _, taken := all[name]; !taken {
			all[name] = data
		}
	}
	return asJSON(all)
}

// contentDir holds injected files under numbers.
const contentDir = "content"

func contentName(n int) string { return fmt.Sprintf("%04d", n) }

// asJSON leaves <, > and & as they are, as upstream does: keys and user names in
// old images are cut out of it by shell scripts.
func asJSON(v any) Content {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // only broken VendorData gets here
		return Content{Body: []byte("{}"), Type: jsonType}
	}
	return Content{Body: bytes.TrimRight(b.Bytes(), "\n"), Type: jsonType}
}
