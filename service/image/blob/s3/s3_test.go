package s3

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
	"kilonova/service/image/blob/blobtest"
)

// gateway starts a real S3 server with a folder behind it.
func gateway(t *testing.T) Options {
	t.Helper()
	program := blobtest.Program(t, "versitygw", "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	dir, address := t.TempDir(), blobtest.FreeAddress(t)
	cmd := exec.Command(program, "--port", address, "--access", "access", "--secret", "the-secret", "--quiet", "posix", "--sidecar", t.TempDir(), dir)
	blobtest.Serve(t, address, cmd)
	return Options{Host: "http://" + address, Region: "us-east-1", AccessKey: "access", SecretKey: "the-secret", CreateBucket: true, URLFormat: "path"}
}

func TestLaw(t *testing.T) {
	o := gateway(t)
	var n atomic.Int64
	blobtest.RunRemote(t, func(t *testing.T) func() blob.Store {
		own := o
		own.Bucket = fmt.Sprint("images-", n.Add(1))
		own.Prefix = map[bool]string{true: "glance/"}[n.Load()%2 == 0]
		return func() blob.Store {
			s, err := New(t.Context(), own)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

// What a server or its absence says must not show the secret or be a 500.
func TestServerThatIsNotThere(t *testing.T) {
	s, err := New(t.Context(), Options{Host: "http://" + blobtest.FreeAddress(t), Region: "us-east-1", AccessKey: "access", SecretKey: "the-secret", Bucket: "images"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = s.Open(ctx, "aaaa.1")
	if !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "the-secret") {
		t.Error(err)
	}
	if strings.Contains(s.URL("aaaa.1"), "secret") || strings.Contains(s.URL("aaaa.1"), "access") {
		t.Error(s.URL("aaaa.1"))
	}
}

// Objects that others keep in the bucket are not ours to list or to remove.
func TestOthersObjects(t *testing.T) {
	o := gateway(t)
	o.Bucket, o.Prefix = "shared", "glance/"
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"aaaa.1", "glance/Not A Key", "glance/below/aaaa.1"} {
		if _, err := s.core.Client.PutObject(t.Context(), "shared", name, strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Each(t.Context(), func(e blob.Entry) error { return fmt.Errorf("%s is listed", e.Key) }); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{
		{}, {Host: "h", Bucket: "b", AccessKey: "a"},
		{Host: "ftp://h", Bucket: "b", AccessKey: "a", SecretKey: "s"},
		{Host: "h", Bucket: "b", AccessKey: "a", SecretKey: "s", URLFormat: "sideways"},
	} {
		if _, err := New(t.Context(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
