package cloud

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imageimport"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

// upload makes an image of a format with its data.
func upload(t *testing.T, u *user, name, format, container string, properties map[string]string, data []byte) string {
	t.Helper()
	image, err := images.Create(t.Context(), u.image, images.CreateOpts{Name: name, DiskFormat: format, ContainerFormat: container, Properties: properties}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if err := imagedata.Upload(t.Context(), u.image, image.ID, bytes.NewReader(data)).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	return image.ID
}

// An image in three parts boots with its kernel and its ramdisk beside it.
func TestThreePartImages(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		kernel := upload(t, u, "kernel", "aki", "aki", nil, []byte("a kernel"))
		ramdisk := upload(t, u, "ramdisk", "ari", "ari", nil, []byte("a ramdisk"))
		whole := upload(t, u, "machine", "ami", "ami", map[string]string{"kernel_id": kernel, "ramdisk_id": ramdisk}, []byte("a file system"))
		boots := func(image string) string {
			t.Helper()
			s, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: "three parts", FlavorRef: "1", ImageRef: image,
				Networks: []servers.Network{{UUID: networkID(t, u, "private")}}}, nil).Extract()
			if err != nil {
				t.Fatal(err)
			}
			return s.ID
		}
		id := boots(whole)
		awaitStatus(t, u, id, "ACTIVE")
		var got struct {
			Server map[string]any `json:"server"`
		}
		if _, err := c.admin.at("2.3").Get(t.Context(), c.admin.compute.ServiceURL("servers", id), &got, nil); err != nil {
			t.Fatal(err)
		}
		if s := got.Server; s["OS-EXT-SRV-ATTR:kernel_id"] != kernel || s["OS-EXT-SRV-ATTR:ramdisk_id"] != ramdisk {
			t.Errorf("kernel %v, ramdisk %v", s["OS-EXT-SRV-ATTR:kernel_id"], s["OS-EXT-SRV-ATTR:ramdisk_id"])
		}
		for part, want := range map[string]string{kernel: "a kernel", ramdisk: "a ramdisk", whole: "a file system"} {
			var data []byte
			for _, st := range c.stacks { // one of them is the host's
				if found, err := os.ReadFile(filepath.Join(st.Config.Default.InstancesPath, "_base", part)); err == nil {
					data = found
				}
			}
			if string(data) != want {
				t.Errorf("the host has %q, where %q is right", data, want)
			}
		}
		// Without one of its parts it cannot boot, and says so.
		lost := upload(t, u, "lost", "ami", "ami", map[string]string{"kernel_id": "0c9e2c1e-0000-4000-8000-000000000001"}, []byte("a file system"))
		awaitStatus(t, u, boots(lost), "ERROR")
	})
}

func TestImportsAndTheirLimits(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		u := c.demo
		image, err := images.Create(t.Context(), u.image, images.CreateOpts{Name: "imported", DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		if err := imagedata.Stage(t.Context(), u.image, image.ID, bytes.NewReader([]byte("some data"))).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		if err := imageimport.Create(t.Context(), u.image, image.ID, imageimport.CreateOpts{Name: imageimport.GlanceDirectMethod}).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		if got := awaitImage(t, u, image.ID); got.SizeBytes != 9 {
			t.Errorf("%d bytes", got.SizeBytes)
		}
		// What is off by default is refused: this service fetches nothing for users.
		other, err := images.Create(t.Context(), u.image, images.CreateOpts{Name: "fetched", DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		err = imageimport.Create(t.Context(), u.image, other.ID, imageimport.CreateOpts{Name: imageimport.WebDownloadMethod, URI: "http://example.org/"}).ExtractErr()
		wantCode(t, "web-download", err, http.StatusBadRequest)
	})
}
