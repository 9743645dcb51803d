package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/auth"
	"kilonova/internal/config"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

// Options are what the API needs besides control.
type Options struct {
	Signers object.Signers
	Observe func(service, route string, status int, took time.Duration)
	// Stall is how long an upload may be silent; 0 for ever.
	Stall config.Duration
	Log   *slog.Logger
	Now   func() time.Time
}

// Handler answers S3 requests.
type Handler struct {
	c *control.Control
	o Options
}

// New returns the API.
func New(c *control.Control, o Options) *Handler { return &Handler{c, o} }

// request is one of them, with who has signed it.
type request struct {
	*http.Request
	w           http.ResponseWriter
	signed      *signed
	account     string
	bucket, key string
}

func (r *request) path() object.Path {
	return object.Path{Account: r.account, Container: r.bucket, Object: r.key}
}

func (r *request) has(name string) bool { return r.URL.Query().Has(name) }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	started, id := h.o.Now(), "req-"+uuid.NewString()
	out := &recorder{ResponseWriter: w}
	head := w.Header()
	head.Set("X-Amz-Request-Id", id)
	head.Set("X-Openstack-Request-Id", id)
	name, err := h.answer(rest.WithRequestID(hr.Context(), id), out, hr)
	if err != nil && out.status != 0 { // the head is out: the client must see that it is not whole
		h.o.Log.Warn("answer cut off", "service", "s3", "path", hr.URL.Path, "request_id", id, "error", err)
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		h.refuse(out, hr, id, err)
	}
	if took := h.o.Now().Sub(started); h.o.Observe != nil {
		h.o.Observe("s3", name, out.status, took)
	}
}

func (h *Handler) answer(ctx context.Context, w http.ResponseWriter, hr *http.Request) (name string, err error) {
	name = "none"
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	ctx, signed, err := h.authenticate(ctx, hr)
	if err != nil {
		return name, err
	}
	r := &request{Request: hr, w: w, signed: signed, account: h.c.AccountOf(auth.From(ctx).ProjectID)}
	r.bucket, r.key, _ = strings.Cut(strings.TrimPrefix(hr.URL.Path, "/"), "/")
	if r.bucket == "" && r.key != "" || len(hr.URL.Path) > 2048 {
		return name, fault.NotFoundf("The specified bucket does not exist.").WithCode("NoSuchBucket")
	}
	op := find(r)
	if op == nil {
		return name, fault.New(fault.Unsupported, "A header or a query you provided implies functionality that is not implemented.").WithCode("NotImplemented")
	}
	return op.name, op.do(h, ctx, r)
}

// operation is a row of the table: the first that fits answers.
type operation struct {
	name, method string
	level        int    // 0 the service, 1 a bucket, 2 an object
	query        string // that must be there; "" none
	header       string // likewise
	do           func(h *Handler, ctx context.Context, r *request) error
}

var operations = []operation{
	{"ListBuckets", "GET", 0, "", "", (*Handler).listBuckets},

	{"GetBucketLocation", "GET", 1, "location", "", (*Handler).location},
	{"GetBucketVersioning", "GET", 1, "versioning", "", (*Handler).versioning},
	{"GetBucketAcl", "GET", 1, "acl", "", (*Handler).bucketACL},
	{"PutBucketAcl", "PUT", 1, "acl", "", (*Handler).putBucketACL},
	{"ListMultipartUploads", "GET", 1, "uploads", "", (*Handler).listUploads},
	{"GetBucketPolicy", "GET", 1, "policy", "", missing("NoSuchBucketPolicy", "The bucket policy does not exist")},
	{"GetBucketTagging", "GET", 1, "tagging", "", missing("NoSuchTagSet", "The TagSet does not exist")},
	{"GetBucketCors", "GET", 1, "cors", "", missing("NoSuchCORSConfiguration", "The CORS configuration does not exist")},
	{"GetBucketLifecycleConfiguration", "GET", 1, "lifecycle", "", missing("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")},
	{"GetBucketEncryption", "GET", 1, "encryption", "", missing("ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found")},
	{"GetObjectLockConfiguration", "GET", 1, "object-lock", "", missing("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")},
	{"GetPublicAccessBlock", "GET", 1, "publicAccessBlock", "", missing("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")},
	{"DeleteObjects", "POST", 1, "delete", "", (*Handler).deleteObjects},
	{"ListObjects", "GET", 1, "", "", (*Handler).listObjects},
	{"HeadBucket", "HEAD", 1, "", "", (*Handler).headBucket},
	{"CreateBucket", "PUT", 1, "", "", (*Handler).createBucket},
	{"DeleteBucket", "DELETE", 1, "", "", (*Handler).deleteBucket},

	{"CreateMultipartUpload", "POST", 2, "uploads", "", (*Handler).createUpload},
	{"CompleteMultipartUpload", "POST", 2, "uploadId", "", (*Handler).completeUpload},
	{"ListParts", "GET", 2, "uploadId", "", (*Handler).listParts},
	{"AbortMultipartUpload", "DELETE", 2, "uploadId", "", (*Handler).abortUpload},
	{"UploadPartCopy", "PUT", 2, "uploadId", "X-Amz-Copy-Source", (*Handler).copyPart},
	{"UploadPart", "PUT", 2, "uploadId", "", (*Handler).uploadPart},
	{"GetObjectAcl", "GET", 2, "acl", "", (*Handler).objectACL},
	{"GetObjectTagging", "GET", 2, "tagging", "", (*Handler).objectTagging},
	{"CopyObject", "PUT", 2, "", "X-Amz-Copy-Source", (*Handler).copyObject},
	{"PutObject", "PUT", 2, "", "", (*Handler).putObject},
	{"GetObject", "GET", 2, "", "", (*Handler).getObject},
	{"HeadObject", "HEAD", 2, "", "", (*Handler).getObject},
	{"DeleteObject", "DELETE", 2, "", "", (*Handler).deleteObject},
}

// beyond are queries that name what only rows of their own answer.
var beyond = []string{"acl", "tagging", "policy", "cors", "lifecycle", "encryption", "versioning", "versions", "website", "logging", "notification", "replication", "requestPayment",
	"object-lock", "legal-hold", "retention", "torrent", "restore", "select", "versionId", "accelerate", "analytics", "inventory", "metrics", "ownershipControls", "publicAccessBlock",
	"uploads", "delete", "attributes"}

func find(r *request) *operation {
	level := 0
	if r.bucket != "" {
		level++
	}
	if r.key != "" {
		level++
	}
	for i := range operations {
		op := &operations[i]
		if op.level != level || op.method != r.Method || op.query != "" && !r.has(op.query) || op.header != "" && r.Header.Get(op.header) == "" {
			continue
		}
		if op.query == "" {
			for _, q := range beyond {
				if r.has(q) && r.URL.Query().Get(q) != "null" {
					return nil
				}
			}
		}
		return op
	}
	return nil
}

// missing answers what nobody can have set here, once it is known that there is the
// bucket.
func missing(code, message string) func(*Handler, context.Context, *request) error {
	return func(h *Handler, ctx context.Context, r *request) error {
		if _, err := h.bucket(ctx, r, "GET"); err != nil {
			return err
		}
		return fault.NotFoundf("%s", message).WithCode(code)
	}
}

// codes are S3's names of failures that have no better one.
var codes = map[fault.Kind]string{fault.Invalid: "InvalidRequest", fault.Unauthenticated: "AccessDenied", fault.Forbidden: "AccessDenied", fault.NotFound: "NoSuchKey",
	fault.Conflict: "OperationAborted", fault.OverLimit: "SlowDown", fault.Unavailable: "ServiceUnavailable", fault.Unsupported: "NotImplemented", fault.TooLarge: "EntityTooLarge",
	fault.MethodNotAllowed: "MethodNotAllowed", fault.PreconditionFailed: "PreconditionFailed", fault.Unprocessable: "BadDigest"}

// statuses differ here from those of other services.
var statuses = map[string]int{"EntityTooLarge": 400, "BadDigest": 400, "InvalidRange": 416, "MissingContentLength": 411}

type errorView struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Resource  string
	RequestID string `xml:"RequestId"`
}

// refuse writes a failure in S3's shape.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, id string, err error) {
	f, ok := errors.AsType[*fault.Error](err)
	log := h.o.Log.With("service", "s3", "method", r.Method, "path", r.URL.Path, "request_id", id, "error", err)
	switch {
	case !ok && (errors.Is(err, context.Canceled) || r.Context().Err() != nil):
		log.Info("request given up: who sent it has gone")
		f = fault.New(fault.Unavailable, "The request was given up before it was answered.")
	case !ok || f.Kind == fault.Internal:
		log.Error("request failed")
		f = (&fault.Error{Message: "We encountered an internal error. Please report it with the request id " + id + "."}).WithCode("InternalError")
	}
	code := f.Code
	if code == "" {
		code = codes[f.Kind]
	}
	status, special := statuses[code]
	if !special {
		status = rest.Status(f)
	}
	if status == http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	body, err := xml.Marshal(errorView{Code: code, Message: f.Message, Resource: r.URL.Path, RequestID: id})
	if err != nil {
		body = nil
	}
	head := w.Header()
	head.Set("Content-Type", "application/xml")
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	w.WriteHeader(status)
	w.Write(append([]byte(xml.Header), body...))
	io.CopyN(io.Discard, r.Body, 256<<10) // so that the connection can be used again
}

// reply writes an answer in XML.
func (r *request) reply(v any) error {
	body, err := xml.Marshal(v)
	if err != nil {
		return err
	}
	r.w.Header().Set("Content-Type", "application/xml")
	r.w.WriteHeader(http.StatusOK)
	r.w.Write(append([]byte(xml.Header), body...))
	return nil
}

// maxXML bounds a body that is a document, in bytes.
const maxXML = 4 << 20

// decode reads a body that is a document.
func (h *Handler) decode(r *request, v any) error {
	from, _, err := h.body(r.Request, r.signed)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(from, maxXML+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("IncompleteBody", "The request body ended before its time.")
	case err != nil:
		return err
	case len(data) > maxXML:
		return invalid("MaxMessageLengthExceeded", "Your request was too big.")
	case len(strings.TrimSpace(string(data))) == 0:
		return nil
	}
	if err := xml.Unmarshal(data, v); err != nil {
		return invalid("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema.")
	}
	return nil
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$`)

// when is a time as S3 writes it.
func when(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
