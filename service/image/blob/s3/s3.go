package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
)

// Options are a store's configuration, by upstream's names.
type Options struct {
	Host      string `toml:"s3_store_host"`        // "https://s3.example.org:9000"; without a scheme https
	Region    string `toml:"s3_store_region_name"` // "" the server's own
	AccessKey string `toml:"s3_store_access_key"`
	SecretKey string `toml:"s3_store_secret_key"`
	Bucket    string `toml:"s3_store_bucket"`
	// CreateBucket makes the bucket where it is missing.
	CreateBucket bool `toml:"s3_store_create_bucket_on_put"`
	// URLFormat is auto, path or virtual: where the bucket's name goes.
	URLFormat string `toml:"s3_store_bucket_url_format"`
	Prefix    string `toml:"s3_store_prefix"` // of all objects; not upstream's
}

// Store implements blob.Store.
type Store struct {
	o    Options
	core minio.Core
	host string
}

const (
	partSize   = 16 << 20
	growEvery  = 1500    // parts, after which they become larger, as there may be 10,000
	maxObject  = 5 << 40 // what S3 has as an object's maximum
	maxParts   = 10000   //
	headerWait = time.Minute
)

// New checks the options and, if told so, makes the bucket. A server that does
// not answer is no error here: it may come later.
func New(ctx context.Context, o Options) (*Store, error) {
	if o.Host == "" || o.Bucket == "" || o.AccessKey == "" || o.SecretKey == "" {
		return nil, errors.New("image store: s3_store_host, s3_store_bucket, s3_store_access_key and s3_store_secret_key are needed")
	}
	if !strings.Contains(o.Host, "://") {
		o.Host = "https://" + o.Host
	}
	u, err := url.Parse(o.Host)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("image store: s3_store_host %q is no address of a server", o.Host)
	}
	lookup, ok := map[string]minio.BucketLookupType{"": minio.BucketLookupAuto, "auto": minio.BucketLookupAuto, "path": minio.BucketLookupPath, "virtual": minio.BucketLookupDNS}[o.URLFormat]
	if !ok {
		return nil, fmt.Errorf("image store: s3_store_bucket_url_format %q is not auto, path or virtual", o.URLFormat)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout, transport.DisableCompression = headerWait, true
	core, err := minio.NewCore(u.Host, &minio.Options{Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: u.Scheme == "https",
		Region: o.Region, BucketLookup: lookup, MaxRetries: 3, Transport: transport})
	if err != nil {
		return nil, fmt.Errorf("image store: %w", err)
	}
	s := &Store{o: o, core: *core, host: u.Host}
	if o.CreateBucket {
		err := s.core.MakeBucket(ctx, o.Bucket, minio.MakeBucketOptions{Region: o.Region})
		if code := minio.ToErrorResponse(err).Code; err != nil && code != minio.BucketAlreadyOwnedByYou && code != minio.BucketAlreadyExists {
			return nil, fmt.Errorf("image store: the bucket %s cannot be made: %w", o.Bucket, err)
		}
	}
	return s, nil
}

func (s *Store) object(key string) string { return s.o.Prefix + key }

// URL implements blob.Store.
func (s *Store) URL(key string) string {
	return "s3://" + s.host + "/" + s.o.Bucket + "/" + s.object(key)
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, key string) (blob.Reader, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	st, err := s.core.StatObject(ctx, s.o.Bucket, s.object(key), minio.StatObjectOptions{})
	if err != nil {
		return nil, told(err)
	}
	return blob.Ranged(ctx, st.Size, func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		o := minio.GetObjectOptions{}
		end := int64(0)
		if length > 0 {
			end = offset + length - 1
		}
		if err := errors.Join(o.SetMatchETag(st.ETag), setRange(&o, offset, end)); err != nil {
			return nil, err
		}
		body, _, _, err := s.core.GetObject(ctx, s.o.Bucket, s.object(key), o)
		return body, told(err)
	}), nil
}

// setRange asks for bytes from offset to end, 0: all that follow.
func setRange(o *minio.GetObjectOptions, offset, end int64) error {
	if offset == 0 && end == 0 {
		return nil
	}
	return o.SetRange(offset, end)
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := blob.ValidKey(key); err != nil {
		return err
	}
	if err := s.abortAll(ctx, key); err != nil {
		return err
	}
	err := told(s.core.RemoveObject(ctx, s.o.Bucket, s.object(key), minio.RemoveObjectOptions{}))
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}

// abortAll ends all uploads that were begun under a key.
func (s *Store) abortAll(ctx context.Context, key string) error {
	return s.uploads(ctx, s.object(key), func(u minio.ObjectMultipartInfo) error {
		if u.Key != s.object(key) {
			return nil
		}
		err := told(s.core.AbortMultipartUpload(ctx, s.o.Bucket, u.Key, u.UploadID))
		if errors.Is(err, blob.ErrNotFound) {
			return nil
		}
		return err
	})
}

func (s *Store) uploads(ctx context.Context, prefix string, f func(minio.ObjectMultipartInfo) error) error {
	keyMarker, idMarker := "", ""
	for {
		r, err := s.core.ListMultipartUploads(ctx, s.o.Bucket, prefix, keyMarker, idMarker, "", 1000)
		if err != nil {
			return told(err)
		}
		for _, u := range r.Uploads {
			if err := f(u); err != nil {
				return err
			}
		}
		if !r.IsTruncated || len(r.Uploads) == 0 {
			return nil
		}
		keyMarker, idMarker = r.NextKeyMarker, r.NextUploadIDMarker
	}
}

// Each implements blob.Store.
func (s *Store) Each(ctx context.Context, f func(blob.Entry) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing
	for o := range s.core.Client.ListObjects(ctx, s.o.Bucket, minio.ListObjectsOptions{Prefix: s.o.Prefix, Recursive: true}) {
		if o.Err != nil {
			return told(o.Err)
		}
		if key := strings.TrimPrefix(o.Key, s.o.Prefix); blob.ValidKey(key) == nil {
			if err := f(blob.Entry{Key: key, Modified: o.LastModified, Whole: true}); err != nil {
				return err
			}
		}
	}
	return s.uploads(ctx, s.o.Prefix, func(u minio.ObjectMultipartInfo) error {
		key := strings.TrimPrefix(u.Key, s.o.Prefix)
		if blob.ValidKey(key) != nil {
			return nil
		}
		return f(blob.Entry{Key: key, Modified: u.Initiated})
	})
}

// told gives the server's errors the meaning that they have for callers. What a
// server says may hold names of buckets and keys: that goes to the log.
func told(err error) error {
	if err == nil {
		return nil
	}
	r := minio.ToErrorResponse(err)
	switch {
	case r.Code == minio.NoSuchKey || r.Code == minio.NoSuchUpload || r.StatusCode == http.StatusNotFound && r.Code != minio.NoSuchBucket:
		return blob.ErrNotFound
	case r.Code == "QuotaExceeded", r.Code == "XMinioStorageFull", r.StatusCode == http.StatusInsufficientStorage, r.Code == minio.EntityTooLarge:
		return fmt.Errorf("%w (%w)", blob.ErrFull, err)
	case errors.Is(err, context.Canceled):
		return err
	}
	return fault.Wrap(err, fault.Unavailable, "The image's object store does not do its part now.")
}
