package cloud

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/accounts"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/containers"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/objects"

	"kilonova/stack"
)

// objectStore is a user's client of the object store.
func objectStore(t *testing.T, u *user) *gophercloud.ServiceClient {
	t.Helper()
	c, err := openstack.NewObjectStorageV1(u.provider, gophercloud.EndpointOpts{Region: "RegionOne"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func putObject(t *testing.T, c *gophercloud.ServiceClient, container, name, content string) {
	t.Helper()
	if err := objects.Create(t.Context(), c, container, name, objects.CreateOpts{Content: strings.NewReader(content)}).Err; err != nil {
		t.Fatal(err)
	}
}

func getObject(t *testing.T, c *gophercloud.ServiceClient, container, name string) string {
	t.Helper()
	r := objects.Download(t.Context(), c, container, name, nil)
	data, err := r.ExtractContent()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestObjects(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		u := objectStore(t, c.demo)
		if err := containers.Create(t.Context(), u, "box", containers.CreateOpts{Metadata: map[string]string{"Colour": "blue"}}).Err; err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "dir/b", "dir/c", "ü/../x//"} {
			putObject(t, u, "box", name, "content of "+name)
		}
		for _, name := range []string{"a", "ü/../x//"} {
			if got := getObject(t, u, "box", name); got != "content of "+name {
				t.Errorf("%q", got)
			}
		}
		pages, err := objects.List(u, "box", objects.ListOpts{Delimiter: "/"}).AllPages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		info, err := objects.ExtractInfo(pages)
		if err != nil || len(info) != 3 || info[0].Name != "a" || info[0].Bytes != 12 || info[1].Subdir != "dir/" || info[2].Subdir != "ü/" {
			t.Errorf("%+v %v", info, err)
		}
		head, err := containers.Get(t.Context(), u, "box", nil).Extract()
		if err != nil || head.ObjectCount != 4 {
			t.Errorf("%+v %v", head, err)
		}
		if meta, err := containers.Get(t.Context(), u, "box", nil).ExtractMetadata(); err != nil || meta["Colour"] != "blue" {
			t.Error(meta, err)
		}
		account, err := accounts.Get(t.Context(), u, nil).Extract()
		if err != nil || account.ContainerCount != 1 || account.ObjectCount != 4 {
			t.Errorf("%+v %v", account, err)
		}
		// A part of it, and what is not what it says.
		r := objects.Download(t.Context(), u, "box", "a", objects.DownloadOpts{Range: "bytes=3-6"})
		part, err := r.ExtractContent()
		if err != nil || string(part) != "tent" {
			t.Errorf("%q %v", part, err)
		}
		err = objects.Create(t.Context(), u, "box", "bad", objects.CreateOpts{Content: strings.NewReader("x"), ETag: strings.Repeat("0", 32)}).Err
		wantCode(t, "a wrong sum", err, http.StatusUnprocessableEntity)
		// A copy keeps its metadata, and outlives what it was made of.
		if err := objects.Update(t.Context(), u, "box", "a", objects.UpdateOpts{Metadata: map[string]string{"Taste": "sweet"}}).Err; err != nil {
			t.Fatal(err)
		}
		if err := objects.Copy(t.Context(), u, "box", "a", objects.CopyOpts{Destination: "/box/copy of a"}).Err; err != nil {
			t.Fatal(err)
		}
		if err := objects.Delete(t.Context(), u, "box", "a", nil).Err; err != nil {
			t.Fatal(err)
		}
		if meta, err := objects.Get(t.Context(), u, "box", "copy of a", nil).ExtractMetadata(); err != nil || meta["Taste"] != "sweet" {
			t.Error(meta, err)
		}
		if got := getObject(t, u, "box", "copy of a"); got != "content of a" {
			t.Errorf("%q", got)
		}
		wantCode(t, "deleting a container that is not empty", containers.Delete(t.Context(), u, "box").Err, http.StatusConflict)
		// Others' accounts are others'.
		admin := objectStore(t, c.admin)
		admin.Endpoint = u.Endpoint
		wantCode(t, "another project's container", containers.Get(t.Context(), admin, "box", nil).Err, http.StatusForbidden)
		if err := containers.Update(t.Context(), u, "box", containers.UpdateOpts{ContainerRead: ptr(c.admin.projectID(t) + ":*")}).Err; err != nil {
			t.Fatal(err)
		}
		if got := getObject(t, admin, "box", "dir/b"); got != "content of dir/b" {
			t.Errorf("%q", got)
		}
		wantCode(t, "writing where one may read", objects.Delete(t.Context(), admin, "box", "dir/b", nil).Err, http.StatusForbidden)
		for _, name := range []string{"copy of a", "dir/b", "dir/c", "ü/../x//"} {
			if err := objects.Delete(t.Context(), u, "box", name, nil).Err; err != nil {
				t.Error(name, err)
			}
		}
		if err := containers.Delete(t.Context(), u, "box").Err; err != nil {
			t.Error(err)
		}
		eventually(t, "payloads are removed", func() string { return strings.Join(payloads(t, c), " ") })
	})
}

// payloads are the files that the devices of a cloud have.
func payloads(t *testing.T, c *cloud) (all []string) {
	t.Helper()
	for _, st := range c.stacks {
		dirs := []string{filepath.Join(st.Config.Data, "objects")}
		for _, d := range st.Config.Object.Devices {
			dirs = append(dirs, d.Dir)
		}
		for _, dir := range dirs {
			found, err := filepath.Glob(filepath.Join(dir, "???", "*"))
			hidden, err2 := filepath.Glob(filepath.Join(dir, "???", ".*"))
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			all = append(all, append(found, hidden...)...)
		}
	}
	return all
}

func (u *user) projectID(t *testing.T) string {
	t.Helper()
	return strings.TrimPrefix(filepath.Base(strings.TrimSuffix(objectStore(t, u).Endpoint, "/")), "AUTH_")
}

// One of three devices dies: objects can be read and written, and when it is back a
// repair brings what is missing.
func TestObjectsOutliveADevice(t *testing.T) {
	root := t.TempDir()
	dirs := []string{filepath.Join(root, "d1"), filepath.Join(root, "d2"), filepath.Join(root, "d3")}
	c := oneWith(t, func(o *stack.Config) {
		o.Object.Replicas = 3
		for i, dir := range dirs {
			o.Object.Devices = append(o.Object.Devices, stack.ObjectDevice{ObjectFileOptions: stack.ObjectFileOptions{Name: string(rune('a' + i)), Dir: dir}})
		}
	})
	u := objectStore(t, c.demo)
	if err := containers.Create(t.Context(), u, "box", nil).Err; err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789"), 100000)
	sum := md5.Sum(content)
	put := func(name string) {
		t.Helper()
		if err := objects.Create(t.Context(), u, "box", name, objects.CreateOpts{Content: bytes.NewReader(content), ETag: hex.EncodeToString(sum[:])}).Err; err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) {
		t.Helper()
		r := objects.Download(t.Context(), u, "box", name, nil)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		defer r.Body.Close()
		if data, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(data, content) {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
	put("before")
	if all := payloads(t, c); len(all) != 3 {
		t.Fatal(all)
	}
	for _, dir := range dirs { // whichever dies
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		read("before")
		put("meanwhile in " + filepath.Base(dir))
		read("meanwhile in " + filepath.Base(dir))
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(dir+".away", dir); err != nil {
			t.Fatal(err)
		}
	}
	names := payloads(t, c)
	slices.Sort(names)
	if len(names) != 3+3*2 {
		t.Errorf("%d copies", len(names))
	}
}
