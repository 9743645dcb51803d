package cloud

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/ec2credentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// objectURL is where a cloud's S3 is.
func objectURL(c *cloud) string {
	for _, st := range c.stacks {
		if strings.Contains(st.Config.Roles, "object-store") {
			return st.URL()
		}
	}
	return c.url
}

// keys makes an access key for a user on its project.
func keys(t *testing.T, u *user) (access, secret string) {
	t.Helper()
	k, err := ec2credentials.Create(t.Context(), u.identity, userID(t, u), ec2credentials.CreateOpts{TenantID: u.projectID(t)}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	return k.Access, k.Secret
}

// userID is who somebody is that is logged in.
func userID(t *testing.T, u *user) string {
	t.Helper()
	me, err := tokens.Get(t.Context(), u.identity, u.provider.Token()).ExtractUser()
	if err != nil {
		t.Fatal(err)
	}
	return me.ID
}

func s3Client(t *testing.T, c *cloud, access, secret string) *minio.Core {
	t.Helper()
	u, err := url.Parse(objectURL(c))
	if err != nil {
		t.Fatal(err)
	}
	core, err := minio.NewCore(u.Host, &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), BucketLookup: minio.BucketLookupPath, MaxRetries: 1, TrailingHeaders: true})
	if err != nil {
		t.Fatal(err)
	}
	return core
}

func wantS3(t *testing.T, what string, err error, code string) {
	t.Helper()
	if got := minio.ToErrorResponse(err).Code; err == nil || got != code {
		t.Errorf("%s: %v (%s), not %s", what, err, got, code)
	}
}

func TestS3(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		access, secret := keys(t, c.demo)
		m, ctx := s3Client(t, c, access, secret), t.Context()
		if err := m.MakeBucket(ctx, "box", minio.MakeBucketOptions{}); err != nil {
			t.Fatal(err)
		}
		wantS3(t, "a second bucket", m.MakeBucket(ctx, "box", minio.MakeBucketOptions{}), "BucketAlreadyOwnedByYou")
		if list, err := m.ListBuckets(ctx); err != nil || len(list) != 1 || list[0].Name != "box" {
			t.Error(list, err)
		}
		content := "the content"
		for _, name := range []string{"a", "dir/b c+d", "dir/ü&<>", "z"} {
			if _, err := m.Client.PutObject(ctx, "box", name, strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{ContentType: "text/x", UserMetadata: map[string]string{"Colour": "blue"}}); err != nil {
				t.Fatal(name, err)
			}
		}
		st, err := m.StatObject(ctx, "box", "dir/b c+d", minio.StatObjectOptions{})
		if err != nil || st.Size != 11 || st.ContentType != "text/x" || st.UserMetadata["Colour"] != "blue" || st.ETag != "da619dfbf5572fc749b1496b0fffd76a" {
			t.Errorf("%+v %v", st, err)
		}
		// What S3 has been given, Swift has.
		if got := getObject(t, objectStore(t, c.demo), "box", "dir/ü&<>"); got != content {
			t.Errorf("%q", got)
		}
		o := minio.GetObjectOptions{}
		if err := o.SetRange(4, 6); err != nil {
			t.Fatal(err)
		}
		body, _, _, err := m.GetObject(ctx, "box", "a", o)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(body); err != nil || string(data) != "con" {
			t.Errorf("%q %v", data, err)
		}
		for _, first := range []bool{true, false} {
			var names []string
			for o := range m.Client.ListObjects(ctx, "box", minio.ListObjectsOptions{UseV1: first, MaxKeys: 2}) {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
				names = append(names, o.Key)
			}
			slices.Sort(names)
			if fmt.Sprint(names) != "[a dir/ z]" {
				t.Error(first, names)
			}
		}
		if _, err := m.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: "box", Object: "copy"}, minio.CopySrcOptions{Bucket: "box", Object: "dir/b c+d"}); err != nil {
			t.Error(err)
		}
		// An address for others.
		for _, method := range []string{"GET", "PUT", "GET"} {
			address, err := m.Client.Presign(ctx, method, "box", "presigned "+method, time.Minute, nil)
			if method == "GET" {
				address, err = m.PresignedGetObject(ctx, "box", "copy", time.Minute, url.Values{"response-content-type": {"text/y"}})
			}
			if err != nil {
				t.Fatal(err)
			}
			var sent io.Reader
			if method == "PUT" {
				sent = strings.NewReader("by address")
			}
			req, err := http.NewRequestWithContext(ctx, method, address.String(), sent)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			data, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || method == "GET" && (string(data) != content || resp.Header.Get("Content-Type") != "text/y") {
				t.Errorf("%s: %d %q %v", method, resp.StatusCode, data, resp.Header)
			}
		}
		address, err := m.Client.Presign(ctx, "PUT", "box", "stolen", time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(ctx, "PUT", address.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Copy-Source", "/box/copy")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if _, err := m.StatObject(ctx, "box", "stolen", minio.StatObjectOptions{}); resp.StatusCode != 403 || err == nil {
			t.Errorf("the address of an upload copies another object: %d, %v", resp.StatusCode, err)
		}
		wantS3(t, "a bucket with something in it", m.RemoveBucket(ctx, "box"), "BucketNotEmpty")
		_, err = m.StatObject(ctx, "box", "nothing", minio.StatObjectOptions{})
		wantS3(t, "no key", err, "NoSuchKey")
		_, err = m.Client.PutObject(ctx, "nowhere", "x", strings.NewReader("x"), 1, minio.PutObjectOptions{})
		wantS3(t, "no bucket", err, "NoSuchBucket")
		_, err = s3Client(t, c, access, "guessed").ListBuckets(ctx)
		wantS3(t, "a wrong secret", err, "SignatureDoesNotMatch")
		_, err = s3Client(t, c, "nobody", secret).ListBuckets(ctx)
		wantS3(t, "nobody's key", err, "InvalidAccessKeyId")

		objects := make(chan minio.ObjectInfo)
		go func() {
			defer close(objects)
			for o := range m.Client.ListObjects(ctx, "box", minio.ListObjectsOptions{Recursive: true}) {
				objects <- o
			}
		}()
		for e := range m.RemoveObjects(ctx, "box", objects, minio.RemoveObjectsOptions{}) {
			t.Error(e)
		}
		if err := m.RemoveBucket(ctx, "box"); err != nil {
			t.Error(err)
		}
		if err := ec2credentials.Delete(ctx, c.demo.identity, userID(t, c.demo), access).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		_, err = m.ListBuckets(ctx)
		wantS3(t, "a key that has been deleted", err, "InvalidAccessKeyId")
	})
}

func TestS3Multipart(t *testing.T) {
	c := one(t)
	access, secret := keys(t, c.demo)
	m, ctx := s3Client(t, c, access, secret), t.Context()
	if err := m.MakeBucket(ctx, "box", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 12<<20)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	put := func() {
		t.Helper()
		info, err := m.Client.PutObject(ctx, "box", "dir/large", bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{PartSize: 5 << 20})
		if err != nil || !strings.HasSuffix(info.ETag, "-3") {
			t.Fatal(info.ETag, err)
		}
		body, _, _, err := m.GetObject(ctx, "box", "dir/large", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(body); err != nil || !bytes.Equal(data, content) {
			t.Error(len(data), err)
		}
	}
	put()
	content[0]++
	put() // in place of the first one, whose parts go
	eventually(t, "parts that nobody has", func() string {
		if n := len(payloads(t, c)); n != 4 {
			return fmt.Sprint(n)
		}
		return ""
	})
	o := minio.GetObjectOptions{}
	if err := o.SetRange(5<<20-2, 10<<20+1); err != nil {
		t.Fatal(err)
	}
	body, _, _, err := m.GetObject(ctx, "box", "dir/large", o)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(body); err != nil || !bytes.Equal(data, content[5<<20-2:10<<20+2]) {
		t.Error("a range over three parts:", len(data), err)
	}
	// What was begun is listed until it is given up.
	id, err := m.NewMultipartUpload(ctx, "box", "begun", minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	part, err := m.PutObjectPart(ctx, "box", "begun", id, 7, strings.NewReader("small"), 5, minio.PutObjectPartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := m.ListMultipartUploads(ctx, "box", "beg", "", "", "", 10); err != nil || len(list.Uploads) != 1 || list.Uploads[0].UploadID != id {
		t.Errorf("%+v %v", list, err)
	}
	if list, err := m.ListObjectParts(ctx, "box", "begun", id, 0, 10); err != nil || len(list.ObjectParts) != 1 || list.ObjectParts[0].Size != 5 {
		t.Errorf("%+v %v", list, err)
	}
	_, err = m.CompleteMultipartUpload(ctx, "box", "begun", id, []minio.CompletePart{{PartNumber: 8, ETag: part.ETag}}, minio.PutObjectOptions{})
	wantS3(t, "a part that is not there", err, "InvalidPart")
	if err := m.AbortMultipartUpload(ctx, "box", "begun", id); err != nil {
		t.Fatal(err)
	}
	_, err = m.PutObjectPart(ctx, "box", "begun", id, 7, strings.NewReader("small"), 5, minio.PutObjectPartOptions{})
	wantS3(t, "an upload that was given up", err, "NoSuchUpload")
	if err := m.RemoveObject(ctx, "box", "dir/large", minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := m.RemoveBucket(ctx, "box"); err != nil {
		t.Error(err)
	}
	eventually(t, "payloads are removed", func() string { return strings.Join(payloads(t, c), " ") })
}
