package cloud

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/objects"
	"github.com/minio/minio-go/v7"

	"kilonova/service/image/blob"
	"kilonova/service/image/blob/blobtest"
	images3 "kilonova/service/image/blob/s3"
	imageswift "kilonova/service/image/blob/swift"
	"kilonova/stack"
)

// The law of image stores, on our own object store: by S3 and by Swift's API.
func TestImageStoresOnObjects(t *testing.T) {
	c := one(t)
	access, secret := keys(t, c.demo)
	n := 0
	t.Run("s3", func(t *testing.T) {
		blobtest.RunRemote(t, func(t *testing.T) func() blob.Store {
			n++
			o := images3.Options{Host: objectURL(c), Region: "us-east-1", AccessKey: access, SecretKey: secret, Bucket: "images-" + string(rune('a'+n)), CreateBucket: true, URLFormat: "path"}
			return func() blob.Store {
				s, err := images3.New(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		})
	})
	t.Run("swift", func(t *testing.T) {
		blobtest.RunRemote(t, func(t *testing.T) func() blob.Store {
			n++
			o := imageswift.Options{AuthAddress: c.url + "/identity/v3", User: "demo:demo", Key: c.config.Secrets.DemoPassword, Container: "images-" + string(rune('a'+n)), CreateContainer: true, ChunkMB: 4}
			return func() blob.Store {
				s, err := imageswift.New(o, c.stacks[0].Now)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		})
	})
}

// A cloud whose images lie in its own object store: made, read, and booted from.
func TestImagesInOurOwnObjectStore(t *testing.T) {
	root := t.TempDir()
	first := oneWith(t, func(o *stack.Config) { o.Data = root })
	access, secret := keys(t, first.demo)
	for _, st := range first.stacks {
		st.Close()
	}
	address := freeAddresses(t, 1)[0]
	c := oneWith(t, func(o *stack.Config) {
		o.Data, o.Listen.Address = root, address
		o.Image.EnabledBackends = []string{"objects:s3", "swift:swift", "file:file"}
		o.Image.Stores = map[string]stack.ImageStoreOptions{
			"objects": {S3Options: stack.S3Options{Host: "http://" + address, Region: "us-east-1", AccessKey: access, SecretKey: secret, Bucket: "glance", URLFormat: "path"}},
			"swift":   {SwiftOptions: stack.SwiftOptions{AuthAddress: "http://" + address + "/identity/v3", User: "demo:demo", Key: "demo-pw", CreateContainer: true, Container: "glance-swift"}},
		}
		o.Image.GlanceStore.DefaultBackend = "file" // for what the test's seed makes
	})
	hostsUp(t, c)
	u := c.demo
	if _, err := url.Parse(objectURL(c)); err != nil {
		t.Fatal(err)
	}
	if err := s3Client(t, c, access, secret).MakeBucket(t.Context(), "glance", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 18<<20) // more than one part
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	for store, container := range map[string]string{"objects": "glance", "swift": "glance-swift"} {
		image, err := images.Create(t.Context(), u.image, images.CreateOpts{Name: "in " + store, DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		in := *u.image
		in.MoreHeaders = map[string]string{"X-Image-Meta-Store": store}
		if err := imagedata.Upload(t.Context(), &in, image.ID, bytes.NewReader(content)).ExtractErr(); err != nil {
			t.Fatal(store, err)
		}
		body, err := imagedata.Download(t.Context(), u.image, image.ID).Extract()
		if err != nil {
			t.Fatal(store, err)
		}
		if data, err := io.ReadAll(body); err != nil || !bytes.Equal(data, content) {
			t.Error(store, len(data), err)
		}
		pages, err := objects.List(objectStore(t, u), container, nil).AllPages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if names, err := objects.ExtractNames(pages); err != nil || len(names) < 1 {
			t.Error(store, names, err)
		}
		s, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: "from " + store, FlavorRef: "1", ImageRef: image.ID,
			Networks: []servers.Network{{UUID: networkID(t, u, "private")}}}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		awaitStatus(t, u, s.ID, "ACTIVE")
		onHost, err := os.ReadFile(filepath.Join(c.stacks[0].Config.Default.InstancesPath, "_base", image.ID))
		if err != nil || !bytes.Equal(onHost, content) {
			t.Error(store, len(onHost), err)
		}
		if err := images.Delete(t.Context(), u.image, image.ID).ExtractErr(); err != nil {
			t.Error(err)
		}
	}
}
